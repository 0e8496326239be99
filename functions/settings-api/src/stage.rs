//! The stage that a request is about.

use aws::{Lookup, StageStack};
use database::{CreatedSettings, Generation, StackStatus, Stage, StorageGiB};

use crate::{SettingsApi, problem::Problem};

/// The address of a stage's rebuild.
pub(crate) fn rebuild_path(stage: &Stage) -> String {
    format!("/api/stacks/{}/stages/{}/rebuild", stage.stack, stage.stage)
}

/// Whether the stack's creation failed: it never had anything in it, and only its deletion is possible.
pub(crate) fn is_failed_registration(stack: &StageStack) -> bool {
    matches!(
        stack.status_text.as_str(),
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED"
    ) && stack.parameters.get("Generation").is_none_or(|generation| generation == "none")
}

/// Refuses a change while another one runs or a failed one is in the way.
pub(crate) fn refuse_unless_at_rest(stack: &StageStack) -> Result<(), Problem> {
    match stack.status {
        StackStatus::Complete | StackStatus::RolledBack => Ok(()),
        StackStatus::InProgress | StackStatus::RollingBack => Err(Problem::busy(rebuild_path(&stack.stage))),
        StackStatus::Failed if is_failed_registration(stack) => Err(Problem::conflict(format!(
            "The registration of the stage failed; GET {} says why. Register it again.",
            rebuild_path(&stack.stage)
        ))),
        StackStatus::Failed | StackStatus::Deleted => Err(Problem::conflict(format!(
            "The stage stack {} is in the status {}, in which CloudFormation takes no update. Somebody with rights in AWS \
             has to bring it back first: aws cloudformation continue-update-rollback --stack-name {0}",
            stack.stage.stage_stack_name(),
            stack.status_text
        ))),
    }
}

/// The settings of a created database, from the stage stack's parameters; `None` where there is no database.
pub(crate) fn settings(stack: &StageStack) -> Option<CreatedSettings> {
    let parameter = |name: &str| stack.parameters.get(name).cloned();
    if parameter("Source")? != "created" {
        return None;
    }
    Some(CreatedSettings {
        instance_class: parameter("InstanceClass")?.try_into().ok()?,
        storage: StorageGiB::try_from(parameter("StorageGiB")?.parse::<i64>().ok()?).ok()?,
        database_name: parameter("DatabaseName")?.try_into().ok()?,
    })
}

/// Whether nothing runs, and CloudFormation takes an update.
pub(crate) fn is_at_rest(stack: &StageStack) -> bool {
    matches!(stack.status, StackStatus::Complete | StackStatus::RolledBack)
}

/// The generation that the stage stack's parameters name.
pub(crate) fn generation(stack: &StageStack) -> Option<Generation> {
    stack.parameters.get("Generation").filter(|g| *g != "none")?.clone().try_into().ok()
}

impl SettingsApi {
    /// The stack of a registered stage.
    pub(crate) async fn stage_stack(&self, stage: &Stage) -> Result<StageStack, Problem> {
        match self.stacks.stack(&stage.stage_stack_name()).await? {
            Lookup::Found(stack) if stack.stage == *stage => Ok(*stack),
            Lookup::Found(_) | Lookup::Foreign | Lookup::Missing => Err(Problem::not_found(format!(
                "The stage {stage} is not registered. Register it with PUT /api/stacks/{}/stages/{}.",
                stage.stack, stage.stage
            ))),
        }
    }
}
