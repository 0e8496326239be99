//! What stagedb does without a request: it rotates logins when that's due, and rebuilds a stage whose attached database has other
//! credentials than its containers. EventBridge Scheduler asks for it every few minutes.
//!
//! A change is the same as one that a user requests: it's planned, recorded, and refused the same way. Its key has the date, so what
//! failed is tried once a day.

use std::sync::{Arc, OnceLock};

use aws::{SecretError, StageStack};
use aws_lambda_events::query_map::QueryMap;
use database::{AttachedSettings, Settings, Stage, Who};
use lambda::Invocation;
use serde::Deserialize;
use thiserror::Error;
use time::{OffsetDateTime, serde::rfc3339};
use tracing::{info, warn};

use crate::{
    TIME_TO_ANSWER,
    api::{Call, SettingsApi},
    request::{Body, Caller, Conditions},
    response::Problem,
    stage_stack::{generation, login, settings},
};

/// What the schedule sends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scheduled {
    /// The time that it was scheduled for.
    #[serde(with = "rfc3339")]
    scheduled_at: OffsetDateTime,
}

/// Whether an event is from the schedule, and not a request.
pub(crate) fn is_scheduled(event: &serde_json::Value) -> bool {
    event.get("scheduledAt").is_some()
}

/// Why a run ended early. The next one starts over.
#[derive(Debug, Error)]
pub enum ScheduleError {
    /// Not what the schedule sends.
    #[error("the event has no valid time")]
    NoTime(#[source] serde_json::Error),
    /// The stages can't be listed.
    #[error("the stages can't be listed")]
    Aws(#[from] aws::AwsError),
    /// Some stages couldn't be looked at. The causes are in the log.
    #[error("these stages couldn't be looked at: {}", .0.join(", "))]
    Stages(Vec<String>),
}

/// A change that is due.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// The login is older than the setting says.
    Rotation { since: String },
    /// The credentials of the attached database have another version than the one that was copied.
    Rebuild { version: String },
}

/// Starts what is due in each stage.
///
/// # Errors
/// See [`ScheduleError`].
pub(crate) async fn scheduled(api: Arc<SettingsApi>, invocation: Invocation) -> Result<(), ScheduleError> {
    let Scheduled { scheduled_at } =
        Scheduled::deserialize(&invocation.event).map_err(ScheduleError::NoTime)?;
    let ends_at = tokio::time::Instant::now() + invocation.time_left.saturating_sub(TIME_TO_ANSWER);
    let (mut token, mut failed) = (None, Vec::new());
    loop {
        let page = api.stacks.page(token).await?;
        for stack in page.stacks.into_iter().filter(StageStack::is_at_rest) {
            let stage = stack.stage.clone();
            lambda::log_stage(&stage.stack, &stage.stage);
            let run = api.start_what_is_due(&stack, scheduled_at, &invocation);
            match tokio::time::timeout_at(ends_at, run).await {
                Ok(Ok(())) => {}
                Ok(Err(problem)) => match problem.internal() {
                    None => info!(reason = problem.detail(), "a change that is due was refused"),
                    Some(cause) => {
                        warn!(error = cause, "a stage couldn't be looked at");
                        failed.push(stage.to_string());
                    }
                },
                // The next run starts with the same stages, and finds nothing left to do in most of them.
                Err(_) => return Err(ScheduleError::Stages(vec![stage.to_string()])),
            }
        }
        token = page.next_token;
        if token.is_none() {
            return if failed.is_empty() { Ok(()) } else { Err(ScheduleError::Stages(failed)) };
        }
    }
}

impl SettingsApi {
    async fn start_what_is_due(
        &self,
        stack: &StageStack,
        scheduled_at: OffsetDateTime,
        invocation: &Invocation,
    ) -> Result<(), Problem> {
        let Some(due) = self.due(stack, scheduled_at).await? else { return Ok(()) };
        let stage = &stack.stage;
        match due {
            Due::Rotation { since } => {
                let call = call(stage, "rotateLogin", &since, scheduled_at, invocation);
                self.rotate_login(stage, &call).await?;
            }
            Due::Rebuild { version } => {
                let call = call(stage, "postRebuild", &version, scheduled_at, invocation);
                self.post_rebuild(stage, &call).await?;
            }
        }
        info!("started what was due, unless it was before");
        Ok(())
    }

    async fn due(&self, stack: &StageStack, at: OffsetDateTime) -> Result<Option<Due>, Problem> {
        match settings(stack)? {
            Settings::None | Settings::Attached(AttachedSettings { secret_arn: None, .. }) => Ok(None),
            Settings::Created(created) => {
                let login = login(stack);
                let login = login
                    .filter(|login| login.next_rotation(created.rotation).is_some_and(|next| next <= at));
                Ok(login.map(|login| Due::Rotation { since: login.since.to_string() }))
            }
            Settings::Attached(AttachedSettings { secret_arn: Some(from), .. }) => {
                let (Some(generation), Some(own)) = (generation(stack), stack.outputs.get("SecretArn"))
                else {
                    return Ok(None);
                };
                let copied = self.secrets.labelled(own, &generation.staging_label()).await?;
                let found = match self.secrets.foreign(from.as_ref()).await {
                    Ok(found) => found,
                    Err(SecretError::Aws(error)) => return Err(error.into()),
                    Err(error @ (SecretError::Missing | SecretError::NoCredentials)) => {
                        warn!(%from, error = lambda::chain(&error), "the credentials can't be compared");
                        return Ok(None);
                    }
                };
                let is_same = copied.is_none_or(|copied| copied.value.credentials == found.credentials);
                Ok((!is_same).then_some(Due::Rebuild { version: found.version }))
            }
        }
    }
}

/// A request by nobody. One that was made before, on the same day and about the same thing, starts nothing.
fn call(
    stage: &Stage,
    operation: &'static str,
    about: &str,
    scheduled_at: OffsetDateTime,
    invocation: &Invocation,
) -> Call {
    let body = Body::default();
    let key = format!("schedule {} {about}", scheduled_at.date());
    Call {
        // A run can start a change in each stage.
        request_id: format!("{}-{stage}", invocation.request_id).replace('/', "-"),
        operation,
        caller: Caller::schedule(),
        recorded: OnceLock::new(),
        now: invocation.now,
        query: QueryMap::default(),
        conditions: Conditions::with_key(&key, &format!("{operation} {stage}"), &body),
        body,
    }
}

impl Caller {
    /// Nobody: it's in the history as a change by the schedule.
    fn schedule() -> Self {
        let who = Who { subject: "stagedb (schedule)".into(), email: None, address: None };
        Self { who, username: String::new(), roles: database::Roles::default() }
    }
}
