//! `DELETE /api/stacks/{stack}/stages/{stage}`: deletes a stage that has no database.

use database::{Registration, Stage};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    registration::registration_changes,
    response::{Problem, Reply},
    stage_stack::rebuild_path,
};

/// The response to a deletion that has started.
#[derive(Serialize, ToSchema)]
#[schema(as = Deletion)]
pub(crate) struct DeletionWire {
    stack: String,
    stage: String,
}

impl SettingsApi {
    pub(crate) async fn delete_stage(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        if self.was_done(&stack, call).await? {
            return Ok(deleting(stage));
        }
        if stack.status.is_busy() {
            return Err(Problem::busy(rebuild_path(stage)));
        }
        if stack.has_database() {
            return Err(Problem::conflict(format!(
                "The stage {stage} has a database. Remove it first with DELETE /api/stacks/{}/stages/{}/database.",
                stage.stack, stage.stage
            )));
        }
        let before = Registration::from_parameters(&stack.parameters).ok();
        let recorded = self.record(stage, registration_changes(before.as_ref(), None), call).await?;
        self.delete_stack(&stack, &call.token(), &recorded).await?;
        Ok(deleting(stage))
    }
}

fn deleting(stage: &Stage) -> Reply {
    Reply::json(202, &DeletionWire { stack: stage.stack.to_string(), stage: stage.stage.to_string() })
}
