//! `Custom::PostgresProof`: connects from every place where the stage's services run, before anything is published.

use std::collections::BTreeMap;

use aws::{AwsError, PROOF_LABEL, PutError, SecretValue, TurnError};
use custom_resource::{Addressee, Answer, Outcome as Answered, Request};
use database::{After, Asked, Attempt, AttemptOutcome, PROOF_LIMIT};
use serde_json::Value;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::time::timeout_at;
use tracing::info;

use crate::{
    ClientProgress, Progress, ProgressError,
    attempts::{Look, attempt, pause},
    request::{ProofRequest, proof_request},
};

/// The requests that must be over before a proof starts.
const BEFORE: &[After] = &[After::Failed("Proof")];

/// Why nothing could be tried.
#[derive(Debug, Error)]
enum ProofError {
    #[error(transparent)]
    Turn(TurnError),
    #[error(transparent)]
    Aws(AwsError),
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
    pub(crate) async fn prove(
        &self,
        event: &Value,
        progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let addressee = Addressee::from_event(event)?;
        let parsed = Request::from_event(event).and_then(|request| Ok((request.physical_id()?, request)));
        let parsed = parsed.and_then(|(id, request)| Ok((id, proof_request(&request)?, request)));
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
            Err(ProofError::Turn(over @ TurnError::Over)) => Answered::Failed(format!("{over}.")),
            Err(ProofError::Turn(TurnError::Aws(error)) | ProofError::Aws(error)) if error.refused => {
                Answered::Failed(format!(
                    "The connection couldn't be tested: {} ({})",
                    error.message, error.code
                ))
            }
            Err(ProofError::Turn(TurnError::Aws(error)) | ProofError::Aws(error)) => return Err(error.into()),
            Err(ProofError::TooLong) => return Err(ProgressError::TooLong),
            Err(error @ (ProofError::NoCredentials | ProofError::ChangedMeanwhile)) => {
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
        wanted: &ProofRequest,
        mut progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Taken, ProofError> {
        let Some(started_at) = progress.started_at else {
            return self.begin(addressee, &request.asked(addressee, BEFORE), wanted, now).await;
        };
        let token = addressee.token();
        let limit = PROOF_LIMIT;
        let look = Look { log_group: &wanted.log_group, started_at, now, limit };
        let arn = &wanted.task_definition_arn;
        let advanced = self.advance(&mut progress.attempts, &wanted.registration, arn, &token, look).await;
        if !advanced.map_err(ProofError::Aws)? {
            return Ok(Taken::Again(progress.again(pause(started_at, now))));
        }
        let answer = answer(&progress.attempts);
        if matches!(answer, Answered::Failed(_)) {
            // What was refused isn't kept for the next client.
            self.secrets.forget(&wanted.secret_arn, PROOF_LABEL, &token).await.map_err(ProofError::Aws)?;
        }
        Ok(Taken::Answer(answer))
    }

    /// Starts the first tasks when it's this request's turn.
    async fn begin(
        &self,
        addressee: &Addressee,
        asked: &Asked,
        wanted: &ProofRequest,
        now: OffsetDateTime,
    ) -> Result<Taken, ProofError> {
        let (turn, deadline) = self.turns.look(&addressee.stack_id, asked).await.map_err(ProofError::Turn)?;
        // It goes back to what was proved before, and mustn't fail.
        if turn.is_rollback {
            info!("a rollback needs no proof");
            return Ok(Taken::Answer(Answered::Success(BTreeMap::new())));
        }
        let wait = turn.begins_at - now;
        if wait.is_positive() {
            return Ok(Taken::Again(Progress::default().again(wait.unsigned_abs())));
        }
        let put_aside = self.put_aside(addressee, wanted);
        timeout_at(deadline, put_aside).await.map_err(|_| ProofError::TooLong)??;
        let places = self.places(&wanted.registration).await.map_err(ProofError::Aws)?;
        let mut attempts: Vec<_> = places.iter().map(attempt).collect();
        if attempts.is_empty() {
            info!("no service is active, so nothing connects");
            return Ok(Taken::Answer(Answered::Success(BTreeMap::new())));
        }
        let (arn, token) = (&wanted.task_definition_arn, addressee.token());
        self.start(&mut attempts, &places, arn, &token).await.map_err(ProofError::Aws)?;
        let progress = Progress { started_at: Some(now), attempts, ..Progress::default() };
        Ok(Taken::Again(progress.again(pause(now, now))))
    }

    /// Stores what's about to be published where only the client reads it.
    async fn put_aside(&self, addressee: &Addressee, wanted: &ProofRequest) -> Result<(), ProofError> {
        let label = wanted.generation.staging_label();
        let version = self.secrets.labelled(&wanted.secret_arn, &label).await.map_err(ProofError::Aws)?;
        let credentials = version.ok_or(ProofError::NoCredentials)?.value.credentials;
        let value = SecretValue::of(credentials, &wanted.connection);
        match self.secrets.put_aside(&wanted.secret_arn, &addressee.token(), &value, PROOF_LABEL).await {
            Ok(()) => Ok(()),
            Err(PutError::PutBefore) => Err(ProofError::ChangedMeanwhile),
            Err(PutError::Aws(error)) => Err(ProofError::Aws(error)),
        }
    }
}

/// Only if every place connected, the stack goes on.
fn answer(attempts: &[Attempt]) -> Answered {
    let failures: Vec<_> = attempts.iter().filter_map(Attempt::failure).collect();
    if attempts.iter().all(|attempt| attempt.outcome == AttemptOutcome::Connected) {
        return Answered::Success(BTreeMap::new());
    }
    Answered::Failed(format!("The connection test failed. {}.", failures.join(". ")))
}
