//! `POST …/database/preview`: what a Save with this body would do, or the refusal that it would get.

use std::time::Duration;

use aws::{ChangeError, ChangeSet, ResourceChange};
use database::{Change, Effect, Stage};
use serde::Serialize;
use tracing::warn;
use utoipa::ToSchema;

use crate::{
    Call, SettingsApi,
    condition::hash,
    database_get::SettingsWire,
    problem::Problem,
    reply::Reply,
    save::Plan,
    stage::{rebuild_path, refuse_unless_at_rest},
    stage_put::STAGE_TEMPLATE,
    wish::Wish,
};

/// How often CloudFormation is asked for a change set. It takes about two seconds to make one.
const TRIES: u32 = 20;
/// How long it is left alone in between: a page shows the answer at once, so this is not left to a state machine.
const PAUSE: Duration = Duration::from_millis(500);

/// What a Save would do.
#[derive(Serialize, ToSchema)]
#[schema(as = Preview)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PreviewWire {
    /// Whether the stage would be rebuilt. The application may not be accessible until rebuild and redeployment are
    /// complete.
    rebuild: bool,
    /// The settings afterwards.
    settings: SettingsWire,
    /// What happens, setting by setting.
    changes: Vec<ChangeWire>,
    /// What a person should know although nothing is wrong.
    warnings: Vec<String>,
    /// What CloudFormation would do to the stage stack's resources; null if it has not said so in time.
    resource_changes: Option<Vec<ResourceChangeWire>>,
}

/// What happens to one setting.
#[derive(Serialize, ToSchema)]
#[schema(as = Change)]
#[serde(rename_all = "camelCase")]
struct ChangeWire {
    /// The field of the Save.
    field: &'static str,
    /// Its value now; null of what is new.
    before: Option<String>,
    /// Its value afterwards.
    after: String,
    /// `new`, `in-place` or `interruption`.
    effect: &'static str,
    /// Whether the value of before can be had again.
    can_be_undone: bool,
    /// `now` or `maintenance-window`.
    when: String,
    /// What to know of it, with the usual length of an interruption.
    detail: &'static str,
}

/// What CloudFormation would do to a resource.
#[derive(Serialize, ToSchema)]
#[schema(as = ResourceChange)]
#[serde(rename_all = "camelCase")]
struct ResourceChangeWire {
    logical_id: String,
    resource_type: String,
    /// CloudFormation's word, such as `Modify`.
    action: String,
    /// CloudFormation's word for whether it is replaced: `True`, `False` or `Conditional`.
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
            warnings
                .push("CloudFormation has not said in time what it would do to its resources.".to_owned());
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

    /// What CloudFormation says that the update would do, by a change set that is made and deleted for it.
    async fn resource_changes(
        &self,
        stack_id: &str,
        plan: &Plan,
        call: &Call,
    ) -> Result<Option<Vec<ResourceChange>>, Problem> {
        let name = format!("preview-{}", hash(&[call.request_id.as_bytes()]));
        let role = &self.configuration.stage_stack_role_arn;
        let parameters = self.complete(plan.parameters.clone());
        match self.stacks.create_change_set(stack_id, &name, STAGE_TEMPLATE, &parameters, role).await {
            Ok(()) => {}
            Err(ChangeError::NoChange) => return Ok(Some(Vec::new())),
            Err(ChangeError::WrongState(error)) => {
                let reason = error.message;
                return Err(Problem::conflict(format!("CloudFormation would refuse the update: {reason}")));
            }
            Err(ChangeError::Exists(error) | ChangeError::Aws(error)) => return Err(error.into()),
        }
        let changes = self.wait_for_changes(stack_id, &name).await;
        // What is left over is shown in CloudFormation's console, and harmless.
        if let Err(error) = self.stacks.delete_change_set(stack_id, &name).await {
            warn!(error = lambda::chain(&error), "a preview's change set was not deleted");
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
        when: change.when.to_string(),
        detail: change.detail,
    }
}
