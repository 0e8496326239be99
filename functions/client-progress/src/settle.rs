//! Disables the logins that nobody uses anymore, once a rebuild has ended and the last task from before it has stopped. After a
//! leak, it doesn't wait for the tasks. Then the master user gets a new password, too.
//!
//! It decides from what is there: the login in the stage stack, the staging labels of the secret, and the tasks. A password's
//! time never comes back, so what is obsolete at one time stays obsolete, whatever starts meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws::{
    AwsError, CURRENT_LABEL, LOGINS_LABEL, LoginsValue, Lookup, NEXT_LABEL, Of, Password, SecretValue,
    StageStack,
};
use database::{
    Attempt, AttemptOutcome, Connection, ExistingDatabaseName, Former, Generation, Instance, Leftover, Login,
    Owner, PROOF_LIMIT, Registration, SettleRequest, StackStatus, hex, settle_command,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tracing::{info, warn};

use crate::{
    ClientProgress, Progress, ProgressError,
    attempts::{Look, Work, attempt, pause},
};

/// How long to wait between two looks at the tasks from before.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_mins(5)];
/// How long to wait when there is nothing to wait for.
pub(crate) const SOON: Duration = Duration::from_secs(1);
/// How long the first pause is used, in the first execution.
const QUICK: Duration = Duration::from_mins(5);

/// The logical ID of the database in the stage stack.
const DATABASE: &str = "Database";
/// How long one execution waits, for example for jobs from before. The state machine ends it after 58 minutes.
const HAND_OVER: Duration = Duration::from_mins(45);
/// How many executions wait, one after the other. After that, the schedule and the next rebuild look again.
const ROUNDS: u8 = 24;

/// What to settle.
pub(crate) struct Unsettled {
    pub(crate) stack: StageStack,
    pub(crate) registration: Registration,
    pub(crate) generation: Generation,
    pub(crate) login: Option<Login>,
    /// The logins that nobody uses anymore, or that end although tasks may need them.
    leftover: Leftover,
    /// Whether they end although tasks may need them.
    is_immediate: bool,
    /// Whether the master user's password is changed afterward.
    is_master_next: bool,
    /// What led to the execution, and which one it is.
    end: String,
}

/// The event that led to an execution, and the function that the next one calls.
pub(crate) type Origin<'a> = (&'a SettleRequest, &'a Value);

impl ClientProgress {
    /// Takes the next step.
    pub(crate) async fn settle(
        &self,
        request: &SettleRequest,
        function: &Value,
        progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let Some(unsettled) = self.unsettled(request).await? else {
            // After a leak, another operation doesn't put it off until its own deployments are complete.
            if !self.is_put_off(&request.stack_id).await? {
                return Ok(Progress::done());
            }
            return self.wait((request, function), progress.only_waiting(), now).await;
        };
        if unsettled.leftover.is_none() {
            return self.rotate_master((request, function), &unsettled, progress, now).await;
        }
        let command = settle_command();
        let token = unsettled.token();
        let stack = &unsettled.stack;
        let work = unsettled.work(&command, &token);
        let Some(started_at) = progress.started_at else {
            return self.begin_to_settle((request, function), &unsettled, work, progress, now).await;
        };
        let mut progress = progress;
        let look =
            Look { log_group: parameter(stack, "ClientLogGroup"), started_at, now, limit: PROOF_LIMIT };
        if !self.advance(&mut progress.attempts, work, look).await? {
            return Ok(progress.again(pause(started_at, now)));
        }
        if let Some(failure) = progress.attempts.iter().find_map(Attempt::failure) {
            return Err(ProgressError::NotSettled(failure));
        }
        // The client may have read what a rebuild stored meanwhile. That rebuild's end leads here again.
        let master = self.secrets.labelled(output(stack, "MasterSecretArn"), LOGINS_LABEL).await?;
        if progress.attempts.iter().all(|attempt| attempt.outcome == AttemptOutcome::Connected)
            && master.is_some_and(|version| version.id == token)
        {
            if unsettled.is_master_next {
                // Once nothing is left, the login may change again. A change back to the master user sees this.
                self.ensure_next(&unsettled).await?;
            }
            self.forget(&unsettled, &token).await?;
            info!("the logins are settled");
            return Ok(progress.only_waiting().again(SOON));
        }
        Ok(Progress::done())
    }

    /// What to settle, if the stage is at rest.
    async fn unsettled(&self, request: &SettleRequest) -> Result<Option<Unsettled>, ProgressError> {
        let Some(stack) = self.at_rest(&request.stack_id).await? else { return Ok(None) };
        lambda::log_stage(&stack.stage.stack, &stack.stage.stage);
        let labels = self.secrets.labels(secret_arn(&stack)).await?;
        let master_secret_arn = output(&stack, "MasterSecretArn");
        let has_master_secret = !master_secret_arn.is_empty() && master_secret_arn != secret_arn(&stack);
        let of_master =
            if has_master_secret { self.secrets.labels(master_secret_arn).await? } else { BTreeMap::new() };
        // Only what was there before the stack came to rest is obsolete. An operation that began meanwhile may have added a login.
        if self.at_rest(&request.stack_id).await?.as_ref() != Some(&stack) {
            return Ok(None);
        }
        if stack.source() != "created" {
            // Without the database, there is nothing to disable.
            for (label, version) in labels.iter().filter(|(label, _)| Login::is_staging_label(label)) {
                self.secrets.forget(secret_arn(&stack), label, version).await?;
            }
            return Ok(None);
        }
        let login = stack.login();
        let Ok(generation) = Generation::try_from(parameter(&stack, "Generation").to_owned()) else {
            return Ok(None);
        };
        // Restored data has credentials of its own, which users find as the current ones.
        if let Some(version) = of_master.get(&generation.staging_label())
            && of_master.get(CURRENT_LABEL) != Some(version)
        {
            self.secrets.move_label(master_secret_arn, CURRENT_LABEL, version).await?;
        }
        let registration = Registration::from_parameters(&stack.parameters)
            .map_err(|error| ProgressError::Invalid(error.to_string()))?;
        let all = Leftover::of(labels.keys().map(String::as_str), &generation, login.as_ref());
        // The rest comes afterward.
        let immediate = all.immediate(login.as_ref());
        let is_immediate = !immediate.is_none();
        let is_last = !is_immediate || immediate == all;
        let leftover = if is_immediate { immediate } else { all };
        let rotated_with = login.as_ref().filter(|login| !login.is_master).map(Login::staging_label);
        let is_master_due = rotated_with.is_some_and(|label| !of_master.contains_key(&label));
        if leftover.is_none() && !is_master_due {
            if let Some(version) = of_master.get(NEXT_LABEL) {
                self.secrets.forget(master_secret_arn, NEXT_LABEL, version).await?;
            }
            return Ok(None);
        }
        if output(&stack, "LoginsTaskDefinitionArn").is_empty() {
            warn!(
                "the stack went back to an earlier template, so the obsolete logins stay enabled until the next rebuild"
            );
            return Ok(None);
        }
        let end = format!("{} {}", request.end, request.round);
        let is_master_next = is_master_due && is_last;
        Ok(Some(Unsettled {
            stack,
            registration,
            generation,
            login,
            leftover,
            is_immediate,
            is_master_next,
            end,
        }))
    }

    /// Whether an operation is running, and the login was rotated immediately.
    async fn is_put_off(&self, id: &str) -> Result<bool, ProgressError> {
        let Lookup::Found(stack) = self.stacks.stack(id).await? else { return Ok(false) };
        Ok(stack.status.is_busy()
            && stack.source() == "created"
            && stack.login().is_some_and(|login| login.is_immediate))
    }

    /// The stage's stack, if it's at rest.
    async fn at_rest(&self, id: &str) -> Result<Option<StageStack>, ProgressError> {
        Ok(match self.stacks.stack(id).await? {
            Lookup::Found(stack)
                if matches!(stack.status, StackStatus::Complete | StackStatus::RolledBack) =>
            {
                Some(*stack).filter(|stack| !secret_arn(stack).is_empty())
            }
            Lookup::Found(_) | Lookup::Missing | Lookup::Foreign => None,
        })
    }

    /// Starts the client once nobody can need the obsolete logins.
    async fn begin_to_settle(
        &self,
        origin: Origin<'_>,
        unsettled: &Unsettled,
        work: Work<'_>,
        progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        if !unsettled.is_immediate && self.has_earlier_tasks(unsettled, now).await? {
            return self.wait(origin, progress, now).await;
        }
        let places = self.places(work).await?;
        let mut attempts: Vec<_> = places.iter().map(attempt).collect();
        if attempts.is_empty() {
            warn!("no service is active, so the obsolete logins stay enabled");
            return Ok(Progress::done());
        }
        let master_secret_arn = output(&unsettled.stack, "MasterSecretArn");
        let value = self.value(unsettled, master_secret_arn).await?;
        self.secrets.put_for_logins(master_secret_arn, work.token, &value).await?;
        self.start(&mut attempts, &places, work, now).await?;
        Ok(Progress { started_at: Some(now), attempts, ..progress }.again(pause(now, now)))
    }

    /// Looks again later, perhaps in another execution.
    pub(crate) async fn wait(
        &self,
        (request, function): Origin<'_>,
        progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let since = progress.left_since.unwrap_or(now);
        let waited: Duration = (now - since).try_into().unwrap_or_default();
        if waited > HAND_OVER {
            self.hand_over(request, function).await?;
            return Ok(Progress::done());
        }
        let [soon, later] = PAUSES;
        let pause = if request.round == 0 && waited < QUICK { soon } else { later };
        Ok(Progress { left_since: Some(since), ..progress }.again(pause))
    }

    /// Lets another execution wait.
    async fn hand_over(&self, request: &SettleRequest, function: &Value) -> Result<(), ProgressError> {
        let next = SettleRequest { round: request.round + 1, ..request.clone() };
        if next.round >= ROUNDS {
            warn!("what is left from before the rebuild stays as it is until the schedule looks again");
            return Ok(());
        }
        self.executions.settle(function.as_str().unwrap_or_default(), &next).await?;
        Ok(())
    }

    /// Whether a task from before may still be running, or one of our own clients that sets up logins.
    async fn has_earlier_tasks(
        &self,
        unsettled: &Unsettled,
        now: OffsetDateTime,
    ) -> Result<bool, ProgressError> {
        let Unsettled { stack, registration, .. } = unsettled;
        let invalid = |error: database::InvalidParameter| ProgressError::Invalid(error.to_string());
        let former = Former::from_parameters(&stack.parameters).map_err(invalid)?;
        let Some(current) = self.secrets.current(secret_arn(stack)).await? else { return Ok(true) };
        let published_at = current.stored_at;
        let services: Vec<_> = registration.services.iter().chain(&former.services).cloned().collect();
        for seen in self.services.look(&services).await? {
            let (cluster, name) = seen.registered.key();
            if self.running.has_older(cluster, Of::Service(name), published_at).await? {
                return Ok(true);
            }
            // Somebody may have started a task with the service's definition, for example to migrate the data.
            let family = seen.live.as_ref().map(|(_, definition)| definition.family());
            if let Some(family) = family
                && self.running.has_older(cluster, Of::Family(family), published_at).await?
            {
                return Ok(true);
            }
        }
        let clusters: BTreeSet<_> = services.iter().map(|service| service.key().0).collect();
        let client = format!("stagedb-{}-{}-logins", stack.stage.stack, stack.stage.stage);
        for cluster in clusters {
            for job in registration.jobs.iter().chain(&former.jobs) {
                if self.running.has_older(cluster, Of::Family(job.family.as_ref()), published_at).await? {
                    return Ok(true);
                }
            }
            if self.running.has_older(cluster, Of::Family(&client), now).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the client reads.
    async fn value(
        &self,
        unsettled: &Unsettled,
        master_secret_arn: &str,
    ) -> Result<LoginsValue, ProgressError> {
        let Unsettled { stack, generation, login, leftover, .. } = unsettled;
        let master = self.secrets.labelled(master_secret_arn, &generation.staging_label()).await?;
        let missing =
            || ProgressError::Invalid("the secret has no credentials of the master user".to_owned());
        let credentials = master.ok_or_else(missing)?.value.credentials;
        let none = || "none".to_owned();
        Ok(LoginsValue {
            user: SecretValue::of(credentials, &connection(stack)?),
            login: login.as_ref().and_then(Login::published).map_or_else(none, |app| app.user().to_owned()),
            verifier: none(),
            since: none(),
            obsolete: if leftover.obsolete.is_empty() { none() } else { leftover.obsolete.join(",") },
            master: leftover.master.clone().unwrap_or_else(none),
            sessions: if unsettled.is_immediate { "of disabled logins".to_owned() } else { none() },
            next_password: self.next_password(master_secret_arn).await?,
        })
    }

    /// The master user's next password, which RDS may have set already.
    pub(crate) async fn next_password(&self, master_secret_arn: &str) -> Result<Password, AwsError> {
        let next = self.secrets.labelled(master_secret_arn, NEXT_LABEL).await?;
        Ok(next.map_or_else(|| "none".to_owned().into(), |version| version.value.credentials.password))
    }

    /// Takes the labels off what is obsolete now.
    async fn forget(&self, unsettled: &Unsettled, token: &str) -> Result<(), AwsError> {
        let arn = secret_arn(&unsettled.stack);
        let labels = self.secrets.labels(arn).await?;
        for label in unsettled.leftover.labels() {
            if let Some(version) = labels.get(&label) {
                self.secrets.forget(arn, &label, version).await?;
            }
        }
        self.secrets.forget(output(&unsettled.stack, "MasterSecretArn"), LOGINS_LABEL, token).await
    }
}

impl Unsettled {
    /// What the master user's client runs.
    pub(crate) fn work<'a>(&'a self, command: &'a str, token: &'a str) -> Work<'a> {
        Work {
            registration: &self.registration,
            task_definition_arn: output(&self.stack, "LoginsTaskDefinitionArn"),
            command,
            master_role: Some(parameter(&self.stack, "LoginsRoleArn")),
            token,
        }
    }

    /// The same for the same state of a stage, in one execution.
    pub(crate) fn token(&self) -> String {
        let mut hash = Sha256::new()
            .chain_update(&self.end)
            .chain_update(&self.stack.id)
            .chain_update(self.login.as_ref().map_or_else(String::new, ToString::to_string));
        for label in self.leftover.labels() {
            hash.update([0]);
            hash.update(label);
        }
        hash.update([0]);
        hash.update(&self.stack.operation);
        hex(&hash.finalize())
    }
}

/// The stage's own instance, if it's there and has the data that the stack knows.
pub(crate) fn is_own(stack: &StageStack, instance: &Instance) -> bool {
    let owner = Owner { stage_stack_id: stack.id.clone(), logical_id: DATABASE.to_owned() };
    instance.is_of(&owner)
        && instance.generation.as_ref().is_some_and(|of| of.to_string() == parameter(stack, "Generation"))
}

pub(crate) fn parameter<'a>(stack: &'a StageStack, name: &str) -> &'a str {
    stack.parameters.get(name).map(String::as_str).unwrap_or_default()
}

pub(crate) fn output<'a>(stack: &'a StageStack, name: &str) -> &'a str {
    stack.outputs.get(name).map(String::as_str).unwrap_or_default()
}

fn secret_arn(stack: &StageStack) -> &str {
    output(stack, "SecretArn")
}

pub(crate) fn connection(stack: &StageStack) -> Result<Connection, ProgressError> {
    let invalid =
        |words: &str| ProgressError::Invalid(format!("the output {words} of the stage stack isn't valid"));
    let text = |name: &str| output(stack, name).to_owned();
    Ok(Connection {
        identifier: text("Identifier"),
        host: text("Host"),
        port: text("Port").parse().map_err(|_| invalid("Port"))?,
        database_name: ExistingDatabaseName::try_from(text("DatabaseName"))
            .map_err(|_| invalid("DatabaseName"))?,
    })
}
