//! The value of a stage's secret, as two resources of the stage stack.
//!
//! `Custom::PostgresCredentials` stores a username and a password before any database has them, in a version that only
//! the staging label of their generation names. `Custom::PostgresConnection` is the last resource of every operation,
//! and the only one that changes what clients read. Once the database exists, it publishes the generation's credentials
//! with the database's endpoint, as a new version. So a container that starts at any time finds a complete value, an
//! operation that fails earlier changes nothing, and a rollback publishes the earlier value. Without a database, the
//! secret keeps its last value, so that a task that starts in between doesn't fail on a missing key.
//!
//! For an attached database, the user either typed the credentials, and the API stored them under the label of their
//! generation, or every rebuild copies them from another secret.

use std::{collections::BTreeMap, sync::Arc};

use aws::{AwsError, Credentials, NEXT_LABEL, PutError, SdkConfig, SecretValue, Secrets, TurnError, Turns};
use custom_resource::{
    Addressee, AnswerError, InvalidRequest, Outcome, Properties, Request, RequestType, Responder,
};
use database::{After, Connection, Generation, Login, MASTER, SecretArn, Stage, credentials_label};
use lambda::Invocation;
use thiserror::Error;
use time::OffsetDateTime;
use tracing::{Instrument, error, warn};

/// The requests that must be over before credentials are stored, because a connection reads them.
const BEFORE_CREDENTIALS: &[After] = &[After::Any("Credentials"), After::Any("Connection")];
/// The requests that must be over before a connection is published.
const BEFORE_CONNECTION: &[After] = &[After::Any("Connection")];

/// What the function needs.
#[derive(Debug)]
pub struct CredentialsResource {
    secrets: Secrets,
    turns: Turns,
    responder: Responder,
}

impl CredentialsResource {
    /// Creates the function's clients.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            secrets: Secrets::new(config),
            turns: Turns::new(config),
            responder: Responder::new(config.http_client()),
        }
    }
}

/// Handles one CloudFormation event.
///
/// # Errors
/// The event doesn't say where to send the answer, or the answer couldn't be delivered.
pub async fn handle(resource: Arc<CredentialsResource>, invocation: Invocation) -> Result<(), AnswerError> {
    let now = invocation.now;
    let work = |addressee: Addressee, request: Request| {
        let resource = Arc::clone(&resource);
        if let Ok(stage) = request.properties.stage() {
            lambda::log_stage(&stage.stack, &stage.stage);
        }
        async move { Some(resource.outcome(&addressee, &request, now).await) }.in_current_span()
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

/// Why the secret couldn't be updated.
#[derive(Debug, Error)]
enum SecretError {
    #[error("The request isn't valid: {0}.")]
    Invalid(#[from] InvalidRequest),
    #[error("The secret has no username and password for this database.")]
    NoCredentials,
    #[error("Secrets Manager refused: {}", .0.message)]
    Aws(#[from] AwsError),
    #[error("{0}.")]
    Turn(#[from] TurnError),
    #[error("The credentials of the attached database can't be copied from {arn}: {source}.")]
    Copy {
        arn: SecretArn,
        #[source]
        source: aws::SecretError,
    },
    #[error("Something else changed the secret at the same time. Save again.")]
    ChangedMeanwhile,
    #[error("The master user's password is being rotated. Save again in a few minutes.")]
    MasterRotates,
}

/// What a resource asks for.
#[derive(Debug, PartialEq)]
enum Desired {
    /// Leave the secret as it is.
    Nothing,
    /// The master user and a new password for this generation. `was_app` says whether an app login was published before.
    Master { secret_arn: String, generation: Generation, stage: Stage, was_app: bool },
    /// A login with a new password. The master user's is in a secret of its own.
    App { secret_arn: String, generation: Generation, stage: Stage, login: Login },
    /// The stage is deleted, and with it the master user's credentials, if they have a secret of their own.
    Deleted { stage: Stage },
    /// The credentials of an attached database.
    Attached { secret_arn: String, generation: Generation, from: Option<SecretArn> },
    /// The endpoint of this generation's database.
    Connection { secret_arn: String, label: String, connection: Connection },
}

impl CredentialsResource {
    async fn outcome(&self, addressee: &Addressee, request: &Request, now: OffsetDateTime) -> Outcome {
        match self.done(addressee, request, now).await {
            Ok(done) => {
                let or = |text: Option<String>, other: &str| text.unwrap_or_else(|| other.to_owned());
                let own = request.properties.text("SecretArn").unwrap_or("none");
                // Without a database, nothing is published. The credentials resource never publishes anything.
                Outcome::Success(BTreeMap::from([
                    ("SecretVersion", or(done.published, "none")),
                    ("MasterSecretArn", or(done.master_secret_arn, own)),
                ]))
            }
            Err(failure) => {
                error!(error = lambda::chain(&failure), "the secret wasn't updated");
                Outcome::Failed(failure.to_string())
            }
        }
    }

    /// Does what a request asks for.
    async fn done(
        &self,
        addressee: &Addressee,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<Done, SecretError> {
        let desired = desired(request)?;
        let before = match desired {
            Desired::Nothing => return Ok(Done::default()),
            Desired::Deleted { stage } => {
                self.secrets.delete(&stage.master_secret_name()).await?;
                return Ok(Done::default());
            }
            Desired::Master { .. } | Desired::App { .. } | Desired::Attached { .. } => BEFORE_CREDENTIALS,
            Desired::Connection { .. } => BEFORE_CONNECTION,
        };
        let asked = request.asked(addressee, before);
        // It's the same for every delivery of a request, so that the request writes one version of the secret.
        let (desired, token) = (&desired, &addressee.token());
        let in_use: Vec<_> = [&request.properties, &request.old_properties]
            .into_iter()
            .flat_map(|properties| {
                let generation = properties.parse::<Generation>("Generation").ok();
                let login = properties.login().ok().flatten();
                [generation.map(|of| of.staging_label()), login.map(|of| of.staging_label())]
            })
            .flatten()
            .collect();
        let in_use = &in_use;
        let work = move || async move {
            let secrets = &self.secrets;
            match desired {
                Desired::Nothing | Desired::Deleted { .. } => Ok(Done::default()),
                Desired::Master { secret_arn, generation, stage, was_app } => {
                    let from = if *was_app { Some(stage.master_secret_name()) } else { None };
                    let master = Master { arn: secret_arn, generation, login: None };
                    write_master(secrets, master, from.as_deref(), in_use, token).await?;
                    Ok(Done::default())
                }
                Desired::App { secret_arn, generation, stage, login } => {
                    let master = stage.master_secret_name();
                    let about = format!(
                        "Master user of the Postgres of stack {}, stage {}",
                        stage.stack, stage.stage
                    );
                    let master = secrets.ensure(&master, stage, &about).await?;
                    let to = Master { arn: &master, generation, login: Some(login) };
                    write_master(secrets, to, Some(secret_arn), in_use, token).await?;
                    write_login(secrets, secret_arn, login, token).await?;
                    Ok(Done { master_secret_arn: Some(master), published: None })
                }
                Desired::Attached { secret_arn, generation, from: Some(from) } => {
                    copy_credentials(secrets, secret_arn, generation, from, in_use, token).await?;
                    Ok(Done::default())
                }
                Desired::Attached { secret_arn, generation, from: None } => {
                    let typed = secrets.labelled(secret_arn, &generation.staging_label()).await?;
                    typed.map(|_| Done::default()).ok_or(SecretError::NoCredentials)
                }
                Desired::Connection { secret_arn, label, connection } => {
                    let published = write_connection(secrets, secret_arn, label, connection, token).await?;
                    Ok(Done { published: Some(published), master_secret_arn: None })
                }
            }
        };
        self.turns.take(&addressee.stack_id, &asked, now, work).await?
    }
}

/// What a request has led to.
#[derive(Debug, Default)]
struct Done {
    /// The version of the secret that clients read from now on.
    published: Option<String>,
    /// The secret with the master user's credentials, if that isn't the stage's own.
    master_secret_arn: Option<String>,
}

fn desired(request: &Request) -> Result<Desired, InvalidRequest> {
    let properties = &request.properties;
    let is_credentials = match request.resource_type.as_str() {
        "Custom::PostgresCredentials" => true,
        "Custom::PostgresConnection" => false,
        _ => {
            let allowed = "Custom::PostgresCredentials or Custom::PostgresConnection";
            return Err(InvalidRequest::ResourceType(allowed));
        }
    };
    // CloudFormation itself deletes the stage's secret.
    if request.request_type == RequestType::Delete {
        return Ok(if is_credentials {
            Desired::Deleted { stage: properties.stage()? }
        } else {
            Desired::Nothing
        });
    }
    let source = source(properties)?;
    if source == Source::None {
        return Ok(Desired::Nothing);
    }
    let secret_arn = properties.text("SecretArn")?.to_owned();
    let generation = properties.parse("Generation")?;
    // Only a created database has one.
    let login = properties.login()?.filter(|login| source == Source::Created && !login.is_master);
    if is_credentials {
        return Ok(match source {
            Source::Attached => Desired::Attached {
                secret_arn,
                generation,
                // The first version of the template didn't have it.
                from: match properties.optional("CredentialsSecretArn")?.as_deref() {
                    None | Some("none") => None,
                    Some(_) => Some(properties.parse("CredentialsSecretArn")?),
                },
            },
            Source::Created | Source::None => {
                let stage = properties.stage()?;
                if let Some(login) = login {
                    Desired::App { secret_arn, generation, stage, login }
                } else {
                    let was_app = was_app(&request.old_properties, &generation)?;
                    Desired::Master { secret_arn, generation, stage, was_app }
                }
            }
        });
    }
    let connection = properties.connection()?;
    let label = credentials_label(&generation, login.as_ref());
    Ok(Desired::Connection { secret_arn, label, connection })
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
            let reason = "must be none, created, or attached".to_owned();
            Err(InvalidRequest::Invalid { name: "Source", reason })
        }
    }
}

/// Whether an app login to the same data was published before the update, so that the master user's password is in the other
/// secret.
fn was_app(before: &Properties, generation: &Generation) -> Result<bool, InvalidRequest> {
    let is_same = before.optional("Generation")?.as_deref() == Some(generation.to_string().as_str());
    Ok(is_same && before.login()?.is_some_and(|login| !login.is_master))
}

/// Where the master user's credentials are stored.
#[derive(Clone, Copy)]
struct Master<'a> {
    arn: &'a str,
    generation: &'a Generation,
    /// The app login that's published instead.
    login: Option<&'a Login>,
}

/// Stores the master user's credentials for this generation, if the secret doesn't have them: those in the other secret, or else
/// a new password. A new one isn't rotated with the login that is published together with it.
async fn write_master(
    secrets: &Secrets,
    Master { arn, generation, login }: Master<'_>,
    from: Option<&str>,
    in_use: &[String],
    token: &str,
) -> Result<(), SecretError> {
    let label = generation.staging_label();
    if secrets.labelled(arn, &label).await?.is_some() {
        return Ok(());
    }
    secrets.forget_old_generations(arn, in_use).await?;
    if login.is_some() {
        secrets.forget_other_logins(arn, in_use).await?;
    }
    let known = match from {
        // RDS may have the next password already, or not.
        Some(from) if login.is_none() && secrets.labelled(from, NEXT_LABEL).await?.is_some() => {
            return Err(SecretError::MasterRotates);
        }
        Some(from) => secrets.labelled(from, &label).await?,
        None => None,
    };
    if let Some(version) = known {
        return put_aside(secrets, arn, token, version.value.credentials, &[&label]).await;
    }
    let credentials = Credentials { username: MASTER.to_owned(), password: secrets.random_password().await? };
    let of_login = login.map(Login::staging_label);
    let labels: Vec<_> = std::iter::once(label.as_str()).chain(of_login.as_deref()).collect();
    put_aside(secrets, arn, token, credentials, &labels).await
}

/// Generates a login's password, if it has none.
async fn write_login(secrets: &Secrets, arn: &str, login: &Login, token: &str) -> Result<(), SecretError> {
    let label = login.staging_label();
    if secrets.labelled(arn, &label).await?.is_some() {
        return Ok(());
    }
    let password = secrets.random_password().await?;
    let credentials = Credentials { username: login.app.user().to_owned(), password };
    put_aside(secrets, arn, token, credentials, &[&label]).await
}

/// Copies the current credentials of another secret.
async fn copy_credentials(
    secrets: &Secrets,
    arn: &str,
    generation: &Generation,
    from: &SecretArn,
    in_use: &[String],
    token: &str,
) -> Result<(), SecretError> {
    let label = generation.staging_label();
    let labelled = secrets.labelled(arn, &label).await?;
    let credentials = match secrets.foreign(from.as_ref()).await {
        Ok(secret) => secret.credentials,
        // They were copied before. Without this, a rollback to them would fail once their secret is deleted. If AWS
        // just has a temporary problem, the copy may be outdated, and it mustn't pass for a new one.
        Err(source) if labelled.is_some() && source.is_lasting() => {
            warn!(%from, error = lambda::chain(&source), "kept the credentials that were copied before");
            return Ok(());
        }
        Err(source) => return Err(SecretError::Copy { arn: from.clone(), source }),
    };
    match labelled {
        Some(version) if version.value.credentials == credentials => return Ok(()),
        Some(_) => {}
        None => secrets.forget_old_generations(arn, in_use).await?,
    }
    put_aside(secrets, arn, token, credentials, &[&label]).await
}

async fn put_aside(
    secrets: &Secrets,
    arn: &str,
    token: &str,
    credentials: Credentials,
    labels: &[&str],
) -> Result<(), SecretError> {
    match secrets.put_aside(arn, token, &SecretValue::without_database(credentials), labels).await {
        // Another delivery of this request was faster. Its credentials count.
        Ok(()) | Err(PutError::PutBefore) => Ok(()),
        Err(PutError::Aws(error)) => Err(error.into()),
    }
}

/// Publishes this generation's credentials with the endpoint of its database, unless clients already read them. Returns
/// the version that clients read from now on. It's a new version each time the value changes, even back to an earlier
/// value, so its ID tells whether containers started with what clients read now.
async fn write_connection(
    secrets: &Secrets,
    arn: &str,
    label: &str,
    connection: &Connection,
    token: &str,
) -> Result<String, SecretError> {
    let version = secrets.labelled(arn, label).await?.ok_or(SecretError::NoCredentials)?;
    let value = SecretValue::of(version.value.credentials, connection);
    match secrets.current(arn).await? {
        Some(current) if current.value == value => return Ok(current.id),
        Some(_) | None => {}
    }
    match secrets.publish(arn, token, &value).await {
        Ok(id) => Ok(id),
        Err(PutError::PutBefore) => Err(SecretError::ChangedMeanwhile),
        Err(PutError::Aws(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
