//! A test of a connection that isn't saved yet. It opens the database's security group for the clients, and closes it again.

use std::time::Duration;

use aws::{AwsError, TEST_LABEL};
use database::{
    AccessStep, Attempt, AttemptOutcome, Claimant, ClientFailure, ConnectionTest, QUIET, Registration, Stage,
    TEST_LIMIT, Wanted,
};
use time::OffsetDateTime;

use crate::{ClientProgress, Progress, ProgressError, attempts::pause};

/// How long to wait after a change in EC2, which shows it a moment later.
const PAUSE: Duration = Duration::from_secs(1);

impl ClientProgress {
    /// Takes the next step of a test: opens access, connects from everywhere, and closes access.
    pub(crate) async fn try_out(
        &self,
        test: &ConnectionTest,
        mut progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let stage = stage(test)?;
        lambda::log_stage(&stage.stack, &stage.stage);
        let Some(started_at) = progress.started_at else {
            return self.begin_test(test, &stage, progress, now).await;
        };
        let elapsed = Duration::try_from(now - started_at).unwrap_or_default();
        if !self.look(&mut progress.attempts, &test.log_group, elapsed, TEST_LIMIT, now).await? {
            return Ok(progress.again(pause(started_at, now)));
        }
        // Whatever the clients found, the rules go.
        if !self.groups.step(Claimant::Test(&stage), &[], "", false).await?.is_empty() {
            return Ok(progress.again(PAUSE));
        }
        // The label moves on, so a task that started late has read what another test stored.
        let labelled = self.secrets.labelled(&test.secret_arn, TEST_LABEL).await?;
        if labelled.is_none_or(|version| version.id != test.version) {
            for attempt in &mut progress.attempts {
                attempt.outcome = AttemptOutcome::Failed {
                    reason: "another test of this stage started at the same time. Test again".to_owned(),
                    untested: true,
                };
            }
        }
        Ok(Progress { done: true, ..progress })
    }

    /// Lets the clients reach the database, and starts them.
    async fn begin_test(
        &self,
        test: &ConnectionTest,
        stage: &Stage,
        progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let wanted = wanted(test);
        let is_left = progress.left_since.is_some_and(|since| now - since >= QUIET);
        let description = format!("Connection test of stack {}, stage {}", stage.stack, stage.stage);
        let claimant = Claimant::Test(stage);
        let opened = self.groups.step(claimant, &wanted, &description, is_left).await;
        let steps = match opened {
            Ok(steps) => steps,
            Err(error) if error.refused => return Ok(refused(progress, &error, now)),
            Err(error) => return Err(error.into()),
        };
        if !steps.is_empty() {
            let waits = steps.iter().all(|step| *step == AccessStep::Wait);
            let left_since = waits.then(|| progress.left_since.unwrap_or(now));
            return Ok(Progress { left_since, ..progress }.again(PAUSE));
        }
        let registration = Registration::from_parameters(&test.registration);
        let registration = registration.map_err(|error| ProgressError::Invalid(error.to_string()))?;
        let places = self.places(&registration).await?;
        let attempts = self.start(&places, &test.task_definition_arn, &test.version).await?;
        Ok(Progress { started_at: Some(now), attempts, ..progress }.again(pause(now, now)))
    }
}

fn stage(test: &ConnectionTest) -> Result<Stage, ProgressError> {
    let name = |error: database::NameError| ProgressError::Invalid(error.to_string());
    let (stack, stage) = (test.stack.as_str(), test.stage.as_str());
    Ok(Stage { stack: stack.try_into().map_err(name)?, stage: stage.try_into().map_err(name)? })
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

/// Nothing can be tried, because EC2 refuses a rule.
fn refused(progress: Progress, error: &AwsError, now: OffsetDateTime) -> Progress {
    let words =
        format!("EC2 refused a rule that lets the client connect: {} ({})", error.message, error.code);
    let attempt = Attempt {
        of: "stage's services".to_owned(),
        cluster: String::new(),
        security_groups: Vec::new(),
        execution_role_arn: String::new(),
        outcome: AttemptOutcome::failed(&ClientFailure::NotRun(words)),
    };
    // The next call removes what was made.
    Progress { started_at: Some(now), attempts: vec![attempt], ..progress }.again(PAUSE)
}
