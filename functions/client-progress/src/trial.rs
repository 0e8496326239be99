//! A test of a connection that isn't saved yet. It opens the database's security group for the clients, and closes it again,
//! whatever happens in between.

use std::time::Duration;

use aws::{AwsError, TEST_LABEL};
use database::{
    AccessStep, Attempt, AttemptOutcome, Claimant, ClientFailure, ConnectionTest, QUIET, Registration, Stage,
    TEST_LIMIT, Wanted, connect_command,
};
use time::OffsetDateTime;
use tracing::warn;

use crate::{
    ClientProgress, Progress, ProgressError,
    attempts::{Look, Work, attempt, pause},
};

/// How long to wait after a change in EC2, which shows it a moment later.
const PAUSE: Duration = Duration::from_secs(1);
/// After how long a test that can't go on, because AWS doesn't reply, closes access.
const GIVE_UP: Duration = Duration::from_mins(5);

impl ClientProgress {
    /// Takes the next step of a test: opens access, connects from everywhere, closes access, and forgets the credentials.
    pub(crate) async fn try_out(
        &self,
        test: &ConnectionTest,
        progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let stage = stage(test)?;
        lambda::log_stage(&stage.stack, &stage.stage);
        let opened_at = progress.opened_at;
        let next = match progress.is_closing {
            false if progress.started_at.is_none() => self.open(test, &stage, progress.clone(), now).await,
            false => self.connect(test, progress.clone(), now).await,
            true => return self.close(test, &stage, progress).await,
        };
        match next {
            Err(ProgressError::Aws(error))
                if error.refused || opened_at.is_some_and(|at| now - at > GIVE_UP) =>
            {
                warn!(error = lambda::chain(&error), "the test can't go on");
                let attempts = vec![not_tried(&error)];
                Ok(Progress { attempts, is_closing: true, ..progress }.again(PAUSE))
            }
            next => next,
        }
    }

    /// Lets the clients reach the database.
    async fn open(
        &self,
        test: &ConnectionTest,
        stage: &Stage,
        progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let opened_at = progress.opened_at.or(Some(now));
        let is_left = progress.left_since.is_some_and(|since| now - since >= QUIET);
        let description = format!("Connection test of stack {}, stage {}", stage.stack, stage.stage);
        let claimant = Claimant::Test(stage, &test.version);
        let steps = self.groups.step(claimant, &wanted(test), &description, is_left).await?;
        if !steps.is_empty() {
            let waits = steps.iter().all(|step| *step == AccessStep::Wait);
            let left_since = waits.then(|| progress.left_since.unwrap_or(now));
            return Ok(Progress { opened_at, left_since, ..progress }.again(PAUSE));
        }
        let progress = Progress { opened_at, started_at: Some(now), ..progress };
        let (registration, command) = (registration(test)?, connect_command());
        let work = work(test, &registration, &command);
        let places = self.places(work).await?;
        let mut attempts: Vec<_> = places.iter().map(attempt).collect();
        self.start(&mut attempts, &places, work, now).await?;
        Ok(Progress { attempts, ..progress }.again(pause(now, now)))
    }

    /// Looks at the clients, and starts those that wait.
    async fn connect(
        &self,
        test: &ConnectionTest,
        mut progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let started_at = progress.started_at.unwrap_or(now);
        let look = Look { log_group: &test.log_group, started_at, now, limit: TEST_LIMIT };
        let (registration, command) = (registration(test)?, connect_command());
        if !self.advance(&mut progress.attempts, work(test, &registration, &command), look).await? {
            return Ok(progress.again(pause(started_at, now)));
        }
        // The label moves on with another test, so a client that started late has read what that one stored.
        let labelled = self.secrets.labelled(&test.secret_arn, TEST_LABEL).await?;
        if labelled.is_none_or(|version| version.id != test.version) {
            for attempt in &mut progress.attempts {
                attempt.outcome = AttemptOutcome::Failed {
                    reason: "another test of this stage started at the same time, or the stage was deleted. Test again".to_owned(),
                    untested: true,
                };
            }
        }
        Ok(Progress { is_closing: true, ..progress }.again(PAUSE))
    }

    /// Takes back what the test needed.
    async fn close(
        &self,
        test: &ConnectionTest,
        stage: &Stage,
        progress: Progress,
    ) -> Result<Progress, ProgressError> {
        let claimant = Claimant::Test(stage, &test.version);
        if !self.groups.step(claimant, &[], "", false).await?.is_empty() {
            return Ok(progress.again(PAUSE));
        }
        match self.secrets.forget(&test.secret_arn, TEST_LABEL, &test.version).await {
            // The secret was deleted, with its tags, which the permission asks for.
            Err(error) if error.refused => {
                warn!(error = lambda::chain(&error), "the stage's secret is gone");
            }
            forgotten => forgotten?,
        }
        Ok(Progress { done: true, ..progress })
    }
}

fn stage(test: &ConnectionTest) -> Result<Stage, ProgressError> {
    let name = |error: database::NameError| ProgressError::Invalid(error.to_string());
    let (stack, stage) = (test.stack.as_str(), test.stage.as_str());
    Ok(Stage { stack: stack.try_into().map_err(name)?, stage: stage.try_into().map_err(name)? })
}

fn registration(test: &ConnectionTest) -> Result<Registration, ProgressError> {
    let registration = Registration::from_parameters(&test.registration);
    registration.map_err(|error| ProgressError::Invalid(error.to_string()))
}

fn work<'a>(test: &'a ConnectionTest, registration: &'a Registration, command: &'a str) -> Work<'a> {
    let (task_definition_arn, token) = (&test.task_definition_arn, &test.version);
    Work { registration, task_definition_arn, command, master_role: None, token }
}

/// The rules that the clients need, all in one security group.
fn wanted(test: &ConnectionTest) -> Vec<Wanted> {
    let Some(group) = &test.security_group else { return Vec::new() };
    let rule = |source: &String| Wanted {
        group: group.clone(),
        port: test.port,
        source_group: source.clone(),
        identifier: test.identifier.clone(),
    };
    test.source_groups.iter().map(rule).collect()
}

/// Nothing could be tried, because AWS refuses a call, or doesn't reply.
fn not_tried(error: &AwsError) -> Attempt {
    let words = format!("{}: {} ({})", error.operation, error.message, error.code);
    Attempt {
        of: "stage".to_owned(),
        cluster: String::new(),
        security_groups: Vec::new(),
        execution_role_arn: String::new(),
        tries: 0,
        outcome: AttemptOutcome::failed(&ClientFailure::NotRun(words)),
    }
}
