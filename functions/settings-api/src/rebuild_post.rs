//! `POST …/rebuild`: rebuilds the stage with the settings as they are, or goes on with a rollback that failed.

use std::collections::BTreeMap;

use aws::{ChangeError, StageStack};
use database::{StackStatus, Stage};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Call, SettingsApi,
    problem::Problem,
    reply::Reply,
    stage::{rebuild_path, refuse_unless_at_rest},
    stage_put::STAGE_TEMPLATE,
};

/// What is said of a rebuild that has begun.
#[derive(Serialize, ToSchema)]
#[schema(as = Rebuilding)]
pub(crate) struct RebuildingWire {
    /// Where to see how far it is.
    rebuild: String,
}

/// Whether an update was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    Begun,
    NotNeeded,
}

impl SettingsApi {
    pub(crate) async fn post_rebuild(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        if self.was_done(&stack, call).await? {
            return Ok(rebuilding(stage));
        }
        if stack.status == StackStatus::RollbackFailed {
            self.continue_rollback(&stack, call).await?;
            return Ok(rebuilding(stage));
        }
        refuse_unless_at_rest(&stack)?;
        self.update(&stack, again(&stack, call), call).await?;
        Ok(rebuilding(stage))
    }

    async fn continue_rollback(&self, stack: &StageStack, call: &Call) -> Result<(), Problem> {
        let role = &self.configuration.stage_stack_role_arn;
        match self.stacks.continue_rollback(&stack.id, role, &call.token()).await {
            Ok(()) | Err(ChangeError::NoChange) => Ok(()),
            Err(ChangeError::WrongState(_) | ChangeError::Exists(_)) => {
                Err(Problem::busy(rebuild_path(&stack.stage)))
            }
            Err(ChangeError::Aws(error)) => Err(error.into()),
        }
    }

    /// These parameters of a stage stack, with what today's template has besides.
    pub(crate) fn complete(&self, mut parameters: BTreeMap<String, String>) -> BTreeMap<String, String> {
        parameters.extend(self.functions());
        // A stack that an earlier version made does not have every parameter.
        parameters.entry("Rebuild".to_owned()).or_insert_with(|| "none".to_owned());
        parameters
    }

    /// Updates the stage stack to today's template and functions, and these parameters.
    pub(crate) async fn update(
        &self,
        stack: &StageStack,
        parameters: BTreeMap<String, String>,
        call: &Call,
    ) -> Result<Update, Problem> {
        let parameters = self.complete(parameters);
        let role = &self.configuration.stage_stack_role_arn;
        match self.stacks.update(&stack.id, STAGE_TEMPLATE, &parameters, role, &call.token()).await {
            Ok(()) => Ok(Update::Begun),
            Err(ChangeError::NoChange) => Ok(Update::NotNeeded),
            // Somebody else began a moment ago, or this very request did.
            Err(ChangeError::WrongState(_) | ChangeError::Exists(_)) => {
                if self.has_begun(stack, call).await? {
                    return Ok(Update::Begun);
                }
                Err(Problem::busy(rebuild_path(&stack.stage)))
            }
            Err(ChangeError::Aws(error)) => Err(error.into()),
        }
    }
}

/// The answer to what began a rebuild.
pub(crate) fn rebuilding(stage: &Stage) -> Reply {
    let rebuild = rebuild_path(stage);
    Reply::json(202, &RebuildingWire { rebuild: rebuild.clone() }).with_location(rebuild)
}

/// The parameters of a rebuild with the settings as they are: only what has no meaning differs.
pub(crate) fn again(stack: &StageStack, call: &Call) -> BTreeMap<String, String> {
    let mut parameters = stack.parameters.clone();
    parameters.insert("Rebuild".to_owned(), call.token());
    parameters
}
