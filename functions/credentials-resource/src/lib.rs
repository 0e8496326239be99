//! The value of a stage's secret, as two resources of the stage stack.
//!
//! `Custom::PostgresCredentials` writes username and password before any database has them;
//! `Custom::PostgresConnection` completes the value once the database is there. Each generation of the data has its own
//! version of the secret, found by its staging label: a rollback makes the version of the generation it goes back to
//! current again. Without a database the secret keeps its last value, so that a task which starts in between does not
//! fail on a missing key.
//!
//! The credentials of an attached database were typed by a person, and the API has put them aside under the label of their
//! generation; or they are copied from another secret, at every rebuild anew.

use std::{collections::BTreeMap, sync::Arc};

use aws::{AwsError, Credentials, PutError, SdkConfig, SecretValue, SecretVersion, Secrets};
use custom_resource::{
    Addressee, AnswerError, InvalidRequest, Outcome, Properties, Request, RequestType, Responder,
};
use database::{DatabaseIdentifier, ExistingDatabaseName, Generation, SecretArn};
use lambda::Invocation;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tracing::{Instrument, error, warn};

/// The user that owns a created database.
const USERNAME: &str = "postgres";

/// What the function needs.
#[derive(Debug)]
pub struct CredentialsResource {
    secrets: Secrets,
    responder: Responder,
}

impl CredentialsResource {
    /// Ready to handle events.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { secrets: Secrets::new(config), responder: Responder::default() }
    }
}

/// Handles one event of CloudFormation's.
///
/// # Errors
/// There is nobody to answer, or the answer could not be delivered.
pub async fn handle(resource: Arc<CredentialsResource>, invocation: Invocation) -> Result<(), AnswerError> {
    let work = |addressee: Addressee, request: Request| {
        let secrets = resource.secrets.clone();
        if let Ok(stage) = request.properties.stage() {
            lambda::log_stage(&stage.stack, &stage.stage);
        }
        async move { Some(outcome(&secrets, &addressee, &request).await) }.in_current_span()
    };
    custom_resource::answer(
        &invocation.event,
        invocation.time_left,
        &resource.responder,
        Request::physical_id,
        work,
    )
    .await
}

/// Why the secret could not be brought up to date.
#[derive(Debug, Error)]
enum SecretError {
    #[error("The request is not valid: {0}.")]
    Invalid(#[from] InvalidRequest),
    #[error("The secret holds no username and password for this database.")]
    NoCredentials,
    #[error("Secrets Manager refused: {}", .0.message)]
    Aws(#[from] AwsError),
    #[error("The credentials of the attached database cannot be copied from {arn}: {source}.")]
    Copy {
        arn: SecretArn,
        #[source]
        source: aws::SecretError,
    },
    #[error("The secret was changed by somebody else at the same time. Save again.")]
    ChangedMeanwhile,
}

/// What a resource asks for.
#[derive(Debug, PartialEq)]
enum Desired {
    /// Leave the secret as it is.
    Nothing,
    /// Username and a new password for this generation.
    Credentials { secret_arn: String, generation: Generation },
    /// The credentials of somebody else's database.
    Attached {
        secret_arn: String,
        generation: Generation,
        identifier: DatabaseIdentifier,
        from: Option<SecretArn>,
    },
    /// Where this generation's database is.
    Connection { secret_arn: String, generation: Generation, connection: Connection },
}

#[derive(Debug, PartialEq)]
struct Connection {
    identifier: String,
    host: String,
    port: u16,
    database_name: ExistingDatabaseName,
}

async fn outcome(secrets: &Secrets, addressee: &Addressee, request: &Request) -> Outcome {
    let done = async {
        match desired(request)? {
            Desired::Nothing => Ok(()),
            Desired::Credentials { secret_arn, generation } => {
                write_credentials(secrets, &secret_arn, &generation, &token(addressee)).await
            }
            Desired::Attached { secret_arn, generation, identifier, from: Some(from) } => {
                let token = token(addressee);
                copy_credentials(secrets, &secret_arn, &generation, &identifier, from, &token).await
            }
            Desired::Attached { secret_arn, generation, from: None, .. } => {
                let labelled = secrets.labelled(&secret_arn, &generation.staging_label()).await?;
                use_labelled(secrets, &secret_arn, labelled.as_ref()).await
            }
            Desired::Connection { secret_arn, generation, connection } => {
                write_connection(secrets, &secret_arn, &generation, connection, &token(addressee)).await
            }
        }
    };
    match done.await {
        Ok(()) => Outcome::Success(BTreeMap::new()),
        Err(failure) => {
            error!(error = lambda::chain(&failure), "the secret was not brought up to date");
            Outcome::Failed(failure.to_string())
        }
    }
}

fn desired(request: &Request) -> Result<Desired, InvalidRequest> {
    // The first version of the template did not have it.
    let properties = &request.properties.with_defaults(&[("CredentialsSecretArn", "none")]);
    let is_credentials = match request.resource_type.as_str() {
        "Custom::PostgresCredentials" => true,
        "Custom::PostgresConnection" => false,
        _ => {
            let allowed = "Custom::PostgresCredentials or Custom::PostgresConnection";
            return Err(InvalidRequest::ResourceType(allowed));
        }
    };
    // CloudFormation itself deletes the secret.
    let source = source(properties)?;
    if request.request_type == RequestType::Delete || source == Source::None {
        return Ok(Desired::Nothing);
    }
    let secret_arn = properties.text("SecretArn")?.to_owned();
    let generation = properties.parse("Generation")?;
    if is_credentials {
        return Ok(match source {
            Source::Attached => Desired::Attached {
                secret_arn,
                generation,
                identifier: properties.parse("AttachedIdentifier")?,
                from: match properties.text("CredentialsSecretArn")? {
                    "none" => None,
                    _ => Some(properties.parse("CredentialsSecretArn")?),
                },
            },
            Source::Created | Source::None => Desired::Credentials { secret_arn, generation },
        });
    }
    let port = properties.number("Port")?;
    let port = u16::try_from(port).map_err(|_| InvalidRequest::Invalid {
        name: "Port",
        reason: "must be a port, 1 to 65535".to_owned(),
    })?;
    let connection = Connection {
        identifier: properties.text("Identifier")?.to_owned(),
        host: properties.text("Host")?.to_owned(),
        port,
        database_name: properties.parse("DatabaseName")?,
    };
    Ok(Desired::Connection { secret_arn, generation, connection })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    None,
    Created,
    Attached,
}

fn source(properties: &Properties) -> Result<Source, InvalidRequest> {
    match properties.text("Source")? {
        "none" => Ok(Source::None),
        "created" => Ok(Source::Created),
        "attached" => Ok(Source::Attached),
        _ => {
            let reason = "must be none, created or attached".to_owned();
            Err(InvalidRequest::Invalid { name: "Source", reason })
        }
    }
}

/// The token of a write: the same for every delivery of a request, as a version of the secret is written once for it.
fn token(addressee: &Addressee) -> String {
    let hash = Sha256::new().chain_update(&addressee.stack_id).chain_update(&addressee.request_id);
    let hash = hash.chain_update(&addressee.logical_id).finalize();
    hash.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

async fn write_credentials(
    secrets: &Secrets,
    arn: &str,
    generation: &Generation,
    token: &str,
) -> Result<(), SecretError> {
    let label = generation.staging_label();
    let Some(version) = secrets.labelled(arn, &label).await? else {
        secrets.forget_old_generations(arn).await?;
        let password = secrets.random_password().await?;
        let credentials = Credentials { username: USERNAME.to_owned(), password };
        return match secrets.put(arn, token, &SecretValue::without_database(credentials), &label).await {
            // Another delivery of this request was quicker; its password is the one that counts.
            Ok(()) | Err(PutError::PutBefore) => Ok(()),
            Err(PutError::Aws(error)) => Err(error.into()),
        };
    };
    Ok(secrets.make_current(arn, &version.id).await?)
}

async fn copy_credentials(
    secrets: &Secrets,
    arn: &str,
    generation: &Generation,
    identifier: &DatabaseIdentifier,
    from: SecretArn,
    token: &str,
) -> Result<(), SecretError> {
    let label = generation.staging_label();
    let labelled = secrets.labelled(arn, &label).await?;
    let credentials = match secrets.foreign(from.as_ref()).await {
        Ok(secret) => secret.credentials,
        // They were copied before. Without this a rollback to them could not succeed once their secret is gone.
        Err(source) if labelled.is_some() => {
            warn!(from = %from, error = lambda::chain(&source), "the credentials stay as they were copied before");
            return use_labelled(secrets, arn, labelled.as_ref()).await;
        }
        Err(source) => return Err(SecretError::Copy { arn: from, source }),
    };
    if labelled.as_ref().is_some_and(|version| version.value.credentials == credentials) {
        return use_labelled(secrets, arn, labelled.as_ref()).await;
    }
    if labelled.is_none() {
        secrets.forget_old_generations(arn).await?;
    }
    // Where the database is stays: a generation has one database.
    let is_same = |version: &SecretVersion| {
        version.value.db_instance_identifier.as_deref() == Some(identifier.as_ref())
    };
    let known = match labelled {
        Some(version) => Some(version),
        None => secrets.current(arn).await?.filter(is_same),
    };
    let value = match known {
        Some(version) => SecretValue { credentials, ..version.value },
        None => SecretValue::without_database(credentials),
    };
    let put = if value.is_complete() {
        secrets.put(arn, token, &value, &label).await
    } else {
        secrets.put_aside(arn, token, &value, &label).await
    };
    match put {
        // Another delivery of this request was quicker.
        Ok(()) | Err(PutError::PutBefore) => Ok(()),
        Err(PutError::Aws(error)) => Err(error.into()),
    }
}

/// Makes the credentials of an attached database current, if it is known where that is. Otherwise the connection's
/// resource does it: containers that start meanwhile find every key.
async fn use_labelled(
    secrets: &Secrets,
    arn: &str,
    labelled: Option<&SecretVersion>,
) -> Result<(), SecretError> {
    let version = labelled.ok_or(SecretError::NoCredentials)?;
    if version.value.is_complete() {
        secrets.make_current(arn, &version.id).await?;
    }
    Ok(())
}

async fn write_connection(
    secrets: &Secrets,
    arn: &str,
    generation: &Generation,
    connection: Connection,
    token: &str,
) -> Result<(), SecretError> {
    let label = generation.staging_label();
    let version = secrets.labelled(arn, &label).await?.ok_or(SecretError::NoCredentials)?;
    let value = SecretValue {
        credentials: version.value.credentials.clone(),
        engine: Some("postgres".to_owned()),
        host: Some(connection.host),
        port: Some(connection.port),
        dbname: Some(connection.database_name.to_string()),
        db_instance_identifier: Some(connection.identifier),
    };
    if version.value == value {
        return Ok(secrets.make_current(arn, &version.id).await?);
    }
    match secrets.put(arn, token, &value, &label).await {
        Ok(()) => Ok(()),
        Err(PutError::PutBefore) => Err(SecretError::ChangedMeanwhile),
        Err(PutError::Aws(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
