//! The stage that a request is about.

use aws::{Lookup, StageStack};
use database::{
    AttachedSettings, BackupRetention, CreatedSettings, Generation, Settings, StackStatus, Stage,
};

use crate::{Call, SettingsApi, condition::hash, problem::Problem};

/// The address of a stage's rebuild.
pub(crate) fn rebuild_path(stage: &Stage) -> String {
    format!("/api/stacks/{}/stages/{}/rebuild", stage.stack, stage.stage)
}

/// Whether the stack's creation failed: it never had anything in it, and only its deletion is possible.
pub(crate) fn is_failed_registration(stack: &StageStack) -> bool {
    matches!(stack.status, StackStatus::CreationFailed | StackStatus::DeletionFailed)
        && settings(stack) == Settings::None
}

/// Refuses a change while another one runs or a failed one is in the way.
pub(crate) fn refuse_unless_at_rest(stack: &StageStack) -> Result<(), Problem> {
    let path = format!("/api/stacks/{}/stages/{}", stack.stage.stack, stack.stage.stage);
    match stack.status {
        StackStatus::Complete | StackStatus::RolledBack => Ok(()),
        StackStatus::InProgress | StackStatus::RollingBack => Err(Problem::busy(rebuild_path(&stack.stage))),
        StackStatus::CreationFailed => Err(Problem::conflict(format!(
            "The registration of the stage failed; GET {path}/rebuild says why. Register it again, with PUT {path}."
        ))),
        StackStatus::DeletionFailed => Err(Problem::conflict(format!(
            "The deletion of the stage failed; GET {path}/rebuild says why. Delete it again, with DELETE {path}."
        ))),
        StackStatus::RollbackFailed => Err(Problem::conflict(format!(
            "The last change failed, and so did its rollback; GET {path}/rebuild says why. Go on with the rollback, with POST \
             {path}/rebuild; then save again."
        ))),
        StackStatus::Deleted => {
            Err(Problem::conflict(format!("The stage is deleted. Register it, with PUT {path}.")))
        }
    }
}

/// The settings that the stage stack's parameters say. What an earlier version of the template did not have has the
/// default of today's.
pub(crate) fn settings(stack: &StageStack) -> Settings {
    let parameter = |name: &str| stack.parameters.get(name).filter(|value| *value != "none").cloned();
    let number = |name: &str| parameter(name).and_then(|text| text.parse::<i64>().ok());
    let created = || {
        Some(CreatedSettings {
            instance_class: parameter("InstanceClass")?.try_into().ok()?,
            storage: number("StorageGiB")?.try_into().ok()?,
            max_storage: number("MaxStorageGiB").and_then(|gib| gib.try_into().ok()),
            multi_az: parameter("MultiAz").is_some_and(|text| text == "true"),
            backup_retention: number("BackupRetentionDays")
                .and_then(|days| days.try_into().ok())
                .unwrap_or(BackupRetention::DEFAULT),
            engine_version: parameter("EngineVersion")?.try_into().ok()?,
            database_name: parameter("DatabaseName")?.try_into().ok()?,
            apply: parameter("Apply").and_then(|text| text.try_into().ok()).unwrap_or_default(),
            from_snapshot: parameter("FromSnapshot").and_then(|text| text.try_into().ok()),
        })
    };
    let attached = || {
        Some(AttachedSettings {
            kind: parameter("AttachedKind")?.try_into().ok()?,
            identifier: parameter("AttachedIdentifier")?.try_into().ok()?,
            database_name: parameter("DatabaseName")?.try_into().ok()?,
            secret_arn: parameter("CredentialsSecretArn").and_then(|text| text.try_into().ok()),
        })
    };
    match parameter("Source").as_deref() {
        Some("created") => created().map_or(Settings::None, Settings::Created),
        Some("attached") => attached().map_or(Settings::None, Settings::Attached),
        _ => Settings::None,
    }
}

/// Whether the stage has a database, whatever its other parameters say.
pub(crate) fn has_database(stack: &StageStack) -> bool {
    stack.parameters.get("Source").is_some_and(|source| source != "none")
}

/// Whether nothing runs, and CloudFormation takes an update.
pub(crate) fn is_at_rest(stack: &StageStack) -> bool {
    matches!(stack.status, StackStatus::Complete | StackStatus::RolledBack)
}

/// The generation that the stage stack's parameters name.
pub(crate) fn generation(stack: &StageStack) -> Option<Generation> {
    stack.parameters.get("Generation").filter(|g| *g != "none")?.clone().try_into().ok()
}

/// The generation that this request begins.
pub(crate) fn begun_by(call: &Call) -> Result<Generation, Problem> {
    let request = hash(&[call.token().as_bytes()]);
    let request = request.get(..8).unwrap_or(&request);
    Generation::at(call.now, request).map_err(|error| Problem::conflict(error.to_string()))
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
