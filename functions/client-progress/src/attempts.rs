//! The connections from all places where a stage's services run: starting a client task in each, and looking at them.

use std::time::Duration;

use aws::{AwsError, Place, Run, RunError};
use database::{
    Attempt, AttemptOutcome, ClientFailure, ClientTask, Registration, StoppedTask, client_result, hex,
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tracing::{info, warn};

use crate::ClientProgress;

/// How many tasks to start in one call, which has to end within a turn.
const STARTS: usize = 5;
/// How many tasks to start for one connection, if they end without having tried it.
const TRIES: u8 = 3;
/// How long a connection that wasn't tried is tried again.
const TRY_AGAIN: Duration = Duration::from_mins(2);
/// How long to wait before another task is started where there was no room for one.
const NO_ROOM: Duration = Duration::from_secs(20);
/// How long to wait for the output of a task that has stopped: CloudWatch Logs shows it a moment later.
const OUTPUT_LIMIT: Duration = Duration::from_secs(10);
/// How long to wait for a task to stop after it was told to. Fargate gives it 30 s.
const STOP_LIMIT: Duration = Duration::from_mins(2);
/// How long to wait between two looks: a moment at first, longer after that.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// How long the first pauses are used.
const QUICK: Duration = Duration::from_secs(10);
/// The client that logs in as the master user, for users.
const MASTER_CLIENT: &str = "master user's client";
/// ECS shows this reason when it stops a task for us.
const TOO_LONG: &str = "stagedb: the client task took too long";

/// What the tasks of a request run, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work<'a> {
    /// The services and jobs.
    pub(crate) registration: &'a Registration,
    /// The ARN of the client's task definition.
    pub(crate) task_definition_arn: &'a str,
    /// The client's command.
    pub(crate) command: &'a str,
    /// The execution role of the master user's client, which runs once. `None`: a client runs in each place, with the execution
    /// role of the service there.
    pub(crate) master_role: Option<&'a str>,
    /// Identifies the request. Repeated with the same, it starts the same tasks.
    pub(crate) token: &'a str,
}

/// The time of a look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    /// The client's log group.
    pub(crate) log_group: &'a str,
    /// When the first task was started.
    pub(crate) started_at: OffsetDateTime,
    /// The time.
    pub(crate) now: OffsetDateTime,
    /// How long the tasks may take.
    pub(crate) limit: Duration,
}

impl Look<'_> {
    fn elapsed(&self) -> Duration {
        (self.now - self.started_at).try_into().unwrap_or_default()
    }

    fn too_late(&self, status: String) -> ClientFailure {
        ClientFailure::TimedOut { minutes: self.limit.as_secs() / 60, status }
    }
}

/// How long to wait before the next look.
pub(crate) fn pause(started_at: OffsetDateTime, now: OffsetDateTime) -> Duration {
    let [soon, later] = PAUSES;
    if now - started_at < QUICK { soon } else { later }
}

/// A connection from a place, which is about to be tried.
pub(crate) fn attempt(place: &Place) -> Attempt {
    Attempt {
        of: place.of.clone(),
        cluster: place.cluster.clone(),
        security_groups: place.security_groups.clone(),
        execution_role_arn: place.execution_role_arn.clone(),
        tries: 0,
        outcome: AttemptOutcome::Waiting { until: None },
    }
}

impl ClientProgress {
    /// Where the tasks run.
    pub(crate) async fn places(&self, work: Work<'_>) -> Result<Vec<Place>, AwsError> {
        let places = self.places_of(work.registration).await?;
        let Some(role) = work.master_role else { return Ok(places) };
        let first = places.into_iter().next();
        Ok(first.map(|place| place.as_role(MASTER_CLIENT.to_owned(), role)).into_iter().collect())
    }

    /// The places where the tasks of a stage's services and jobs run, each once.
    async fn places_of(&self, registration: &Registration) -> Result<Vec<Place>, AwsError> {
        let services = self.services.look(&registration.services).await?;
        let mut places: Vec<Place> = services.iter().filter_map(Place::of_service).collect();
        // A job runs where somebody starts it, which is where the services are.
        if let Some(first) = places.first().cloned() {
            for job in &registration.jobs {
                let definition = self.definitions.latest(job.family.as_ref()).await?;
                places.extend(definition.and_then(|definition| first.of_job(job, &definition)));
            }
        }
        let (listed, found) = (registration.services.len() + registration.jobs.len(), places.len());
        if found < listed {
            info!(listed, found, "some services or jobs aren't active, so nothing connects from there");
        }
        Ok(Place::distinct(places))
    }

    /// Starts tasks for some of the connections that wait for one. Safe to repeat with the same token.
    pub(crate) async fn start(
        &self,
        attempts: &mut [Attempt],
        places: &[Place],
        work: Work<'_>,
        now: OffsetDateTime,
    ) -> Result<(), AwsError> {
        let Work { task_definition_arn, command, .. } = work;
        let waiting = attempts.iter_mut().filter(|attempt| attempt.waits_for_a_task(now));
        for attempt in waiting.take(STARTS) {
            let Some(place) = places.iter().find(|place| place.of == attempt.of) else {
                let words = "it's no longer active".to_owned();
                attempt.outcome = AttemptOutcome::failed(&ClientFailure::NotRun(words));
                continue;
            };
            let token = token_in(place, attempt.tries, work.token);
            let run = Run { task_definition_arn, command, token: &token };
            match self.tasks.run(place, run).await {
                Ok(task) => {
                    info!(of = place.of, task, "started a client task");
                    let since = Some(now);
                    attempt.outcome =
                        AttemptOutcome::Running { task, since, seen: false, stopped: None, late: None };
                }
                Err(RunError::NoCapacity(words)) => fail(attempt, &ClientFailure::Capacity(words), true, now),
                Err(RunError::Aws(error)) if error.refused => {
                    attempt.outcome = AttemptOutcome::failed(&ClientFailure::NotRun(error.message));
                }
                Err(RunError::Aws(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Looks at the tasks, and starts those that connections wait for. Returns whether everything is known.
    pub(crate) async fn advance(
        &self,
        attempts: &mut [Attempt],
        work: Work<'_>,
        look: Look<'_>,
    ) -> Result<bool, AwsError> {
        self.look(attempts, look).await?;
        if attempts.iter().any(|attempt| attempt.waits_for_a_task(look.now)) {
            let places = self.places(work).await?;
            self.start(attempts, &places, work, look.now).await?;
        }
        Ok(are_over(attempts))
    }

    /// Looks at the tasks that are running.
    async fn look(&self, attempts: &mut [Attempt], look: Look<'_>) -> Result<(), AwsError> {
        let elapsed = look.elapsed();
        for attempt in attempts.iter_mut() {
            let AttemptOutcome::Running { task, since, stopped, late, .. } = attempt.outcome.clone() else {
                continue;
            };
            let found = match self.tasks.look(&attempt.cluster, &task).await {
                // Without the task, ECS doesn't see the tag that the permission asks for.
                Err(error) if error.code == "AccessDeniedException" => ClientTask::Gone,
                found => found?,
            };
            let is_new = attempt.may_be_hidden(look.started_at, look.now);
            match (found, late) {
                (ClientTask::Gone, _) if is_new => {}
                (ClientTask::Gone, _) => attempt.outcome = AttemptOutcome::failed(&ClientFailure::Gone),
                (ClientTask::Running(_), Some(status)) if elapsed > look.limit + STOP_LIMIT => {
                    warn!(task, "the client task doesn't stop");
                    attempt.outcome = AttemptOutcome::failed(&look.too_late(status));
                }
                (ClientTask::Running(status), None) if elapsed > look.limit => {
                    self.tasks.stop(&attempt.cluster, &task, TOO_LONG).await?;
                    attempt.outcome =
                        AttemptOutcome::Running { task, since, seen: true, stopped, late: Some(status) };
                }
                (ClientTask::Running(_), late) => {
                    attempt.outcome = AttemptOutcome::Running { task, since, seen: true, stopped, late };
                }
                (ClientTask::Stopped(ended), _) if ended.has_succeeded() => {
                    attempt.outcome = AttemptOutcome::Connected;
                }
                (ClientTask::Stopped(_), Some(status)) => {
                    attempt.outcome = AttemptOutcome::failed(&look.too_late(status));
                }
                (ClientTask::Stopped(ended), None) => {
                    let stopped_at = stopped.unwrap_or(look.now);
                    match self.result(&ended, look.log_group, &task).await? {
                        // The output isn't there yet.
                        Err(ClientFailure::NoOutput(_)) if look.now - stopped_at < OUTPUT_LIMIT => {
                            let stopped = Some(stopped_at);
                            attempt.outcome =
                                AttemptOutcome::Running { task, since, seen: true, stopped, late: None };
                        }
                        Err(failure) => fail(attempt, &failure, elapsed < TRY_AGAIN, look.now),
                        Ok(()) => attempt.outcome = AttemptOutcome::Connected,
                    }
                }
            }
        }
        Ok(())
    }

    async fn result(
        &self,
        ended: &StoppedTask,
        log_group: &str,
        task: &str,
    ) -> Result<Result<(), ClientFailure>, AwsError> {
        let output = if ended.has_output() { self.tasks.output(log_group, task).await? } else { None };
        Ok(client_result(ended, output.as_deref()))
    }
}

/// Whether everything is known.
fn are_over(attempts: &[Attempt]) -> bool {
    let is_over = |outcome: &AttemptOutcome| {
        matches!(outcome, AttemptOutcome::Connected | AttemptOutcome::Failed { .. })
    };
    attempts.iter().all(|attempt| is_over(&attempt.outcome))
}

/// Ends an attempt, or lets it wait for another client if this one hasn't tried the connection.
fn fail(attempt: &mut Attempt, failure: &ClientFailure, may_try_again: bool, now: OffsetDateTime) {
    if may_try_again && failure.is_worth_another_try() && attempt.tries + 1 < TRIES {
        info!(of = attempt.of, %failure, "another client task will try it");
        attempt.tries += 1;
        let is_full = matches!(failure, ClientFailure::Capacity(_));
        attempt.outcome = AttemptOutcome::Waiting { until: is_full.then(|| now + NO_ROOM) };
    } else {
        attempt.outcome = AttemptOutcome::failed(failure);
    }
}

/// Identifies a task of a request in a place.
fn token_in(place: &Place, tries: u8, token: &str) -> String {
    let mut hash = Sha256::new().chain_update(token).chain_update([tries]);
    for part in std::iter::once(place.of.clone()).chain(place.parts()) {
        hash.update([0]);
        hash.update(part);
    }
    hex(&hash.finalize())
}
