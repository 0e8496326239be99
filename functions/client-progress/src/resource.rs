//! `Custom::PostgresProof` connects from every place where the stage's services run, before anything is published.
//! `Custom::PostgresLogins` gives a login its password before that. Both work the same way: clients do it.

use std::collections::BTreeMap;

use aws::{AwsError, LOGINS_LABEL, PROOF_LABEL, TurnError};
use custom_resource::{Addressee, Answer, Outcome as Answered, Request};
use database::{
    After, Asked, Attempt, AttemptOutcome, Login, PROOF_LIMIT, connect_command, logins_command,
    settle_command,
};
use serde_json::Value;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::time::timeout_at;
use tracing::info;

use crate::{
    ClientProgress, Progress, ProgressError,
    attempts::{Look, Work, attempt, pause},
    request::{ClientRequest, LoginSetup, Purpose, client_request},
};

/// The requests that must be over before clients run.
const BEFORE_PROOF: &[After] = &[After::Failed("Proof")];
const BEFORE_LOGINS: &[After] = &[After::Failed("Logins")];

/// Why nothing could be tried.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    #[error(transparent)]
    Turn(TurnError),
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("The secret has no username and password for this database.")]
    NoCredentials,
    #[error("Something else changed the secret at the same time. Save again.")]
    ChangedMeanwhile,
    #[error("the step took longer than a turn")]
    TooLong,
}

/// What a step led to.
enum Taken {
    Again(Progress),
    Answer(Answered),
}

impl ClientProgress {
    /// Takes the next step of a request.
    pub(crate) async fn serve(
        &self,
        event: &Value,
        progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let addressee = Addressee::from_event(event)?;
        let parsed = Request::from_event(event).and_then(|request| Ok((request.physical_id()?, request)));
        let parsed = parsed.and_then(|(id, request)| Ok((id, client_request(&request)?, request)));
        let (physical_id, wanted, request) = match parsed {
            Ok(parsed) => parsed,
            Err(invalid) => {
                self.responder.send(&addressee, &Answer::invalid(&addressee, event, &invalid)).await?;
                return Ok(Progress::done());
            }
        };
        if let Ok(stage) = request.properties.stage() {
            lambda::log_stage(&stage.stack, &stage.stage);
        }
        let taken = match wanted {
            None => Ok(Taken::Answer(Answered::Success(BTreeMap::new()))),
            Some(wanted) => self.step(&addressee, &request, &wanted, progress, now).await,
        };
        let answer = match taken {
            Ok(Taken::Again(progress)) => return Ok(progress),
            Ok(Taken::Answer(answer)) => answer,
            // An answer that CloudFormation no longer waits for does no harm.
            Err(ClientError::Turn(over @ TurnError::Over)) => Answered::Failed(format!("{over}.")),
            Err(ClientError::Turn(TurnError::Aws(error)) | ClientError::Aws(error)) if error.refused => {
                Answered::Failed(format!(
                    "The connection couldn't be tested: {} ({})",
                    error.message, error.code
                ))
            }
            Err(ClientError::Turn(TurnError::Aws(error)) | ClientError::Aws(error)) => {
                return Err(error.into());
            }
            Err(ClientError::TooLong) => return Err(ProgressError::TooLong),
            Err(error @ (ClientError::NoCredentials | ClientError::ChangedMeanwhile)) => {
                Answered::Failed(error.to_string())
            }
        };
        self.responder.send(&addressee, &Answer::new(&addressee, &physical_id, answer)).await?;
        Ok(Progress::done())
    }

    async fn step(
        &self,
        addressee: &Addressee,
        request: &Request,
        wanted: &ClientRequest,
        mut progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Taken, ClientError> {
        let token = addressee.token();
        let command = match &wanted.purpose {
            Purpose::Proof => connect_command(),
            Purpose::Logins(setup) if setup.login.is_master => settle_command(),
            Purpose::Logins(_) => logins_command(),
        };
        let work = work(wanted, &command, &token);
        let Some(started_at) = progress.started_at else {
            let before = match wanted.purpose {
                Purpose::Proof => BEFORE_PROOF,
                Purpose::Logins(_) => BEFORE_LOGINS,
            };
            return self.begin(addressee, &request.asked(addressee, before), wanted, work, now).await;
        };
        let look = Look { log_group: &wanted.log_group, started_at, now, limit: PROOF_LIMIT };
        if !self.advance(&mut progress.attempts, work, look).await? {
            return Ok(Taken::Again(progress.again(pause(started_at, now))));
        }
        let answer = answer(&wanted.purpose, &progress.attempts);
        match &wanted.purpose {
            Purpose::Proof => {
                if matches!(answer, Answered::Failed(_)) {
                    // What was refused isn't kept for the next client.
                    self.secrets.forget(&wanted.secret_arn, PROOF_LABEL, &token).await?;
                }
            }
            Purpose::Logins(LoginSetup { master_secret_arn, .. }) => {
                // The client may have read what something else stored. Without the label, this was done before.
                let labelled = self.secrets.labelled(master_secret_arn, LOGINS_LABEL).await?;
                if labelled.is_some_and(|version| version.id != token) {
                    return Err(ClientError::ChangedMeanwhile);
                }
                self.secrets.forget(master_secret_arn, LOGINS_LABEL, &token).await?;
            }
        }
        Ok(Taken::Answer(answer))
    }

    /// Starts the first tasks when it's this request's turn.
    async fn begin(
        &self,
        addressee: &Addressee,
        asked: &Asked,
        wanted: &ClientRequest,
        work: Work<'_>,
        now: OffsetDateTime,
    ) -> Result<Taken, ClientError> {
        let (turn, deadline) =
            self.turns.look(&addressee.stack_id, asked).await.map_err(ClientError::Turn)?;
        // It goes back to what was proved before, which nothing has touched, and mustn't fail.
        if turn.is_rollback {
            info!("a rollback needs no client");
            return Ok(Taken::Answer(Answered::Success(BTreeMap::new())));
        }
        let wait = turn.begins_at - now;
        if wait.is_positive() {
            return Ok(Taken::Again(Progress::default().again(wait.unsigned_abs())));
        }
        let put_aside = async {
            match &wanted.purpose {
                Purpose::Proof => self.put_aside_for_proof(wanted, work.token).await,
                Purpose::Logins(setup) => self.put_aside_for_logins(wanted, setup, work.token).await,
            }
        };
        timeout_at(deadline, put_aside).await.map_err(|_| ClientError::TooLong)??;
        let places = self.places(work).await?;
        let mut attempts: Vec<_> = places.iter().map(attempt).collect();
        if attempts.is_empty() {
            info!("no service is active, so no client runs");
            return Ok(Taken::Answer(without_a_service(&wanted.purpose)));
        }
        self.start(&mut attempts, &places, work, now).await?;
        let progress = Progress { started_at: Some(now), attempts, ..Progress::default() };
        Ok(Taken::Again(progress.again(pause(now, now))))
    }
}

fn work<'a>(wanted: &'a ClientRequest, command: &'a str, token: &'a str) -> Work<'a> {
    let master_role = match &wanted.purpose {
        Purpose::Proof => None,
        Purpose::Logins(setup) => Some(setup.role_arn.as_str()),
    };
    let (registration, task_definition_arn) = (&wanted.registration, &wanted.task_definition_arn);
    Work { registration, task_definition_arn, command, master_role, token }
}

fn without_a_service(purpose: &Purpose) -> Answered {
    match purpose {
        Purpose::Proof => Answered::Success(BTreeMap::new()),
        Purpose::Logins(setup) => Answered::Failed(format!(
            "{}, because no service of the stage is active, so there is no place from where stagedb can reach the database.",
            failed(&setup.login)
        )),
    }
}

/// What a client for logins couldn't do.
fn failed(login: &Login) -> &'static str {
    if login.is_master {
        "The logins in the snapshot couldn't be disabled"
    } else {
        "The app login couldn't be set up"
    }
}

/// Only if every client succeeded, the stack goes on.
fn answer(purpose: &Purpose, attempts: &[Attempt]) -> Answered {
    let failures: Vec<_> = attempts.iter().filter_map(Attempt::failure).collect();
    if attempts.iter().all(|attempt| attempt.outcome == AttemptOutcome::Connected) {
        return Answered::Success(BTreeMap::new());
    }
    let what = match purpose {
        Purpose::Proof => "The connection test failed",
        Purpose::Logins(setup) => failed(&setup.login),
    };
    Answered::Failed(format!("{what}. {}.", failures.join(". ")))
}
