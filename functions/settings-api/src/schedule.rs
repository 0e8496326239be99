//! What stagedb does without a request: it rotates logins when that's due, and rebuilds a stage whose attached database has other
//! credentials than its containers. EventBridge Scheduler asks for it every few minutes.
//!
//! A change is the same as one that a user requests: it's planned, recorded, and refused the same way. Its key has the date, so what
//! failed is tried once a day.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws::{AwsError, SecretError, StageStack};
use aws_lambda_events::query_map::QueryMap;
use database::{AttachedSettings, Settings, SettleRequest, Stage, Who};
use lambda::Invocation;
use serde::Deserialize;
use thiserror::Error;
use time::{OffsetDateTime, serde::rfc3339};
use tokio::time::{Instant, error::Elapsed, timeout_at};
use tracing::{info, warn};

use crate::{
    api::{Call, SettingsApi},
    hash::hash,
    request::{Body, Caller, Conditions},
    response::Problem,
    stage_stack::settings,
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
    Aws(#[from] AwsError),
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

/// Why the turn of a stage ended early.
#[derive(Debug)]
enum Unfinished {
    TooLong,
    Problem(Problem),
}

impl From<Elapsed> for Unfinished {
    fn from(_: Elapsed) -> Self {
        Self::TooLong
    }
}

impl From<Problem> for Unfinished {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// Starts what is due in each stage.
///
/// # Errors
/// See [`ScheduleError`].
pub(crate) async fn scheduled(api: Arc<SettingsApi>, invocation: Invocation) -> Result<(), ScheduleError> {
    let Scheduled { scheduled_at } =
        Scheduled::deserialize(&invocation.event).map_err(ScheduleError::NoTime)?;
    let ends_at = Instant::now() + invocation.time_left;
    let mut stacks = api.at_rest().await?;
    stacks.sort_by_cached_key(|stack| place(&stack.id, scheduled_at));
    let mut failed = Vec::new();
    for stack in stacks {
        let stage = &stack.stage;
        lambda::log_stage(&stage.stack, &stage.stage);
        match api.turn(&stack, scheduled_at, ends_at, &invocation).await {
            Ok(()) => {}
            Err(Unfinished::TooLong) => {
                warn!("it took too long");
                failed.push(stage.to_string());
            }
            Err(Unfinished::Problem(problem)) => match problem.internal() {
                None => info!(reason = problem.detail(), "a change that is due was refused"),
                Some(cause) => {
                    warn!(error = cause, "a stage couldn't be looked at");
                    failed.push(stage.to_string());
                }
            },
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(ScheduleError::Stages(failed)) }
}

/// Where a stage comes in the order of a run. Each run has its own order, so if there are more stages than it has time for, each has
/// its turn in one of the next runs.
fn place(stack_id: &str, scheduled_at: OffsetDateTime) -> String {
    hash(&[scheduled_at.unix_timestamp().to_string().as_bytes(), stack_id.as_bytes()])
}

impl SettingsApi {
    /// All stages that can be changed now.
    async fn at_rest(&self) -> Result<Vec<StageStack>, AwsError> {
        let (mut token, mut stacks) = (None, Vec::new());
        loop {
            let page = self.stacks.page(token).await?;
            stacks.extend(page.stacks.into_iter().filter(StageStack::is_at_rest));
            token = page.next_token;
            if token.is_none() {
                return Ok(stacks);
            }
        }
    }

    async fn turn(
        &self,
        stack: &StageStack,
        scheduled_at: OffsetDateTime,
        ends_at: Instant,
        invocation: &Invocation,
    ) -> Result<(), Unfinished> {
        // One that takes too long doesn't hold up the others.
        let look_until = ends_at.min(Instant::now() + OF_ONE_STAGE);
        let due = timeout_at(look_until, self.due(stack, scheduled_at)).await??;
        timeout_at(ends_at, self.start_what_is_due(stack, due, scheduled_at, invocation)).await??;
        Ok(())
    }

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
                let login = stack.login();
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

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn over_a_day_each_of_a_hundred_stages_is_among_the_first_of_a_run() {
        let ids: Vec<_> =
            (0..100).map(|stage| format!("arn:aws:cloudformation:::stack/shop-{stage}")).collect();
        let mut first = std::collections::BTreeSet::new();
        for run in 0..96 {
            let at = datetime!(2026-11-28 00:00 UTC) + Duration::from_secs(900 * run);
            let mut order: Vec<_> = ids.iter().collect();
            order.sort_by_cached_key(|id| place(id, at));
            first.extend(order.into_iter().take(20));
        }
        assert_eq!(first.len(), ids.len());
    }
}
