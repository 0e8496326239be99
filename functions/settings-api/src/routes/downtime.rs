//! For how long connections failed during a change.

use database::Downtime;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// For how long connections failed while a change interrupted the database. A client that ran where the stage's first service runs
/// connected every second.
#[derive(Serialize, ToSchema)]
#[schema(as = Downtime)]
pub(crate) struct DowntimeWire {
    /// For how many seconds. 0 if no connection failed.
    seconds: u64,
    /// When the first connection failed. If none did, when the first one was tried.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    from: OffsetDateTime,
    /// The settings that changed.
    fields: Vec<String>,
}

impl From<Downtime> for DowntimeWire {
    fn from(Downtime { seconds, from, fields, operation: _ }: Downtime) -> Self {
        Self { seconds, from, fields }
    }
}
