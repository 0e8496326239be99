//! What stagedb does without a request: it rotates logins when that's due, and rebuilds a stage whose attached database has other
//! credentials than its containers. EventBridge Scheduler asks for it every few minutes.
//!
//! A change is the same as one that a user requests: it's planned, recorded, and refused the same way. Its key has the date, so what
//! failed is tried once a day.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws::{SecretError, StageStack};
use aws_lambda_events::query_map::QueryMap;
use database::{AttachedSettings, Settings, SettleRequest, Stage, Who};
use lambda::Invocation;
use serde::Deserialize;
use thiserror::Error;
use time::{OffsetDateTime, serde::rfc3339};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::{
    api::{Call, SettingsApi},
    request::{Body, Caller, Conditions},
    response::Problem,
    stage_stack::{login, settings},
};

/// What the schedule sends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scheduled {
    /// The time that it was scheduled for.
    #[serde(with = "rfc3339")]
    scheduled_at: OffsetDateTime,
}

/// How long to work on one stage.
const OF_ONE_STAGE: Duration = Duration::from_secs(8);

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
    /// The secret of the attached database has other credentials than those that are published.
    Rebuild { version: String },
}

/// Starts what is due in each stage.
///
/// # Errors
/// See [`ScheduleError`].
pub(crate) async fn scheduled(api: Arc<SettingsApi>, invocation: Invocation) -> Result<(), ScheduleError> {
    let Scheduled { scheduled_at } =
        Scheduled::deserialize(&invocation.event).map_err(ScheduleError::NoTime)?;
    let ends_at = Instant::now() + invocation.time_left;
    let (mut token, mut failed) = (None, Vec::new());
    loop {
        let page = api.stacks.page(token).await?;
        for stack in page.stacks.into_iter().filter(StageStack::is_at_rest) {
            let stage = stack.stage.clone();
            lambda::log_stage(&stage.stack, &stage.stage);
            // One that takes too long doesn't hold up the others.
            let look = timeout_at(ends_at.min(Instant::now() + OF_ONE_STAGE), api.due(&stack, scheduled_at));
            let started = match look.await {
                Ok(Ok(due)) => {
                    timeout_at(ends_at, api.start_what_is_due(&stack, due, scheduled_at, &invocation)).await
                }
                Ok(Err(problem)) => Ok(Err(problem)),
                Err(late) => Err(late),
            };
            match started {
                Ok(Ok(())) => {}
                Ok(Err(problem)) => match problem.internal() {
                    None => info!(reason = problem.detail(), "a change that is due was refused"),
                    Some(cause) => {
                        warn!(error = cause, "a stage couldn't be looked at");
                        failed.push(stage.to_string());
                    }
                },
                Err(_) => {
                    warn!("it took too long");
                    failed.push(stage.to_string());
                }
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
        due: Option<Due>,
        scheduled_at: OffsetDateTime,
        invocation: &Invocation,
    ) -> Result<(), Problem> {
        let stage = &stack.stage;
        let call = |operation, about: &str| call(stage, operation, about, scheduled_at, invocation);
        let started = match due {
            None => Ok(()),
            Some(Due::Rotation { since }) => {
                self.rotate_login(stage, &call("rotateLogin", &since)).await.map(|_| ())
            }
            Some(Due::Rebuild { version }) => {
                self.post_rebuild(stage, &call("postRebuild", &version)).await.map(|_| ())
            }
        };
        // Also if a rotation was refused because of what is left.
        self.settle_what_is_left(stack, scheduled_at).await?;
        started
    }

    /// Tries once a day to finish what no execution could, for example because the instance was stopped.
    async fn settle_what_is_left(&self, stack: &StageStack, at: OffsetDateTime) -> Result<(), Problem> {
        let is_created = matches!(settings(stack)?, Settings::Created(_));
        if !is_created || (self.is_settled(stack).await? && self.master(stack).await?.is_rotated) {
            return Ok(());
        }
        let end = format!("schedule {}", at.date());
        let request = SettleRequest { stack_id: stack.id.clone(), end, round: 0 };
        self.executions.settle(&self.configuration.client_progress_arn, &request).await?;
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
                let Some(own) = stack.outputs.get("SecretArn") else { return Ok(None) };
                // Not with the copy: a rebuild that failed has copied it without publishing it.
                let published = self.secrets.current(own).await?;
                let found = match self.secrets.foreign(from.as_ref()).await {
                    Ok(found) => found,
                    Err(SecretError::Aws(error)) => return Err(error.into()),
                    Err(error @ (SecretError::Missing | SecretError::NoCredentials)) => {
                        warn!(%from, error = lambda::chain(&error), "the credentials can't be compared");
                        return Ok(None);
                    }
                };
                let is_same =
                    published.is_none_or(|published| published.value.credentials == found.credentials);
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
