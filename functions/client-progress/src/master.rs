//! Gives the master user a new password once a rotation of the login is settled, and tests it.
//!
//! The next password is in the secret before RDS gets it, and it gets the label of the current one only after a client has logged in
//! with it. In between, RDS may have either, so clients that log in as the master user have both.

use std::time::Duration;

use aws::{
    CURRENT_LABEL, Credentials, LOGINS_LABEL, LoginsValue, NEXT_LABEL, PutError, SecretValue, SecretVersion,
    WriteError,
};
use database::{Attempt, AttemptOutcome, Login, MASTER, PROOF_LIMIT, Status, TURN, connect_command, hex};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::{
    ClientProgress, Progress, ProgressError,
    attempts::{Look, attempt, pause},
    settle::{Origin, SOON, Unsettled, connection, is_own, output, parameter},
};

/// How long RDS may take to show that it's changing a password.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);
/// How long RDS usually takes for it, and how long the server may refuse a password that RDS says it has.
const TAKEN_WITHIN: Duration = Duration::from_mins(5);
/// How long the test of another execution takes at most, as a rule.
const TEST_OF_ANOTHER: Duration = Duration::from_mins(2);
/// How long to wait between two tests.
const BETWEEN_TESTS: Duration = Duration::from_secs(10);

impl ClientProgress {
    /// Takes the next step.
    pub(crate) async fn rotate_master(
        &self,
        origin: Origin<'_>,
        unsettled: &Unsettled,
        progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let arn = output(&unsettled.stack, "MasterSecretArn");
        // What was started before that was for the logins.
        let progress = match progress.changed_at {
            Some(_) => progress,
            None => progress.without_tasks(),
        };
        let Some(next) = self.secrets.labelled(arn, NEXT_LABEL).await? else {
            if self.places(unsettled.work("", "")).await?.is_empty() {
                warn!(
                    "no service is active where a password could be tested, so the master user's stays as it is"
                );
                return Ok(Progress::done());
            }
            self.store_next(unsettled, arn).await?;
            // The next call looks at the stack again. A change back to the master user that began before that sees the label.
            return Ok(progress.again(SOON));
        };
        let identifier = unsettled.stack.stage.identifier();
        let instance = self.databases.instance(&identifier).await?;
        let Some(instance) = instance.filter(|instance| is_own(&unsettled.stack, instance)) else {
            warn!(identifier, "the instance is gone, so the master user's password stays as it is");
            return Ok(Progress::done());
        };
        let is_ready = matches!(instance.status, Status::Usable { .. }) && !instance.pending.password;
        let Some(changed_at) = progress.changed_at else {
            if !is_ready {
                return self.wait(origin, progress, now).await;
            }
            return self.change_password(unsettled, &identifier, &next, progress, now).await;
        };
        let Some(started_at) = progress.started_at else {
            if !is_ready && now - changed_at > TAKEN_WITHIN {
                return self.wait(origin, progress, now).await;
            }
            if !is_ready || now - changed_at < SHOWN_WITHIN {
                return Ok(progress.again(SHOWN_WITHIN));
            }
            return self.begin_to_test(unsettled, arn, &next, progress, now).await;
        };
        let (token, command) = (token(unsettled, started_at), connect_command());
        let mut progress = progress;
        let limit = PROOF_LIMIT;
        let look = Look { log_group: parameter(&unsettled.stack, "ClientLogGroup"), started_at, now, limit };
        if !self.advance(&mut progress.attempts, unsettled.work(&command, &token), look).await? {
            return Ok(progress.again(pause(started_at, now)));
        }
        if let Some(failure) = progress.attempts.iter().find_map(Attempt::failure) {
            if now - changed_at > TAKEN_WITHIN {
                return Err(ProgressError::NotSettled(failure));
            }
            return Ok(progress.without_tasks().again(BETWEEN_TESTS));
        }
        let tested = self.secrets.labelled(arn, LOGINS_LABEL).await?;
        if tested.is_none_or(|version| version.id != token) {
            // The client may have read what another execution has stored meanwhile. That one finishes first.
            return Ok(progress.without_tasks().again(TEST_OF_ANOTHER));
        }
        if progress.attempts.iter().all(|attempt| attempt.outcome == AttemptOutcome::Connected) {
            self.take_over(unsettled, arn, &next.id).await?;
            self.secrets.forget(arn, LOGINS_LABEL, &token).await?;
            info!("the master user has a new password");
        }
        Ok(Progress::done())
    }

    /// Stores the next password, unless there is one, which RDS may have already.
    pub(crate) async fn ensure_next(&self, unsettled: &Unsettled) -> Result<(), ProgressError> {
        let arn = output(&unsettled.stack, "MasterSecretArn");
        if self.secrets.labelled(arn, NEXT_LABEL).await?.is_none() {
            self.store_next(unsettled, arn).await?;
        }
        Ok(())
    }

    async fn store_next(&self, unsettled: &Unsettled, arn: &str) -> Result<(), ProgressError> {
        let password = self.secrets.random_password().await?;
        let credentials = Credentials { username: MASTER.to_owned(), password };
        let value = SecretValue::without_database(credentials);
        // Two executions for the same login store one password.
        let login = unsettled.login.as_ref().map_or_else(String::new, Login::staging_label);
        let hash = Sha256::new()
            .chain_update(&unsettled.stack.operation)
            .chain_update(login)
            .chain_update(NEXT_LABEL);
        match self.secrets.put_aside(arn, &hex(&hash.finalize()), &value, &[NEXT_LABEL]).await {
            Ok(()) | Err(PutError::PutBefore) => Ok(()),
            Err(PutError::Aws(error)) => Err(error.into()),
        }
    }

    /// Lets RDS change the password, unless the look at the stack is too old by then.
    async fn change_password(
        &self,
        unsettled: &Unsettled,
        identifier: &str,
        next: &SecretVersion,
        progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let password = &next.value.credentials.password;
        let change = self.databases.change_password(identifier, &unsettled.stack.id, password, now);
        match timeout(TURN, change).await.map_err(|_| ProgressError::TooLong)? {
            Ok(()) => Ok(Progress { changed_at: Some(now), ..progress }.again(SOON)),
            Err(WriteError::ObserveAgain(error)) => {
                info!(identifier, code = error.code, "looked at again");
                Ok(progress.again(SHOWN_WITHIN))
            }
            Err(WriteError::Refused(words)) => Err(ProgressError::NotSettled(words)),
            Err(WriteError::Aws(error)) => Err(error.into()),
        }
    }

    /// Starts a client that logs in with the next password alone.
    async fn begin_to_test(
        &self,
        unsettled: &Unsettled,
        arn: &str,
        next: &SecretVersion,
        progress: Progress,
        now: OffsetDateTime,
    ) -> Result<Progress, ProgressError> {
        let (token, command) = (token(unsettled, now), connect_command());
        let work = unsettled.work(&command, &token);
        let places = self.places(work).await?;
        let mut attempts: Vec<_> = places.iter().map(attempt).collect();
        if attempts.is_empty() {
            warn!("no service is active, so the master user's password isn't tested");
            return Ok(Progress::done());
        }
        let credentials = next.value.credentials.clone();
        let value = LoginsValue::only(SecretValue::of(credentials, &connection(&unsettled.stack)?));
        self.secrets.put_for_logins(arn, &token, &value).await?;
        self.start(&mut attempts, &places, work, now).await?;
        Ok(Progress { started_at: Some(now), attempts, ..progress }.again(pause(now, now)))
    }

    /// The next password is the current one from now on. Safe to repeat: the label of the login comes last, and until it's there,
    /// the rotation isn't done.
    async fn take_over(&self, unsettled: &Unsettled, arn: &str, version: &str) -> Result<(), ProgressError> {
        let Some(login) = &unsettled.login else { return Ok(()) };
        self.secrets.move_label(arn, &unsettled.generation.staging_label(), version).await?;
        self.secrets.move_label(arn, CURRENT_LABEL, version).await?;
        self.secrets.forget_other_logins(arn, &[login.staging_label()]).await?;
        self.secrets.move_label(arn, &login.staging_label(), version).await?;
        Ok(self.secrets.forget(arn, NEXT_LABEL, version).await?)
    }
}

/// Another one for each time at which something starts.
fn token(unsettled: &Unsettled, at: OffsetDateTime) -> String {
    let hash =
        Sha256::new().chain_update(unsettled.token()).chain_update(at.unix_timestamp_nanos().to_be_bytes());
    hex(&hash.finalize())
}
