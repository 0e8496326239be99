//! Takes one step per call: it observes RDS, asks for the next step, does it if it's this request's turn, and returns
//! when to call again.
//!
//! The state machine calls the function until it returns `done`. Between two calls, only the time of the request is
//! kept. So a crash after any call, a repeat, and a lost reply all lead to the same result.

mod request;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws::{AwsError, Credentials, Databases, SdkConfig, Secrets, TurnError, Turns, WriteError};
use custom_resource::{Addressee, Answer, Outcome, Request, Responder, SendError, Unanswerable};
use database::{
    After, Asked, Attributes, Clock, Created, Desired, Generation, Observed, Refusal, SnapshotId, Step, TURN,
    next_step,
};
use lambda::Invocation;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use time::{OffsetDateTime, serde::rfc3339};
use tokio::time::{Instant, timeout_at};
use tracing::info;

pub use request::{DatabaseRequest, database_request};

/// How long to wait after a call that changed something: a moment while changes may be quick, longer after that.
const AFTER_A_CHANGE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];
/// How long changes may be quick.
const QUICK: Duration = Duration::from_mins(2);
/// How long to wait when RDS wasn't in the state that it had just shown.
const AFTER_A_SURPRISE: Duration = Duration::from_secs(5);

/// The requests that must be over before work on a database starts.
const BEFORE: &[After] = &[After::Failed("Database")];

/// What the function needs.
#[derive(Debug)]
pub struct DatabaseProgress {
    databases: Databases,
    secrets: Secrets,
    turns: Turns,
    responder: Responder,
}

impl DatabaseProgress {
    /// Creates the function's clients.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            databases: Databases::new(config),
            secrets: Secrets::new(config),
            turns: Turns::new(config),
            responder: Responder::new(config.http_client()),
        }
    }
}

/// What the function returns to the state machine, and gets back in the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Whether CloudFormation has its answer.
    pub done: bool,
    /// How many seconds to wait before the next call.
    pub seconds: u64,
    /// When CloudFormation sent the request, according to its events. A call that only waits doesn't read them again.
    #[serde(with = "rfc3339::option")]
    pub asked_at: Option<OffsetDateTime>,
}

impl Progress {
    const DONE: Self = Self { done: true, seconds: 0, asked_at: None };

    /// What the previous call returned. `None` in the first call.
    fn asked_at(event: &Value) -> Option<OffsetDateTime> {
        Self::deserialize(event.pointer("/result/progress")?).ok()?.asked_at
    }
}

/// Why a call failed. The state machine retries, and finally has a failure sent to CloudFormation.
#[derive(Debug, Error)]
pub enum ProgressError {
    /// AWS is too slow for one step per turn.
    #[error("the step took longer than a turn")]
    TooLong,
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

/// The result of a step.
enum Taken {
    /// Call again after this time.
    Again(Duration),
    /// Send CloudFormation this answer.
    Answer(Outcome),
}

/// Takes one step of a request.
///
/// # Errors
/// See [`ProgressError`].
pub async fn handle(
    function: Arc<DatabaseProgress>,
    invocation: Invocation,
) -> Result<Progress, ProgressError> {
    let event = invocation.event.get("request").unwrap_or(&Value::Null);
    let addressee = Addressee::from_event(event)?;
    let parsed = Request::from_event(event).and_then(|request| {
        let asked = request.asked(&addressee, BEFORE);
        Ok((asked, database_request(&addressee, &request)?))
    });
    let (asked, request) = match parsed {
        Ok(parsed) => parsed,
        Err(invalid) => {
            function.responder.send(&addressee, &Answer::invalid(&addressee, event, &invalid)).await?;
            return Ok(Progress::DONE);
        }
    };
    let stage = &request.request.stage;
    lambda::log_stage(&stage.stack, &stage.stage);
    let known = Progress::asked_at(&invocation.event);
    let (taken, asked_at) = match function.step(&addressee, &asked, &request, invocation.now, known).await {
        Ok((taken, asked_at)) => (taken, Some(asked_at)),
        // An answer that CloudFormation no longer waits for does no harm, and the stack doesn't hang if its events are
        // wrong.
        Err(StepError::Turn(over @ TurnError::Over)) => {
            (Taken::Answer(Outcome::Failed(format!("{over}."))), known)
        }
        Err(StepError::Turn(TurnError::Aws(error))) if error.refused => {
            (Taken::Answer(Outcome::Failed(format!("CloudFormation refused: {}", error.message))), known)
        }
        Err(StepError::Rds(error)) if error.refused => {
            (Taken::Answer(failed(&Refusal::Rds(error.message))), known)
        }
        Err(StepError::Turn(TurnError::Aws(error)) | StepError::Rds(error)) => return Err(error.into()),
        Err(StepError::TooLong) => return Err(ProgressError::TooLong),
    };
    match taken {
        Taken::Again(pause) => {
            let seconds = pause.as_millis().div_ceil(1000).try_into().unwrap_or(1);
            Ok(Progress { done: false, seconds, asked_at })
        }
        Taken::Answer(outcome) => {
            let answer = Answer::new(&addressee, &request.physical_id, outcome);
            function.responder.send(&addressee, &answer).await?;
            Ok(Progress::DONE)
        }
    }
}

/// Why no step was taken.
enum StepError {
    Turn(TurnError),
    Rds(AwsError),
    TooLong,
}

impl DatabaseProgress {
    /// Observes, decides, and acts if it's this request's turn. Also returns when CloudFormation sent the request.
    async fn step(
        &self,
        addressee: &Addressee,
        asked: &Asked,
        request: &DatabaseRequest,
        now: OffsetDateTime,
        known: Option<OffsetDateTime>,
    ) -> Result<(Taken, OffsetDateTime), StepError> {
        let began = Instant::now();
        let clock = |asked_at: OffsetDateTime| Clock {
            elapsed: (now - asked_at).try_into().unwrap_or(Duration::ZERO),
        };
        let observed = self.observe(&request.request).await.map_err(StepError::Rds)?;
        // Waiting needs no turn, because it changes nothing.
        if let Some(asked_at) = known
            && let Step::Wait(pause) = decide(&request.request, &observed, clock(asked_at))
        {
            return Ok((Taken::Again(pause), asked_at));
        }
        let (turn, _) = self.turns.look(&addressee.stack_id, asked).await.map_err(StepError::Turn)?;
        // The turn starts with the observation, so that no action is based on anything older.
        let wait = turn.begins_at - now;
        if wait.is_positive() {
            return Ok((Taken::Again(wait.unsigned_abs()), turn.asked_at));
        }
        if began.elapsed() >= TURN {
            return Ok((Taken::Again(AFTER_A_SURPRISE), turn.asked_at));
        }
        let act = self.act(request, observed, clock(turn.asked_at));
        let taken = timeout_at(began + TURN, act).await.map_err(|_| StepError::TooLong)?;
        Ok((taken.map_err(StepError::Rds)?, turn.asked_at))
    }

    /// Decides, and acts.
    async fn act(
        &self,
        request: &DatabaseRequest,
        mut observed: Observed,
        clock: Clock,
    ) -> Result<Taken, AwsError> {
        let identifier = request.request.stage.identifier();
        let mut step = decide(&request.request, &observed, clock);
        if step == Step::ObserveSnapshots {
            // After the instance: once it's gone, its final snapshot exists.
            observed.snapshots = Some(self.databases.snapshots(&identifier).await?);
            step = decide(&request.request, &observed, clock);
        }
        let begun = match step {
            Step::Finish(attributes) => return Ok(Taken::Answer(succeeded(&attributes))),
            Step::Refuse(refusal) => {
                return Ok(Taken::Answer(self.explained(&identifier, &refusal, clock).await));
            }
            Step::Wait(pause) => return Ok(Taken::Again(pause)),
            // Can't happen after they were observed. If it does, the next call looks again.
            Step::ObserveSnapshots => return Ok(Taken::Again(AFTER_A_SURPRISE)),
            Step::Create(created) => self.create(request, &created).await,
            Step::Restore { created, snapshot, has_credentials } => {
                let (stage, owner) = (&request.request.stage, &request.request.owner);
                self.databases.restore(stage, owner, &created, &snapshot, has_credentials).await
            }
            Step::SetPassword(generation) => self.set_password(request, &generation).await,
            Step::Snapshot(snapshot) => self.take_snapshot(request, &snapshot).await,
            Step::Modify(changes) => self.databases.modify(&identifier, &changes).await,
            Step::Delete { final_snapshot } => {
                self.databases.delete(&identifier, final_snapshot.as_ref()).await
            }
        };
        match begun {
            Ok(()) => {
                let [soon, later] = AFTER_A_CHANGE;
                Ok(Taken::Again(if clock.elapsed < QUICK { soon } else { later }))
            }
            Err(WriteError::ObserveAgain(error)) => {
                info!(identifier, code = error.code, reason = error.message, "observed again");
                Ok(Taken::Again(AFTER_A_SURPRISE))
            }
            Err(WriteError::Refused(words)) => Ok(Taken::Answer(failed(&Refusal::Rds(words)))),
            Err(WriteError::Aws(error)) => Err(error),
        }
    }

    /// The instance, and the database to attach.
    async fn observe(&self, request: &database::Request) -> Result<Observed, AwsError> {
        let instance = self.databases.instance(&request.stage.identifier()).await?;
        let attached = match &request.desired {
            Desired::Attached(attached) => {
                self.databases.find(attached.kind, attached.identifier.as_ref()).await?
            }
            Desired::None | Desired::Created(_) => None,
        };
        Ok(Observed { instance, attached: attached.map(|found| found.database), snapshots: None })
    }

    /// Adds the last RDS event to a refusal that it may explain.
    async fn explained(&self, identifier: &str, refusal: &Refusal, clock: Clock) -> Outcome {
        if !matches!(refusal, Refusal::Failed { .. } | Refusal::GaveUp(_) | Refusal::NoFinalSnapshot { .. }) {
            return failed(refusal);
        }
        let within = time::Duration::try_from(clock.elapsed).unwrap_or(time::Duration::HOUR);
        let within = within + time::Duration::minutes(2);
        // Without an event, the refusal is enough.
        let events = self.databases.events(identifier, within).await.unwrap_or_default();
        match events.last() {
            Some((_, message)) => Outcome::Failed(format!("{refusal} RDS says: {}", message.trim())),
            None => failed(refusal),
        }
    }

    async fn create(&self, request: &DatabaseRequest, created: &Created) -> Result<(), WriteError> {
        let credentials = self.credentials(request, &created.generation).await?;
        let (stage, owner) = (&request.request.stage, &request.request.owner);
        self.databases.create(stage, owner, created, &credentials).await
    }

    async fn set_password(
        &self,
        request: &DatabaseRequest,
        generation: &Generation,
    ) -> Result<(), WriteError> {
        let credentials = self.credentials(request, generation).await?;
        let (stage, owner) = (&request.request.stage, &request.request.owner);
        self.databases.set_password(stage, owner, generation, &credentials).await
    }

    async fn take_snapshot(
        &self,
        request: &DatabaseRequest,
        snapshot: &SnapshotId,
    ) -> Result<(), WriteError> {
        let Desired::Created(created) = &request.request.desired else { return Ok(()) };
        let (stage, owner) = (&request.request.stage, &request.request.owner);
        self.databases.take_snapshot(stage, owner, created, snapshot).await
    }

    /// Reads the credentials back from the secret that they were written to first, so that the secret and the database
    /// agree.
    async fn credentials(
        &self,
        request: &DatabaseRequest,
        generation: &Generation,
    ) -> Result<Credentials, WriteError> {
        let label = generation.staging_label();
        let mut version =
            self.secrets.labelled(&request.secret_arn, &label).await.map_err(WriteError::Aws)?;
        // With the app login, the master user has a secret of its own.
        if version.is_none() && request.has_app_login {
            let name = request.request.stage.master_secret_name();
            version = self.secrets.labelled(&name, &label).await.map_err(WriteError::Aws)?;
        }
        version.map(|version| version.value.credentials).ok_or_else(|| {
            WriteError::Refused("the secret has no username and password for this database".to_owned())
        })
    }
}

fn decide(request: &database::Request, observed: &Observed, clock: Clock) -> Step {
    let step = next_step(request, observed, clock);
    let identifier = request.stage.identifier();
    info!(identifier, step = name(&step), elapsed_seconds = clock.elapsed.as_secs(), "next step");
    step
}

fn failed(refusal: &Refusal) -> Outcome {
    Outcome::Failed(refusal.to_string())
}

/// The attributes that stage.yaml reads. All of them are always set, because CloudFormation fails if one is missing.
fn succeeded(attributes: &Attributes) -> Outcome {
    let none = || "none".to_owned();
    let database = attributes.database.as_ref();
    let text = |value: Option<String>| value.unwrap_or_else(none);
    Outcome::Success(BTreeMap::from([
        ("Identifier", text(database.map(|d| d.identifier.clone()))),
        ("Host", text(database.map(|d| d.endpoint.host.clone()))),
        ("Port", text(database.map(|d| d.endpoint.port.to_string()))),
        ("DatabaseName", text(database.map(|d| d.database_name.clone()))),
        ("AccessGroupId", text(database.and_then(|d| d.access_group.clone()))),
    ]))
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::ObserveSnapshots => "observe snapshots",
        Step::Create(_) => "create",
        Step::Restore { .. } => "restore",
        Step::Modify(_) => "modify",
        Step::SetPassword(_) => "set password",
        Step::Snapshot(_) => "snapshot",
        Step::Delete { .. } => "delete",
        Step::Wait(_) => "wait",
        Step::Finish(_) => "finish",
        Step::Refuse(_) => "refuse",
    }
}
