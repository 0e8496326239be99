//! The connections from all places where a stage's services run: starting a client task in each, and looking at them.

use std::time::Duration;

use aws::{AwsError, Place, Run, RunError};
use database::{
    Attempt, AttemptOutcome, ClientFailure, ClientTask, Registration, client_result, connect_command,
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tracing::{info, warn};

use crate::ClientProgress;

/// How long to wait for the output of a task that has stopped: CloudWatch Logs shows it a moment later.
const OUTPUT_LIMIT: Duration = Duration::from_secs(10);
/// How long to wait for a task to stop after it was told to.
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// How long to wait between two looks: a moment at first, longer after that.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// How long the first pauses are used.
const QUICK: Duration = Duration::from_secs(10);
/// ECS shows this reason when it stops a task for us.
const TOO_LONG: &str = "stagedb: the client task took too long";

fn attempt(place: &Place, outcome: AttemptOutcome) -> Attempt {
    Attempt {
        of: place.of.clone(),
        cluster: place.cluster.clone(),
        security_groups: place.security_groups.clone(),
        execution_role_arn: place.execution_role_arn.clone(),
        outcome,
    }
}

/// How long to wait before the next look.
pub(crate) fn pause(started_at: OffsetDateTime, now: OffsetDateTime) -> Duration {
    let [soon, later] = PAUSES;
    if now - started_at < QUICK { soon } else { later }
}

impl ClientProgress {
    /// The places where the tasks of a stage's services and jobs run, each once.
    pub(crate) async fn places(&self, registration: &Registration) -> Result<Vec<Place>, AwsError> {
        let services = self.services.look(&registration.services).await?;
        let mut places: Vec<Place> = services.iter().filter_map(Place::of_service).collect();
        // A job runs where somebody starts it, which is where the services are.
        if let Some(first) = places.first().cloned() {
            for job in &registration.jobs {
                let definition = self.definitions.latest(job.family.as_ref()).await?;
                places.extend(definition.and_then(|definition| first.of_job(job, &definition)));
            }
        }
        Ok(Place::distinct(places))
    }

    /// Starts a task in each place. Safe to repeat with the same token.
    pub(crate) async fn start(
        &self,
        places: &[Place],
        task_definition_arn: &str,
        token: &str,
    ) -> Result<Vec<Attempt>, AwsError> {
        let command = connect_command();
        let mut attempts = Vec::with_capacity(places.len());
        for place in places {
            let token = token_in(place, token);
            let run = Run { task_definition_arn, command: &command, token: &token };
            let outcome = match self.tasks.run(place, run).await {
                Ok(task) => AttemptOutcome::Running { task, stopped: None, late: None },
                Err(RunError::NoCapacity(words)) => AttemptOutcome::failed(&ClientFailure::Capacity(words)),
                Err(RunError::Aws(error)) if error.refused => {
                    AttemptOutcome::failed(&ClientFailure::NotRun(error.message))
                }
                Err(RunError::Aws(error)) => return Err(error),
            };
            info!(of = place.of, ?outcome, "started a client task");
            attempts.push(attempt(place, outcome));
        }
        Ok(attempts)
    }

    /// Looks at the tasks that are running. Returns whether all have ended.
    pub(crate) async fn look(
        &self,
        attempts: &mut [Attempt],
        log_group: &str,
        elapsed: Duration,
        limit: Duration,
        now: OffsetDateTime,
    ) -> Result<bool, AwsError> {
        for attempt in attempts.iter_mut() {
            let AttemptOutcome::Running { task, stopped, late } = attempt.outcome.clone() else { continue };
            let minutes = limit.as_secs() / 60;
            match (self.tasks.look(&attempt.cluster, &task).await?, late) {
                (ClientTask::Gone, _) => attempt.outcome = AttemptOutcome::failed(&ClientFailure::Gone),
                (ClientTask::Running(_), Some(status)) if elapsed > limit + STOP_LIMIT => {
                    warn!(task, "the client task doesn't stop");
                    attempt.outcome = AttemptOutcome::failed(&ClientFailure::TimedOut { minutes, status });
                }
                (ClientTask::Running(_), Some(_)) => {}
                (ClientTask::Running(status), None) if elapsed > limit => {
                    self.tasks.stop(&attempt.cluster, &task, TOO_LONG).await?;
                    attempt.outcome = AttemptOutcome::Running { task, stopped, late: Some(status) };
                }
                (ClientTask::Running(_), None) => {}
                (ClientTask::Stopped(ended), _) if ended.has_succeeded() => {
                    attempt.outcome = AttemptOutcome::Connected
                }
                (ClientTask::Stopped(_), Some(status)) => {
                    attempt.outcome = AttemptOutcome::failed(&ClientFailure::TimedOut { minutes, status })
                }
                (ClientTask::Stopped(ended), None) => {
                    let output =
                        if ended.has_output() { self.tasks.output(log_group, &task).await? } else { None };
                    let since = stopped.unwrap_or(now);
                    if ended.has_output() && output.is_none() && now - since < OUTPUT_LIMIT {
                        attempt.outcome = AttemptOutcome::Running { task, stopped: Some(since), late: None };
                    } else if let Err(failure) = client_result(&ended, output.as_deref()) {
                        attempt.outcome = AttemptOutcome::failed(&failure);
                    }
                }
            }
        }
        Ok(attempts.iter().all(|attempt| !matches!(attempt.outcome, AttemptOutcome::Running { .. })))
    }
}

/// Identifies the task of a request in a place.
fn token_in(place: &Place, token: &str) -> String {
    let mut groups = place.security_groups.clone();
    groups.sort();
    let mut hash = Sha256::new().chain_update(token);
    for part in [place.cluster.clone(), groups.join(","), place.execution_role_arn.clone()] {
        hash.update([0]);
        hash.update(part);
    }
    hash.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
