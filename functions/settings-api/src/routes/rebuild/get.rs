//! `GET …/rebuild`: how far the current or last rebuild is.

use aws::StageStack;
use database::{Downtime, Phase, Rebuild, RebuildStep, StackObservation, Stage, StepStatus, rebuild};
use serde::Serialize;
use time::OffsetDateTime;
use tracing::warn;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
    routes::downtime::DowntimeWire,
};

/// The current or the last rebuild.
#[derive(Serialize, ToSchema)]
#[schema(as = Rebuild)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RebuildWire {
    /// `updating`, `redeploying`, `complete`, `failed`, or `rolled-back`.
    phase: &'static str,
    /// Why it failed, in one or two sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What you can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'static str>,
    /// Whether the same request may succeed if you repeat it.
    #[serde(skip_serializing_if = "Option::is_none")]
    can_retry: Option<bool>,
    /// AWS's messages about the failure, verbatim, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    raw: Vec<String>,
    /// When it started.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<OffsetDateTime>,
    /// Its steps, in order.
    steps: Vec<StepWire>,
    /// For how long connections failed while it changed the database. Missing if that wasn't measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    downtime: Option<DowntimeWire>,
}

/// One step of a rebuild.
#[derive(Serialize, ToSchema)]
#[schema(as = RebuildStep)]
#[serde(rename_all = "camelCase")]
struct StepWire {
    /// `credentials`, `database`, `access`, `login`, `proof`, `connection`, or `containers`.
    name: &'static str,
    /// The service whose containers they are, as `cluster/service`.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    /// `pending`, `running`, `complete`, or `failed`.
    status: &'static str,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<OffsetDateTime>,
}

impl SettingsApi {
    pub(crate) async fn get_rebuild(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        let events = self.stacks.events(&stack.id, Some("Logins")).await?;
        let services = self.containers(&stack).await?;
        let observation =
            StackObservation { status: stack.status, has_app_login: stack.has_app_login(), events };
        let downtime = self.downtime_in(&stack).await;
        Ok(Reply::json(200, &wire(rebuild(&observation, &services, call.now), downtime)))
    }

    /// What was measured in the stack's last operation. It's known once that's over. Everything else is known also if RDS isn't.
    async fn downtime_in(&self, stack: &StageStack) -> Option<Downtime> {
        if stack.status.is_busy() || stack.source() != "created" {
            return None;
        }
        let instance = match self.databases.instance(&stack.stage.identifier()).await {
            Ok(instance) => instance?,
            Err(failure) => {
                warn!(error = lambda::chain(&failure), "the downtime can't be read");
                return None;
            }
        };
        let is_own = instance.is_of_stack(&stack.id);
        instance.downtime.filter(|downtime| is_own && downtime.operation == stack.operation)
    }
}

fn wire(rebuild: Rebuild, downtime: Option<Downtime>) -> RebuildWire {
    RebuildWire {
        phase: match rebuild.phase {
            Phase::Updating => "updating",
            Phase::Redeploying => "redeploying",
            Phase::Complete => "complete",
            Phase::Failed => "failed",
            Phase::RolledBack => "rolled-back",
        },
        reason: rebuild.reason,
        next_step: rebuild.next_step,
        can_retry: rebuild.can_retry,
        raw: rebuild.raw,
        started_at: rebuild.started_at,
        steps: rebuild.steps.iter().map(step_wire).collect(),
        downtime: downtime.map(Into::into),
    }
}

fn step_wire(step: &RebuildStep) -> StepWire {
    StepWire {
        name: step.name,
        service: step.service.clone(),
        status: match step.status {
            StepStatus::Pending => "pending",
            StepStatus::Running => "running",
            StepStatus::Complete => "complete",
            StepStatus::Failed => "failed",
        },
        started_at: step.started_at,
        ended_at: step.ended_at,
    }
}
