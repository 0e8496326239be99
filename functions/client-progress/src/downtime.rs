//! Measures for how long connections fail while a change interrupts the database.
//!
//! A client connects every second from where the first service runs, with what clients read, until the operation of the stage stack
//! is over. The result is a tag of the instance. Nothing waits for it, and if it can't be measured, nothing else fails.

use std::time::Duration;

use aws::{Lookup, StageStack, WriteError};
use database::{
    Attempt, AttemptOutcome, ClientTask, Downtime, DowntimeRequest, MEASURED_AT_MOST, Registration,
    StackStatus, downtime_command, hex, measured,
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tracing::{info, warn};

use crate::{
    ClientProgress, Progress, ProgressError,
    attempts::{Work, attempt},
    settle::{is_own, output, parameter},
};

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_secs(5);
/// How long ECS can take to show a new task, or the end of one that was told to stop, with its output.
const SHOWN_WITHIN: time::Duration = time::Duration::minutes(2);
/// ECS shows this reason when it stops the task for us.
const OVER: &str = "stagedb: the change that was measured is over";

impl ClientProgress {
    /// Takes the next step.
    pub(crate) async fn measure(
        &self,
        request: &DowntimeRequest,
        progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let attempt = progress.attempts.first().cloned();
        let running = attempt.as_ref().and_then(running);
        let Lookup::Found(stack) = self.stacks.stack(&request.stack_id).await? else {
            if let Some((cluster, task)) = running {
                self.tasks.stop(cluster, task, OVER).await?;
            }
            return Ok(Progress::done());
        };
        lambda::log_stage(&stack.stage.stack, &stack.stage.stage);
        let Some(started_at) = progress.started_at else {
            return self.begin_to_measure(&stack, now).await;
        };
        let Some((cluster, task)) = running else { return Ok(Progress::done()) };
        let is_over = !stack.status.is_busy()
            || stack.operation != progress.operation
            || now - started_at > MEASURED_AT_MOST;
        match self.tasks.look(cluster, task).await? {
            ClientTask::Gone if now - started_at < SHOWN_WITHIN => Ok(progress.again(PAUSE)),
            ClientTask::Gone => Ok(Progress::done()),
            ClientTask::Running(_) if is_over && progress.left_since.is_none() => {
                self.tasks.stop(cluster, task, OVER).await?;
                Ok(Progress { left_since: Some(now), ..progress }.again(PAUSE))
            }
            ClientTask::Running(_) => Ok(progress.again(PAUSE)),
            ClientTask::Stopped(_) => {
                let Some(ended_at) = progress.left_since else {
                    info!("the client stopped before the change was over, so its downtime isn't known");
                    return Ok(Progress::done());
                };
                let log_group = parameter(&stack, "ClientLogGroup");
                let Some(output) = self.tasks.output(log_group, task).await? else {
                    let is_late = now - ended_at > SHOWN_WITHIN;
                    return Ok(if is_late { Progress::done() } else { progress.again(PAUSE) });
                };
                if let Some((seconds, from)) = measured(&output, ended_at) {
                    let (fields, operation) = (request.fields.clone(), progress.operation);
                    self.note(&stack, &Downtime { seconds, from, fields, operation }).await?;
                }
                Ok(Progress::done())
            }
        }
    }

    /// Starts the client, if the change has just begun.
    async fn begin_to_measure(
        &self,
        stack: &StageStack,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let task_definition_arn = output(stack, "DowntimeTaskDefinitionArn");
        // A rollback is part of what is already measured. An earlier template had no such task.
        if stack.status != StackStatus::InProgress || task_definition_arn.is_empty() {
            return Ok(Progress::done());
        }
        let registration = Registration::from_parameters(&stack.parameters)
            .map_err(|error| ProgressError::Invalid(error.to_string()))?;
        let hash = Sha256::new().chain_update(&stack.id).chain_update(&stack.operation);
        let (command, token) = (downtime_command(), hex(&hash.chain_update("downtime").finalize()));
        let work = Work {
            registration: &registration,
            task_definition_arn,
            command: &command,
            master_role: None,
            token: &token,
        };
        let places = self.places(work).await?;
        let mut attempts: Vec<_> = places.iter().take(1).map(attempt).collect();
        self.start(&mut attempts, &places, work, now).await?;
        let operation = stack.operation.clone();
        Ok(Progress { started_at: Some(now), attempts, operation, ..Progress::default() }.again(PAUSE))
    }

    async fn note(&self, stack: &StageStack, downtime: &Downtime) -> Result<(), ProgressError> {
        let identifier = stack.stage.identifier();
        let instance = self.databases.instance(&identifier).await?;
        if !instance.is_some_and(|instance| is_own(stack, &instance)) {
            return Ok(());
        }
        match self.databases.note_downtime(&identifier, &stack.id, downtime).await {
            Ok(()) => {
                info!(seconds = downtime.seconds, "measured for how long connections failed");
                Ok(())
            }
            // Meanwhile, it was deleted.
            Err(WriteError::ObserveAgain(_) | WriteError::Refused(_)) => {
                warn!("the downtime can't be noted");
                Ok(())
            }
            Err(WriteError::Aws(error)) if error.refused => {
                warn!(error = error.message, "the downtime can't be noted");
                Ok(())
            }
            Err(WriteError::Aws(error)) => Err(error.into()),
        }
    }
}

/// The cluster and the ARN of an attempt's task.
fn running(attempt: &Attempt) -> Option<(&str, &str)> {
    let AttemptOutcome::Running { task, .. } = &attempt.outcome else { return None };
    Some((&attempt.cluster, task))
}
