//! `POST …/rebuild`: rebuilds the stage with its current settings, or continues a rollback that failed.

use std::collections::BTreeSet;

use aws::{ChangeError, SecretError, StageStack};
use database::{AttachedSettings, Settings, StackEvent, StackStatus, Stage};

use super::RebuildingWire;
use crate::{
    api::{Call, SettingsApi},
    record::Recorded,
    response::{Problem, Reply},
    stage_stack::{rebuild_path, refuse_unless_at_rest, settings},
};

impl SettingsApi {
    pub(crate) async fn post_rebuild(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        if self.was_done(&stack, call).await? {
            return Ok(RebuildingWire::reply(stage));
        }
        if stack.status == StackStatus::RollbackFailed {
            let recorded = self.record(stage, Vec::new(), call).await?;
            self.continue_rollback(&stack, call, &recorded).await?;
            return Ok(RebuildingWire::reply(stage));
        }
        refuse_unless_at_rest(&stack)?;
        self.refuse_unless_credentials_can_be_copied(&stack).await?;
        let recorded = self.record(stage, Vec::new(), call).await?;
        self.update(&stack, stack.parameters.clone(), None, call, &recorded).await?;
        Ok(RebuildingWire::reply(stage))
    }

    /// Every rebuild copies the credentials of an attached database again.
    async fn refuse_unless_credentials_can_be_copied(&self, stack: &StageStack) -> Result<(), Problem> {
        let Settings::Attached(AttachedSettings { secret_arn: Some(arn), .. }) = settings(stack)? else {
            return Ok(());
        };
        match self.secrets.foreign(arn.as_ref()).await {
            Ok(_) => Ok(()),
            Err(SecretError::Aws(error)) => Err(error.into()),
            Err(error @ (SecretError::Missing | SecretError::NoCredentials)) => {
                Err(Problem::conflict(format!(
                    "The credentials of the attached database can't be copied from {arn}: {error}. Save different credentials."
                )))
            }
        }
    }

    async fn continue_rollback(&self, stack: &StageStack, call: &Call, _: &Recorded) -> Result<(), Problem> {
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
}

/// The resources that a rollback skips once it has failed twice. Their earlier state is gone, such as a database that
/// someone deleted. They look at what exists every time they're updated, so the next save fixes them.
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
