//! `POST …/rebuild`: rebuilds the stage with the settings as they are, or goes on with a rollback that failed.

use std::collections::{BTreeMap, BTreeSet};

use aws::{ChangeError, SecretError, StageStack};
use database::{AttachedSettings, Settings, StackEvent, StackStatus, Stage};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Call, SettingsApi,
    problem::Problem,
    reply::Reply,
    stage::{rebuild_path, refuse_unless_at_rest, settings},
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
        self.refuse_unless_credentials_can_be_copied(&stack).await?;
        self.update(&stack, stack.parameters.clone(), call).await?;
        Ok(rebuilding(stage))
    }

    /// The credentials of an attached database are copied at every rebuild anew.
    async fn refuse_unless_credentials_can_be_copied(&self, stack: &StageStack) -> Result<(), Problem> {
        let Settings::Attached(AttachedSettings { secret_arn: Some(arn), .. }) = settings(stack) else {
            return Ok(());
        };
        match self.secrets.foreign(arn.as_ref()).await {
            Ok(_) => Ok(()),
            Err(SecretError::Aws(error)) => Err(error.into()),
            Err(error @ (SecretError::Missing | SecretError::NoCredentials)) => {
                Err(Problem::conflict(format!(
                    "The credentials of the attached database cannot be copied from {arn}: {error}. Save other credentials."
                )))
            }
        }
    }

    async fn continue_rollback(&self, stack: &StageStack, call: &Call) -> Result<(), Problem> {
        let role = &self.configuration.stage_stack_role_arn;
        let skip = cannot_roll_back(&self.stacks.events(&stack.id, None).await?);
        match self.stacks.continue_rollback(&stack.id, role, &call.token(), &skip).await {
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
        for name in ["Rebuild", "Lookup"] {
            parameters.entry(name.to_owned()).or_insert_with(|| "none".to_owned());
        }
        parameters
    }

    /// Rebuilds the stage: updates its stack to today's template and functions, and these parameters.
    ///
    /// CloudFormation asks only for what changed. So every rebuild has a token of its own, a property of each resource that has
    /// to look again: at the secret that credentials are copied from, at the rules, at what clients read.
    pub(crate) async fn update(
        &self,
        stack: &StageStack,
        parameters: BTreeMap<String, String>,
        call: &Call,
    ) -> Result<Update, Problem> {
        let mut parameters = self.complete(parameters);
        parameters.insert("Rebuild".to_owned(), call.token());
        // Nor does a created database look again, as it would be made what the settings say if somebody changed it in RDS.
        if parameters.get("Source").is_some_and(|source| source == "attached") {
            parameters.insert("Lookup".to_owned(), call.token());
        }
        self.update_to(stack, &parameters, call).await
    }

    /// Updates the stage stack to today's template and exactly these parameters.
    pub(crate) async fn update_to(
        &self,
        stack: &StageStack,
        parameters: &BTreeMap<String, String>,
        call: &Call,
    ) -> Result<Update, Problem> {
        let role = &self.configuration.stage_stack_role_arn;
        match self.stacks.update(&stack.id, STAGE_TEMPLATE, parameters, role, &call.token()).await {
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

/// The resources that a rollback is to leave out, once it has failed twice: what they should go back to is gone, such as a
/// database that somebody else deleted. They look at what is there whenever they are asked, so the next Save mends them.
fn cannot_roll_back(events: &[StackEvent]) -> Vec<String> {
    let is_failure = |e: &&StackEvent| e.is_stack && e.status == "UPDATE_ROLLBACK_FAILED";
    let began = |e: &StackEvent| e.is_stack && e.status == "UPDATE_IN_PROGRESS";
    let of_operation: Vec<_> = events.iter().take_while(|e| !began(e)).collect();
    if of_operation.iter().copied().filter(is_failure).count() < 2 {
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    let newest = of_operation.iter().filter(|e| !e.is_stack && seen.insert(&e.logical_id));
    newest.filter(|e| e.status.ends_with("_FAILED")).map(|e| e.logical_id.clone()).collect()
}

/// The answer to what began a rebuild.
pub(crate) fn rebuilding(stage: &Stage) -> Reply {
    let rebuild = rebuild_path(stage);
    Reply::json(202, &RebuildingWire { rebuild: rebuild.clone() }).with_location(rebuild)
}
