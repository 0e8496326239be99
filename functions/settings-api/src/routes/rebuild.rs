//! The rebuild of a stage.

pub(crate) mod get;
pub(crate) mod post;

use database::Stage;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{response::Reply, stage_stack::rebuild_path};

/// The response to a request that started a rebuild.
#[derive(Serialize, ToSchema)]
#[schema(as = Rebuilding)]
pub(crate) struct RebuildingWire {
    /// The path where you can follow its progress.
    rebuild: String,
}

impl RebuildingWire {
    pub(crate) fn reply(stage: &Stage) -> Reply {
        let rebuild = rebuild_path(stage);
        Reply::json(202, &Self { rebuild: rebuild.clone() }).with_location(rebuild)
    }
}
