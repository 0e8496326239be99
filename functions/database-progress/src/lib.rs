//! One step of a database's life per call: observe RDS, ask for the next step, do it, and say when to come again.
//!
//! The state machine calls until it is told `done`. Nothing is kept between two calls, so a crash after any call, a
//! repeat and a lost reply all lead to the same end.

mod request;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws::{AwsError, Databases, SdkConfig, Secrets, WriteError};
use custom_resource::{Addressee, Answer, Outcome, Request, Responder, SendError, Unanswerable};
use database::{Attributes, Clock, Created, Refusal, Step, next_step};
use lambda::Invocation;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::info;

pub use request::{DatabaseRequest, database_request};

/// How long RDS is left alone after a call that changed something.
const AFTER_A_CHANGE: Duration = Duration::from_secs(1);
/// How long RDS is left alone when it was in another state than it had just shown.
const AFTER_A_SURPRISE: Duration = Duration::from_secs(5);

/// What the function needs.
#[derive(Debug)]
pub struct DatabaseProgress {
    databases: Databases,
    secrets: Secrets,
    responder: Responder,
}

impl DatabaseProgress {
    /// Ready to handle events.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            databases: Databases::new(config),
            secrets: Secrets::new(config),
            responder: Responder::new(config.http_client()),
        }
    }
}

/// What the state machine is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Whether CloudFormation has its answer.
    pub done: bool,
    /// In how many seconds to call again.
    pub seconds: u64,
}

/// Why a call failed. The state machine tries again, and in the end has CloudFormation answered with a failure.
#[derive(Debug, Error)]
pub enum ProgressError {
    /// The state machine did not say when it began.
    #[error("startedAt is not a time")]
    StartedAt,
    /// There is nobody to answer.
    #[error(transparent)]
    Unanswerable(#[from] Unanswerable),
    /// AWS did not reply, or not in time.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The answer could not be delivered.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Takes one step with a request.
///
/// # Errors
/// See [`ProgressError`].
pub async fn handle(
    function: Arc<DatabaseProgress>,
    invocation: Invocation,
) -> Result<Progress, ProgressError> {
    let event = invocation.event.get("request").unwrap_or(&Value::Null);
    let addressee = Addressee::from_event(event)?;
    let started_at = invocation.event.get("startedAt").and_then(Value::as_str).unwrap_or_default();
    let started_at = OffsetDateTime::parse(started_at, &Rfc3339).map_err(|_| ProgressError::StartedAt)?;
    let elapsed = (invocation.now - started_at).try_into().unwrap_or(Duration::ZERO);

    let parsed = Request::from_event(event).and_then(|request| database_request(&addressee, &request));
    let request = match parsed {
        Ok(request) => request,
        Err(invalid) => {
            function.responder.send(&addressee, &Answer::invalid(&addressee, event, &invalid)).await?;
            return Ok(Progress { done: true, seconds: 0 });
        }
    };
    let stage = &request.request.stage;
    lambda::log_stage(&stage.stack, &stage.stage);
    progress(&function, &addressee, &request, Clock { elapsed }).await
}

async fn progress(
    function: &DatabaseProgress,
    addressee: &Addressee,
    request: &DatabaseRequest,
    clock: Clock,
) -> Result<Progress, ProgressError> {
    let identifier = request.request.stage.identifier();
    let observed = match function.databases.observe(&identifier).await {
        Ok(observed) => observed,
        Err(error) if error.refused => {
            return function.answer(addressee, request, failed(&Refusal::Rds(error.message))).await;
        }
        Err(error) => return Err(error.into()),
    };
    let step = next_step(&request.request, &observed, clock);
    info!(identifier, step = name(&step), elapsed_seconds = clock.elapsed.as_secs(), "next step");

    let begun = match step {
        Step::Finish(attributes) => return function.answer(addressee, request, succeeded(&attributes)).await,
        Step::Refuse(refusal) => return function.answer(addressee, request, failed(&refusal)).await,
        Step::Wait(pause) => return Ok(again_in(pause)),
        Step::Create(created) => function.create(request, &created).await,
        Step::Restore { created, snapshot } => {
            let (stage, owner) = (&request.request.stage, &request.request.owner);
            function.databases.restore(stage, owner, &created, &snapshot).await
        }
        Step::Modify(changes) => function.databases.modify(&identifier, &changes).await,
        Step::Delete { final_snapshot } => {
            function.databases.delete(&identifier, final_snapshot.as_ref()).await
        }
    };
    match begun {
        Ok(()) => Ok(again_in(AFTER_A_CHANGE)),
        Err(WriteError::ObserveAgain(error)) => {
            info!(identifier, code = error.code, reason = error.message, "observed again");
            Ok(again_in(AFTER_A_SURPRISE))
        }
        Err(WriteError::Refused(words)) => {
            function.answer(addressee, request, failed(&Refusal::Rds(words))).await
        }
        Err(WriteError::Aws(error)) => Err(error.into()),
    }
}

impl DatabaseProgress {
    async fn create(&self, request: &DatabaseRequest, created: &Created) -> Result<(), WriteError> {
        // The credentials are read back from where they were written first, so that the secret and the database agree.
        let label = created.generation.staging_label();
        let version = self.secrets.labelled(&request.secret_arn, &label).await.map_err(WriteError::Aws)?;
        let Some(version) = version else {
            let words = "the secret holds no username and password for this database";
            return Err(WriteError::Refused(words.to_owned()));
        };
        let (stage, owner) = (&request.request.stage, &request.request.owner);
        self.databases.create(stage, owner, created, &version.value.credentials).await
    }

    async fn answer(
        &self,
        addressee: &Addressee,
        request: &DatabaseRequest,
        outcome: Outcome,
    ) -> Result<Progress, ProgressError> {
        let answer = Answer::new(addressee, &request.physical_id, outcome);
        self.responder.send(addressee, &answer).await?;
        Ok(Progress { done: true, seconds: 0 })
    }
}

fn again_in(pause: Duration) -> Progress {
    Progress { done: false, seconds: pause.as_secs() }
}

fn failed(refusal: &Refusal) -> Outcome {
    Outcome::Failed(refusal.to_string())
}

/// The attributes that stage.yaml reads. All are always there, as CloudFormation fails on one that is missing.
fn succeeded(attributes: &Attributes) -> Outcome {
    let none = || "none".to_owned();
    let (identifier, host, port, database_name) = match &attributes.database {
        Some(database) => (
            database.identifier.clone(),
            database.endpoint.host.clone(),
            database.endpoint.port.to_string(),
            database.database_name.to_string(),
        ),
        None => (none(), none(), none(), none()),
    };
    Outcome::Success(BTreeMap::from([
        ("Identifier", identifier),
        ("Host", host),
        ("Port", port),
        ("DatabaseName", database_name),
    ]))
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::Create(_) => "create",
        Step::Restore { .. } => "restore",
        Step::Modify(_) => "modify",
        Step::Delete { .. } => "delete",
        Step::Wait(_) => "wait",
        Step::Finish(_) => "finish",
        Step::Refuse(_) => "refuse",
    }
}
