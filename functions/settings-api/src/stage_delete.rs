//! `DELETE /api/stacks/{stack}/stages/{stage}`: forgets a stage that has no database.

use database::Stage;
use serde::Serialize;

use crate::{
    SettingsApi,
    problem::Problem,
    reply::Reply,
    stage::{rebuild_path, settings},
};

#[derive(Serialize)]
struct Wire {
    stack: String,
    stage: String,
}

impl SettingsApi {
    pub(crate) async fn delete_stage(&self, stage: &Stage) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        if stack.status.is_busy() {
            return Err(Problem::busy(rebuild_path(stage)));
        }
        if settings(&stack).is_some() {
            return Err(Problem::conflict(format!(
                "The stage {stage} has a database. Remove it first, with DELETE /api/stacks/{}/stages/{}/database.",
                stage.stack, stage.stage
            )));
        }
        self.stacks.delete(&stack.id, &self.configuration.stage_stack_role_arn).await?;
        let wire = Wire { stack: stage.stack.to_string(), stage: stage.stage.to_string() };
        Ok(Reply::json(202, &wire))
    }
}
