//! The secret of a stage: its value, and a version for each generation.

use std::{collections::BTreeMap, fmt};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{Client, error::ProvideErrorMetadata, types::Tag};
use database::{Connection, Login, Stage};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

use crate::{
    AwsError, TAG_STACK, TAG_STAGE,
    config::{Lazy, client},
    error::failed,
    instant::instant,
};

/// The label of the version that clients read.
pub const CURRENT_LABEL: &str = "AWSCURRENT";
/// The label of the version that the client reads to prove a connection.
pub const PROOF_LABEL: &str = "stagedb-proof";
/// The label of the version that the client reads to test a connection.
pub const TEST_LABEL: &str = "stagedb-test";
/// The label of the version that the client reads to set up logins.
pub const LOGINS_LABEL: &str = "stagedb-logins";
/// The label of the version with the master user's next password, until it's tested.
pub const NEXT_LABEL: &str = "stagedb-next";
/// How many earlier generations' credentials are kept, besides a new one.
const GENERATIONS_KEPT: usize = 10;
/// The length of a generated password in characters. RDS accepts up to 128.
const PASSWORD_LENGTH: i64 = 32;
/// What RDS refuses in a password (`/`, `"`, `@`, space), and what has to be escaped in URLs and shells.
const NOT_IN_PASSWORDS: &str = "/@\"' \\`$%&#?:;=+[]{}<>()|^~*!,";

/// A password. It mustn't be logged, so its Debug doesn't show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// The password itself, for the call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(password: String) -> Self {
        Self(password)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A username and a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The user of the database.
    pub username: String,
    /// That user's password.
    pub password: Password,
}

/// The secret's value: the JSON structure that AWS documents for PostgreSQL credentials, with `dbInstanceIdentifier`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretValue {
    /// The username and the password.
    #[serde(flatten)]
    pub credentials: Credentials,
    /// Always `postgres`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The database name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dbname: Option<String>,
    /// The DB instance identifier.
    #[serde(rename = "dbInstanceIdentifier", skip_serializing_if = "Option::is_none")]
    pub db_instance_identifier: Option<String>,
}

impl SecretValue {
    /// Credentials with the database that they're for.
    #[must_use]
    pub fn of(credentials: Credentials, connection: &Connection) -> Self {
        Self {
            credentials,
            engine: Some("postgres".to_owned()),
            host: Some(connection.host.clone()),
            port: Some(connection.port),
            dbname: Some(connection.database_name.to_string()),
            db_instance_identifier: Some(connection.identifier.clone()),
        }
    }

    /// Credentials without a database.
    #[must_use]
    pub fn without_database(credentials: Credentials) -> Self {
        Self { credentials, engine: None, host: None, port: None, dbname: None, db_instance_identifier: None }
    }
}

/// What the master user's client reads: the master user's credentials, with the database, and what to do with the logins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoginsValue {
    /// The master user's credentials.
    #[serde(flatten)]
    pub user: SecretValue,
    /// The login to enable, or that stays enabled, or "none".
    pub login: String,
    /// How the server recognizes its password, or "none". Nobody can log in with it.
    pub verifier: String,
    /// When it got its password, or "none".
    pub since: String,
    /// When the obsolete passwords were made, separated by commas, or "all", or "none".
    pub obsolete: String,
    /// Says that the master user was published before, or "none".
    pub master: String,
    /// "of disabled logins" if their sessions end, "of the login" if those of the login end, too, or "none".
    pub sessions: String,
    /// The master user's next password, which RDS may already have set, or "none".
    #[serde(rename = "nextPassword")]
    pub next_password: Password,
}

impl LoginsValue {
    /// Only a user to log in as, with nothing to do.
    #[must_use]
    pub fn only(user: SecretValue) -> Self {
        let none = || "none".to_owned();
        Self {
            user,
            login: none(),
            verifier: none(),
            since: none(),
            obsolete: none(),
            master: none(),
            sessions: none(),
            next_password: none().into(),
        }
    }
}

/// One version of the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretVersion {
    /// Its ID.
    pub id: String,
    /// Its value.
    pub value: SecretValue,
    /// When it was stored.
    pub stored_at: OffsetDateTime,
}

/// Why a value wasn't stored.
#[derive(Debug, Error)]
pub enum PutError {
    /// An earlier delivery of the same request has stored another value with the same token.
    #[error("a value was already stored for this request")]
    PutBefore,
    /// AWS failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// Why credentials can't be copied from a secret. The secret's value is never repeated.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The secret doesn't exist, or stagedb can't read it.
    #[error("the secret doesn't exist, or stagedb can't read it")]
    Missing,
    /// Not the JSON structure that AWS documents for credentials.
    #[error("the secret's value isn't a JSON object with the string keys username and password")]
    NoCredentials,
    /// AWS failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl SecretError {
    /// Whether a retry would fail the same way.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Missing | Self::NoCredentials => true,
            Self::Aws(error) => error.refused,
        }
    }
}

/// What is read from a secret that stagedb doesn't manage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ForeignSecret {
    /// The username and the password.
    #[serde(flatten)]
    pub credentials: Credentials,
    /// The host that the secret is for, if it says so.
    pub host: Option<String>,
    /// The ID of the secret's version.
    #[serde(skip)]
    pub version: String,
}

/// What manages a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AboutSecret {
    /// Whether Secrets Manager or RDS rotates it.
    pub is_rotated: bool,
    /// Whether it's the secret of a stage.
    pub is_a_stages: bool,
}

/// The secrets of the stages.
#[derive(Debug, Clone)]
pub struct Secrets {
    client: Lazy<Client>,
}

impl Secrets {
    /// Secrets in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: client!(aws_sdk_secretsmanager, config) }
    }

    /// The version of a secret that has this staging label, if there is one.
    ///
    /// # Errors
    /// AWS failed, or the value isn't ours: it has no username or no password.
    pub async fn labelled(&self, arn: &str, label: &str) -> Result<Option<SecretVersion>, AwsError> {
        let reply = match self.client.get_secret_value().secret_id(arn).version_stage(label).send().await {
            Ok(reply) => reply,
            Err(error) if error.code() == Some("ResourceNotFoundException") => return Ok(None),
            Err(error) => return Err(failed("GetSecretValue")(error)),
        };
        // Someone may have changed the value. It mustn't be repeated or overwritten.
        let Ok(value) = serde_json::from_str(reply.secret_string().unwrap_or_default()) else {
            let words = "the secret's value isn't the JSON that stagedb wrote. Restore the earlier value";
            return Err(AwsError::unexpected("GetSecretValue", words));
        };
        let id = reply.version_id().unwrap_or_default().to_owned();
        Ok(Some(SecretVersion {
            id,
            value,
            stored_at: reply.created_date().map_or(OffsetDateTime::UNIX_EPOCH, instant),
        }))
    }

    /// The credentials in a secret that stagedb doesn't manage.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn foreign(&self, arn: &str) -> Result<ForeignSecret, SecretError> {
        let reply = match self.client.get_secret_value().secret_id(arn).send().await {
            Ok(reply) => reply,
            Err(error)
                if matches!(
                    error.code(),
                    Some("ResourceNotFoundException" | "AccessDeniedException" | "InvalidRequestException")
                ) =>
            {
                return Err(SecretError::Missing);
            }
            Err(error) => return Err(SecretError::Aws(failed("GetSecretValue")(error))),
        };
        let mut secret: ForeignSecret = serde_json::from_str(reply.secret_string().unwrap_or_default())
            .map_err(|_| SecretError::NoCredentials)?;
        reply.version_id().unwrap_or_default().clone_into(&mut secret.version);
        let Credentials { username, password } = &secret.credentials;
        if username.is_empty() || password.expose().is_empty() {
            return Err(SecretError::NoCredentials);
        }
        Ok(secret)
    }

    /// What manages a secret.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn about(&self, arn: &str) -> Result<AboutSecret, AwsError> {
        let reply = self.client.describe_secret().secret_id(arn).send().await;
        let reply = reply.map_err(failed("DescribeSecret"))?;
        Ok(AboutSecret {
            is_rotated: reply.rotation_enabled().unwrap_or_default() || reply.owning_service().is_some(),
            is_a_stages: reply.tags().iter().any(|tag| tag.key() == Some(TAG_STACK)),
        })
    }

    /// The version that clients read, if there is one.
    ///
    /// # Errors
    /// AWS failed, or the value isn't ours.
    pub async fn current(&self, arn: &str) -> Result<Option<SecretVersion>, AwsError> {
        self.labelled(arn, CURRENT_LABEL).await
    }

    /// Stores a value that only these labels name, while clients keep reading the current one. Safe to repeat with the
    /// same token and value.
    ///
    /// # Errors
    /// See [`PutError`].
    pub async fn put_aside(
        &self,
        arn: &str,
        token: &str,
        value: &SecretValue,
        labels: &[&str],
    ) -> Result<(), PutError> {
        self.put_with_labels(arn, token, value, labels).await.map(|_| ())
    }

    /// Stores what the master user's client reads. Safe to repeat with the same token: what was stored first counts.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn put_for_logins(&self, arn: &str, token: &str, value: &LoginsValue) -> Result<(), AwsError> {
        match self.put_with_labels(arn, token, value, &[LOGINS_LABEL]).await {
            Ok(_) | Err(PutError::PutBefore) => Ok(()),
            Err(PutError::Aws(error)) => Err(error),
        }
    }

    /// The ARN of a secret of a stage besides its own, which is created if it doesn't exist. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed, or another secret has this name.
    pub async fn ensure(&self, name: &str, stage: &Stage, description: &str) -> Result<String, AwsError> {
        let tag = |(key, value): (&str, String)| Tag::builder().key(key).value(value).build();
        let tags = [(TAG_STACK, stage.stack.to_string()), (TAG_STAGE, stage.stage.to_string())].map(tag);
        let call = self.client.create_secret().name(name).description(description);
        match call.set_tags(Some(tags.to_vec())).send().await {
            Ok(reply) => Ok(reply.arn().unwrap_or_default().to_owned()),
            Err(error) if error.code() == Some("ResourceExistsException") => {
                let reply = self.client.describe_secret().secret_id(name).send().await;
                Ok(reply.map_err(failed("DescribeSecret"))?.arn().unwrap_or_default().to_owned())
            }
            Err(error) => Err(failed("CreateSecret")(error)),
        }
    }

    /// Deletes a secret, as CloudFormation does: at once. If it's gone, this succeeds.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn delete(&self, name: &str) -> Result<(), AwsError> {
        let call = self.client.delete_secret().secret_id(name).force_delete_without_recovery(true);
        match call.send().await {
            // Without the secret, IAM doesn't see the tag that the permission asks for.
            Err(error)
                if matches!(error.code(), Some("ResourceNotFoundException" | "AccessDeniedException")) =>
            {
                Ok(())
            }
            reply => reply.map(|_| ()).map_err(failed("DeleteSecret")),
        }
    }

    /// The staging labels of a secret, each with the ID of its version.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn labels(&self, arn: &str) -> Result<BTreeMap<String, String>, AwsError> {
        let reply =
            self.client.describe_secret().secret_id(arn).send().await.map_err(failed("DescribeSecret"))?;
        let versions = reply.version_ids_to_stages().into_iter().flatten();
        let labels = |(version, labels): (&String, &Vec<String>)| {
            labels.iter().map(|label| (label.clone(), version.clone())).collect::<Vec<_>>()
        };
        Ok(versions.flat_map(labels).collect())
    }

    /// Removes the labels of old generations to make room for a new one, because Secrets Manager allows 20 labels over
    /// all versions of a secret. The newest ten are kept, and the ones `in_use` regardless of their age, because a
    /// rollback needs them. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn forget_old_generations(&self, arn: &str, in_use: &[String]) -> Result<(), AwsError> {
        let mut labels = self.labels(arn).await?;
        labels.retain(|label, _| label.starts_with("generation-") && !in_use.contains(label));
        // A generation is a time, so its label sorts by age.
        let old = labels.len().saturating_sub(GENERATIONS_KEPT);
        for (label, version) in labels.into_iter().take(old) {
            let call = self.client.update_secret_version_stage().secret_id(arn).version_stage(label);
            call.remove_from_version_id(version).send().await.map_err(failed("UpdateSecretVersionStage"))?;
        }
        Ok(())
    }

    /// Puts a label on a version, and takes it off the one that has it. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn move_label(&self, arn: &str, label: &str, version: &str) -> Result<(), AwsError> {
        let holder = self.labels(arn).await?.remove(label);
        if holder.as_deref() == Some(version) {
            return Ok(());
        }
        let call = self.client.update_secret_version_stage().secret_id(arn).version_stage(label);
        let call = call.move_to_version_id(version).set_remove_from_version_id(holder);
        call.send().await.map(|_| ()).map_err(failed("UpdateSecretVersionStage"))
    }

    /// Takes the labels of all logins but these off the secret of the master user, to make room. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn forget_other_logins(&self, arn: &str, kept: &[String]) -> Result<(), AwsError> {
        for (label, version) in self.labels(arn).await? {
            if Login::is_staging_label(&label) && !kept.contains(&label) {
                self.forget(arn, &label, &version).await?;
            }
        }
        Ok(())
    }

    /// Takes a label off a version, if it has it. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn forget(&self, arn: &str, label: &str, version: &str) -> Result<(), AwsError> {
        let call = self.client.update_secret_version_stage().secret_id(arn).version_stage(label);
        match call.remove_from_version_id(version).send().await {
            // Another version has it, or none.
            Err(error) if error.code() == Some("InvalidParameterException") => Ok(()),
            reply => reply.map(|_| ()).map_err(failed("UpdateSecretVersionStage")),
        }
    }

    /// Stores a value as the one that clients read, and returns its version. Safe to repeat with the same token and
    /// value.
    ///
    /// # Errors
    /// See [`PutError`].
    pub async fn publish(&self, arn: &str, token: &str, value: &SecretValue) -> Result<String, PutError> {
        self.put_with_labels(arn, token, value, &[CURRENT_LABEL]).await
    }

    async fn put_with_labels(
        &self,
        arn: &str,
        token: &str,
        value: &impl Serialize,
        labels: &[&str],
    ) -> Result<String, PutError> {
        let text = serde_json::to_string(value).unwrap_or_default();
        let call =
            self.client.put_secret_value().secret_id(arn).client_request_token(token).secret_string(text);
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        match call.set_version_stages(Some(labels)).send().await {
            Ok(reply) => Ok(reply.version_id().unwrap_or(token).to_owned()),
            Err(error) if error.code() == Some("ResourceExistsException") => Err(PutError::PutBefore),
            Err(error) => Err(failed("PutSecretValue")(error).into()),
        }
    }

    /// A new password of 32 characters that RDS accepts and that doesn't have to be escaped.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn random_password(&self) -> Result<Password, AwsError> {
        let call = self.client.get_random_password().password_length(PASSWORD_LENGTH);
        let reply =
            call.exclude_characters(NOT_IN_PASSWORDS).send().await.map_err(failed("GetRandomPassword"))?;
        Ok(Password(reply.random_password().unwrap_or_default().to_owned()))
    }
}
