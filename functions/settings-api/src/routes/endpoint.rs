//! The endpoint of a database, which several routes return.

use serde::Serialize;
use utoipa::ToSchema;

/// The endpoint that applications connect to.
#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointWire {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl From<database::Endpoint> for EndpointWire {
    fn from(endpoint: database::Endpoint) -> Self {
        Self { host: endpoint.host, port: endpoint.port }
    }
}
