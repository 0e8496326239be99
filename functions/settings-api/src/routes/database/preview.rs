//! `POST …/database/preview`: what a save with this body would do, or why it would be refused.

use std::time::Duration;

use aws::{ChangeError, ChangeSet, ResourceChange};
use database::{Change, Effect, Stage};
use serde::Serialize;
use tracing::warn;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    hash::hash,
    response::{Problem, Reply},
    routes::downtime::DowntimeWire,
    save::Plan,
    save::SettingsWire,
    save::Wish,
    stage_stack::{rebuild_path, refuse_unless_at_rest},
};

/// How many times to ask CloudFormation for a change set. It takes about two seconds to create one.
const TRIES: u32 = 20;
/// How long to wait in between. The page waits for the response, so a state machine can't do this.
const PAUSE: Duration = Duration::from_millis(500);

/// What a save would do.
#[derive(Serialize, ToSchema)]
#[schema(as = Preview)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PreviewWire {
    /// Whether the save would rebuild the stage. The application may be unavailable until the rebuild and the
    /// redeployment are complete.
    rebuild: bool,
    /// The settings after the save.
    settings: SettingsWire,
    /// What changes, setting by setting.
    changes: Vec<ChangeWire>,
    /// What you should know, even though the save wouldn't be refused.
    warnings: Vec<String>,
    /// What CloudFormation would do to the stage stack's resources. Null if CloudFormation didn't respond in time.
    resource_changes: Option<Vec<ResourceChangeWire>>,
}

/// What happens to one setting.
#[derive(Serialize, ToSchema)]
#[schema(as = Change)]
#[serde(rename_all = "camelCase")]
struct ChangeWire {
    /// The field in the body of the save.
    field: &'static str,
    /// Its value now. Null if it's new.
    before: Option<String>,
    /// Its value after the save.
    after: String,
    /// `new`, `in-place`, or `interruption`.
    effect: &'static str,
    /// Whether you can restore the earlier value.
    can_be_undone: bool,
    /// When the change is made: `now` or `maintenance-window`.
    when: &'static str,
    /// What you should know about the change, such as how long an interruption usually takes.
    detail: &'static str,
    /// For how long connections failed when this setting was last changed. Missing if that wasn't measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_downtime: Option<DowntimeWire>,
}

/// What CloudFormation would do to a resource.
#[derive(Serialize, ToSchema)]
#[schema(as = ResourceChange)]
#[serde(rename_all = "camelCase")]
struct ResourceChangeWire {
    logical_id: String,
    resource_type: String,
    /// The action in CloudFormation's own words, such as `Modify`.
    action: String,
    /// Whether it's replaced, in CloudFormation's own words: `True`, `False`, or `Conditional`.
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<String>,
}

impl SettingsApi {
    pub(crate) async fn preview_database(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let wish = Wish::from_body(&call.body)?;
        let stack = self.stage_stack(stage).await?;
        if self.was_done(&stack, call).await? {
            return Err(Problem::busy(rebuild_path(stage)));
        }
        refuse_unless_at_rest(&stack)?;
        let plan = self.plan(&stack, wish, call).await?;
        let mut resource_changes = Some(Vec::new());
        if plan.needed {
            resource_changes = self.resource_changes(&stack.id, &plan, call).await?;
        }
        let change = |change: ResourceChange| ResourceChangeWire {
            logical_id: change.logical_id,
            resource_type: change.resource_type,
            action: change.action,
            replacement: change.replacement,
        };
        let mut warnings = plan.warnings;
        if resource_changes.is_none() {
            warnings.push(
                "CloudFormation didn't respond in time, so the preview doesn't show its resource changes."
                    .to_owned(),
            );
        }
        let wire = PreviewWire {
            rebuild: plan.needed,
            settings: plan.settings.into(),
            changes: plan.changes.into_iter().map(change_wire).collect(),
            warnings,
            resource_changes: resource_changes.map(|changes| changes.into_iter().map(change).collect()),
        };
        Ok(Reply::json(200, &wire))
    }

    /// What the update would do according to CloudFormation. Creates a change set for it, and deletes it again.
    async fn resource_changes(
        &self,
        stack_id: &str,
        plan: &Plan,
        call: &Call,
    ) -> Result<Option<Vec<ResourceChange>>, Problem> {
        let name = format!("preview-{}", hash(&[call.request_id.as_bytes()]));
        let role = &self.configuration.stage_stack_role_arn;
        let parameters = self.complete(plan.parameters.clone());
        match self.stacks.create_change_set(stack_id, &name, &self.template.body, &parameters, role).await {
            Ok(()) => {}
            Err(ChangeError::NoChange) => return Ok(Some(Vec::new())),
            Err(ChangeError::WrongState(error)) => {
                let reason = error.message;
                return Err(Problem::conflict(format!("CloudFormation would refuse the update: {reason}")));
            }
            Err(ChangeError::Exists(error) | ChangeError::Aws(error)) => return Err(error.into()),
        }
        let changes = self.wait_for_changes(stack_id, &name).await;
        // A leftover change set is harmless. The CloudFormation console shows it.
        if let Err(error) = self.stacks.delete_change_set(stack_id, &name).await {
            warn!(error = lambda::chain(&error), "the preview's change set wasn't deleted");
        }
        changes
    }

    async fn wait_for_changes(
        &self,
        stack_id: &str,
        name: &str,
    ) -> Result<Option<Vec<ResourceChange>>, Problem> {
        for _ in 0..TRIES {
            match self.stacks.change_set(stack_id, name).await? {
                ChangeSet::Ready(changes) => return Ok(Some(changes)),
                ChangeSet::Refused(reason) => {
                    return Err(Problem::conflict(format!(
                        "CloudFormation would refuse the update: {reason}"
                    )));
                }
                ChangeSet::Pending => tokio::time::sleep(PAUSE).await,
            }
        }
        Ok(None)
    }
}

fn change_wire(change: Change) -> ChangeWire {
    ChangeWire {
        field: change.field,
        before: change.before,
        after: change.after,
        effect: match change.effect {
            Effect::New => "new",
            Effect::InPlace => "in-place",
            Effect::Interruption => "interruption",
        },
        can_be_undone: change.can_be_undone,
        when: change.when.as_str(),
        detail: change.detail,
        last_downtime: change.last_downtime.map(Into::into),
    }
}
