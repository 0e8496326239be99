//! One step of a database's life per call: observe RDS, ask for the next step, do it if it is this request's turn, and say when
//! to come again.
//!
//! The state machine calls until it is told `done`. Of what was seen only the time of the request is kept between two calls,
//! so a crash after any call, a repeat and a lost reply all lead to the same end.

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

/// How long RDS is left alone after a call that changed something: a moment while everything may be quick, longer later.
const AFTER_A_CHANGE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];
/// Until when everything may be quick.
const QUICK: Duration = Duration::from_mins(2);
/// How long RDS is left alone when it was in another state than it had just shown.
const AFTER_A_SURPRISE: Duration = Duration::from_secs(5);

/// Whose work has to be over before a database is worked on.
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
    /// Ready to handle events.
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

/// What the state machine is told, and tells in the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Whether CloudFormation has its answer.
    pub done: bool,
    /// In how many seconds to call again.
    pub seconds: u64,
    /// When CloudFormation asked, as its events say: with it a call that only waits does not read them again.
    #[serde(with = "rfc3339::option")]
    pub asked_at: Option<OffsetDateTime>,
}

impl Progress {
    const DONE: Self = Self { done: true, seconds: 0, asked_at: None };

    /// What the call before has told; nothing in the first one.
    fn asked_at(event: &Value) -> Option<OffsetDateTime> {
        Self::deserialize(event.get("progress")?).ok()?.asked_at
    }
}

/// Why a call failed. The state machine tries again, and in the end has CloudFormation answered with a failure.
#[derive(Debug, Error)]
pub enum ProgressError {
    /// AWS is too slow for one step in one turn.
    #[error("the step took longer than a turn")]
    TooLong,
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

/// What a step came to.
enum Taken {
    /// Come again after this time.
    Again(Duration),
    /// CloudFormation gets this answer.
    Answer(Outcome),
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
        // An answer that nobody waits for does no harm, and if CloudFormation's events are wrong the stack does not hang.
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
    /// Observes, decides, and does what was decided if it is this request's turn; and when CloudFormation asked.
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
        // To wait takes no turn: where nothing is written nothing can be wrong.
        if let Some(asked_at) = known
            && let Step::Wait(pause) = decide(&request.request, &observed, clock(asked_at))
        {
            return Ok((Taken::Again(pause), asked_at));
        }
        let (turn, _) = self.turns.look(&addressee.stack_id, asked).await.map_err(StepError::Turn)?;
        // The turn begins with what was observed, so that what is done rests on nothing older.
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

    /// Decides, and does what was decided.
    async fn act(
        &self,
        request: &DatabaseRequest,
        mut observed: Observed,
        clock: Clock,
    ) -> Result<Taken, AwsError> {
        let identifier = request.request.stage.identifier();
        let mut step = decide(&request.request, &observed, clock);
        if step == Step::ObserveSnapshots {
            // After the instance: once it is seen to be gone, its final snapshot is there to be seen.
            observed.snapshots = Some(self.databases.snapshots(&identifier).await?);
            step = decide(&request.request, &observed, clock);
        }
        let begun = match step {
            Step::Finish(attributes) => return Ok(Taken::Answer(succeeded(&attributes))),
            Step::Refuse(refusal) => {
                return Ok(Taken::Answer(self.explained(&identifier, &refusal, clock).await));
            }
            Step::Wait(pause) => return Ok(Taken::Again(pause)),
            // Not after they were observed; another look would show it.
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

    /// A refusal that RDS's own events may explain, with the last of them.
    async fn explained(&self, identifier: &str, refusal: &Refusal, clock: Clock) -> Outcome {
        if !matches!(refusal, Refusal::Failed { .. } | Refusal::GaveUp(_) | Refusal::NoFinalSnapshot { .. }) {
            return failed(refusal);
        }
        let within = time::Duration::try_from(clock.elapsed).unwrap_or(time::Duration::HOUR);
        let within = within + time::Duration::minutes(2);
        // Without an event the refusal stands for itself.
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

    /// The credentials are read back from where they were written first, so that the secret and the database agree.
    async fn credentials(
        &self,
        request: &DatabaseRequest,
        generation: &Generation,
    ) -> Result<Credentials, WriteError> {
        let label = generation.staging_label();
        let version = self.secrets.labelled(&request.secret_arn, &label).await.map_err(WriteError::Aws)?;
        version.map(|version| version.value.credentials).ok_or_else(|| {
            WriteError::Refused("the secret holds no username and password for this database".to_owned())
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

/// The attributes that stage.yaml reads. All are always there, as CloudFormation fails on one that is missing.
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
