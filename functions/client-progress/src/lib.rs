//! Takes one step per call toward knowing whether a stage's services can connect to a database: it starts a client task in
//! each place where they run, looks at the tasks, stops those that take too long, and says what it has found.
//!
//! `Custom::PostgresProof` is a resource of the stage stack, before `Connection`: unless every place can connect, nothing is
//! published. A test is the same for a database that isn't saved yet, and changes nothing. `Custom::PostgresLogins` comes before
//! that: a client that logs in as the master user gives a login its password. When the rebuild has ended, another one disables
//! the login from before. And while a change interrupts a database, one measures for how long connections fail.
//!
//! The state machine keeps what ECS has said between two calls. A call that is repeated with less starts the same tasks, because
//! their tokens follow from the request.

mod attempts;
mod downtime;
mod logins;
mod master;
mod proof;
mod request;
mod resource;
mod settle;
mod trial;

use std::{sync::Arc, time::Duration};

use aws::{
    AwsError, ClientTasks, Databases, Executions, RunningTasks, SdkConfig, Secrets, SecurityGroups, Stacks,
    StageServices, TaskDefinitions, Turns,
};
use custom_resource::{Responder, SendError, Unanswerable};
use database::{Attempt, ConnectionTest, DowntimeRequest, SettleRequest};
use lambda::Invocation;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use time::{OffsetDateTime, serde::rfc3339};

pub use request::{ClientRequest, LoginSetup, Purpose, client_request};

/// What the function needs.
#[derive(Debug)]
pub struct ClientProgress {
    tasks: ClientTasks,
    running: RunningTasks,
    stacks: Stacks,
    executions: Executions,
    services: StageServices,
    definitions: TaskDefinitions,
    groups: SecurityGroups,
    secrets: Secrets,
    databases: Databases,
    turns: Turns,
    responder: Responder,
}

impl ClientProgress {
    /// Creates the function's clients.
    #[must_use]
    pub fn new(config: &SdkConfig, state_machine_arn: String) -> Self {
        Self {
            tasks: ClientTasks::new(config),
            running: RunningTasks::new(config),
            stacks: Stacks::new(config),
            executions: Executions::new(config, state_machine_arn),
            services: StageServices::new(config),
            definitions: TaskDefinitions::new(config),
            groups: SecurityGroups::new(config),
            secrets: Secrets::new(config),
            databases: Databases::new(config),
            turns: Turns::new(config),
            responder: Responder::new(config.http_client()),
        }
    }
}

/// What the function returns to the state machine, and gets back in the next call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Whether everything is done.
    pub done: bool,
    /// How many seconds to wait before the next call.
    pub seconds: u64,
    /// When the tasks were started.
    #[serde(with = "rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// The connections, and what is known of them.
    pub attempts: Vec<Attempt>,
    /// When a test opened the database's security group.
    #[serde(with = "rfc3339::option")]
    pub opened_at: Option<OffsetDateTime>,
    /// Since when it only waits: for another claimant of a rule, for tasks from before a rebuild, or for a task to stop.
    #[serde(with = "rfc3339::option")]
    pub left_since: Option<OffsetDateTime>,
    /// When the master user's password was changed.
    #[serde(default, with = "rfc3339::option")]
    pub changed_at: Option<OffsetDateTime>,
    /// The operation of the stage stack in which downtime is measured.
    #[serde(default)]
    pub operation: String,
    /// Whether a test knows all its connections, and takes back what it needed for them.
    pub is_closing: bool,
}

impl Progress {
    fn done() -> Self {
        Self { done: true, ..Self::default() }
    }

    fn again(self, pause: Duration) -> Self {
        Self { done: false, seconds: pause.as_millis().div_ceil(1000).try_into().unwrap_or(1), ..self }
    }

    /// Only since when it waits.
    fn only_waiting(self) -> Self {
        Self { left_since: self.left_since, ..Self::default() }
    }

    /// As before any task was started.
    fn without_tasks(self) -> Self {
        Self { started_at: None, attempts: Vec::new(), ..self }
    }

    /// What the previous call returned. Nothing in the first call.
    fn previous(event: &Value) -> Self {
        event.pointer("/result/progress").and_then(|value| Self::deserialize(value).ok()).unwrap_or_default()
    }
}

/// Why a call failed. The state machine retries, and finally has a failure sent to CloudFormation.
#[derive(Debug, Error)]
pub enum ProgressError {
    /// AWS is too slow for one step per turn.
    #[error("the step took longer than a turn")]
    TooLong,
    /// The event, or the stage stack that it's about, can't be read.
    #[error("the event isn't valid: {0}")]
    Invalid(String),
    /// Obsolete logins are still enabled, or the master user's next password can't be used. The schedule and the next rebuild try again.
    #[error("the logins aren't settled: {0}")]
    NotSettled(String),
    /// The event doesn't say where to send the answer.
    #[error(transparent)]
    Unanswerable(#[from] Unanswerable),
    /// AWS didn't reply, or not in time.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The answer couldn't be delivered.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Takes one step.
///
/// # Errors
/// See [`ProgressError`].
pub async fn handle(
    function: Arc<ClientProgress>,
    invocation: Invocation,
) -> Result<Progress, ProgressError> {
    let progress = Progress::previous(&invocation.event);
    if let Some(test) = part::<ConnectionTest>(&invocation.event, "test")? {
        return function.try_out(&test, progress, invocation.now).await;
    }
    if let Some(request) = part::<SettleRequest>(&invocation.event, "settle")? {
        let own = invocation.event.get("function").unwrap_or(&Value::Null);
        return function.settle(&request, own, progress, invocation.now).await;
    }
    if let Some(request) = part::<DowntimeRequest>(&invocation.event, "downtime")? {
        return function.measure(&request, progress, invocation.now).await;
    }
    let event = invocation.event.get("request").unwrap_or(&Value::Null);
    function.serve(event, progress, invocation.now).await
}

/// A part of the event, if it has it.
fn part<'a, T: Deserialize<'a>>(event: &'a Value, name: &str) -> Result<Option<T>, ProgressError> {
    let part = event.get(name).map(T::deserialize).transpose();
    part.map_err(|error| ProgressError::Invalid(error.to_string()))
}
