//! The state of the stage that a request is about.

use aws::{Lookup, NEXT_LABEL, StageStack};
use database::{Generation, InvalidParameter, Leftover, Settings, StackStatus, Stage};

use crate::{
    api::{Call, SettingsApi},
    hash::hash,
    response::Problem,
};

/// The path of a stage's rebuild.
pub(crate) fn rebuild_path(stage: &Stage) -> String {
    format!("/api/stacks/{}/stages/{}/rebuild", stage.stack, stage.stage)
}

/// Whether the stack's creation failed. Then it never had a database, and can only be deleted.
pub(crate) fn is_failed_registration(stack: &StageStack) -> bool {
    matches!(stack.status, StackStatus::CreationFailed | StackStatus::DeletionFailed) && !stack.has_database()
}

/// Refuses a change while another one is running, or while a failed one has to be resolved.
pub(crate) fn refuse_unless_at_rest(stack: &StageStack) -> Result<(), Problem> {
    let path = format!("/api/stacks/{}/stages/{}", stack.stage.stack, stack.stage.stage);
    match stack.status {
        StackStatus::Complete | StackStatus::RolledBack => Ok(()),
        StackStatus::InProgress | StackStatus::RollingBack => Err(Problem::busy(rebuild_path(&stack.stage))),
        StackStatus::CreationFailed => Err(Problem::conflict(format!(
            "Registering the stage failed. GET {path}/rebuild says why. Register it again with PUT {path}."
        ))),
        StackStatus::DeletionFailed => Err(Problem::conflict(format!(
            "Deleting the stage failed. GET {path}/rebuild says why. Delete it again with DELETE {path}."
        ))),
        StackStatus::RollbackFailed => Err(Problem::conflict(format!(
            "The last change failed, and so did its rollback. GET {path}/rebuild says why. Continue the rollback with POST \
             {path}/rebuild, then save again."
        ))),
        StackStatus::Deleted => {
            Err(Problem::conflict(format!("The stage was deleted. Register it with PUT {path}.")))
        }
    }
}

/// The settings in the stage stack's parameters. Someone may have changed one to something that can't be read. Then
/// nothing is known about the database, and least of all that there is none.
pub(crate) fn settings(stack: &StageStack) -> Result<Settings, Problem> {
    Settings::from_parameters(|name| Ok::<_, InvalidParameter>(stack.parameters.get(name).cloned())).map_err(
        |invalid| {
            Problem::conflict(format!(
                "The settings of the stage can't be read: {invalid}. Someone changed the stack {} outside of stagedb. Update the \
                 stack with a value that is allowed.",
                stack.stage.stage_stack_name()
            ))
        },
    )
}

/// The generation in the stage stack's parameters.
pub(crate) fn generation(stack: &StageStack) -> Option<Generation> {
    stack.parameters.get("Generation").filter(|g| *g != "none")?.clone().try_into().ok()
}

/// The generation that this request starts.
pub(crate) fn begun_by(call: &Call) -> Result<Generation, Problem> {
    let request = hash(&[call.token().as_bytes()]);
    let request = request.get(..8).unwrap_or(&request);
    Generation::at(call.now, request).map_err(|error| Problem::conflict(error.to_string()))
}

/// The master user's password.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Master {
    /// Whether it's as new as the app login.
    pub(crate) is_rotated: bool,
    /// Whether it's being changed, so that there are two.
    pub(crate) is_changing: bool,
}

impl SettingsApi {
    /// Whether no login from before is still enabled. Containers that use it may still be running.
    pub(crate) async fn is_settled(&self, stack: &StageStack) -> Result<bool, Problem> {
        let (Some(generation), Some(arn)) = (generation(stack), stack.outputs.get("SecretArn")) else {
            return Ok(true);
        };
        let labels = self.secrets.labels(arn).await?;
        Ok(Leftover::of(labels.keys().map(String::as_str), &generation, stack.login().as_ref()).is_none())
    }

    /// Whether the master user's password is as new as the app login, and whether it's being changed, so that there are two.
    pub(crate) async fn master(&self, stack: &StageStack) -> Result<Master, Problem> {
        let own = stack.outputs.get("SecretArn");
        let arn = stack.outputs.get("MasterSecretArn").filter(|arn| Some(*arn) != own);
        let (Some(arn), Some(login)) = (arn, stack.login().filter(|login| !login.is_master)) else {
            return Ok(Master { is_rotated: true, is_changing: false });
        };
        let labels = self.secrets.labels(arn).await?;
        let is_rotated = labels.contains_key(&login.staging_label());
        Ok(Master { is_rotated, is_changing: labels.contains_key(NEXT_LABEL) })
    }

    /// Refuses another login while one from before may be in use: it would get a new password.
    pub(crate) async fn refuse_unless_settled(&self, stack: &StageStack) -> Result<(), Problem> {
        if self.is_settled(stack).await? {
            return Ok(());
        }
        Err(Problem::conflict(
            "Containers or jobs from before the last change of the login are still running, or stopped a moment ago. Until their login \
             is disabled, the login can't change again. stagedb disables it when the last one has stopped. If none is running anymore, rebuild the stage.",
        ))
    }

    /// Refuses to publish the master user while its password is being changed.
    pub(crate) async fn refuse_while_master_changes(&self, stack: &StageStack) -> Result<(), Problem> {
        if !self.master(stack).await?.is_changing {
            return Ok(());
        }
        Err(Problem::conflict(
            "The master user's password is being rotated, which takes a few minutes after a rotation of the app login, and longer if the \
             instance is stopped. Turn off the app login when it's complete.",
        ))
    }

    /// The stack of a registered stage.
    pub(crate) async fn stage_stack(&self, stage: &Stage) -> Result<StageStack, Problem> {
        match self.stacks.stack(&stage.stage_stack_name()).await? {
            Lookup::Found(stack) if stack.stage == *stage => Ok(*stack),
            Lookup::Found(_) | Lookup::Foreign | Lookup::Missing => Err(Problem::not_found(format!(
                "The stage {stage} isn't registered. Register it with PUT /api/stacks/{}/stages/{}.",
                stage.stack, stage.stage
            ))),
        }
    }
}
