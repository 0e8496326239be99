//! `GET …/rebuild`: how far the current or last rebuild is.

use database::{Containers, StackObservation, StackStatus, Stage, rebuild};

use crate::{Call, SettingsApi, problem::Problem, reply::Reply};

impl SettingsApi {
    pub(crate) async fn get_rebuild(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        let events = self.stacks.events(&stack.id).await?;
        let containers = match stack.status {
            StackStatus::Complete => self.containers(&stack).await?,
            _ => Containers::Waiting,
        };
        let observation = StackObservation { status: stack.status, events };
        Ok(Reply::json(200, &rebuild(&observation, &containers, call.now)))
    }
}
