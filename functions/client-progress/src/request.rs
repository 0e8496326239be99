//! The properties of `Custom::PostgresProof` and `Custom::PostgresLogins`, parsed once and strictly.

use std::collections::BTreeMap;

use custom_resource::{InvalidRequest, Properties, Request, RequestType};
use database::{Connection, Generation, Login, Registration};

/// What clients do for a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRequest {
    /// What it is.
    pub purpose: Purpose,
    /// The ARN of the stage's secret.
    pub secret_arn: String,
    /// The generation of the credentials.
    pub generation: Generation,
    /// The login, if the stage has ever had the app login.
    pub login: Option<Login>,
    /// The database.
    pub connection: Connection,
    /// The ARN of the client's task definition.
    pub task_definition_arn: String,
    /// The client's log group.
    pub log_group: String,
    /// The services and jobs.
    pub registration: Registration,
}

/// What clients are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// They prove what's about to be published.
    Proof,
    /// One gives a login its password.
    Logins(LoginSetup),
}

/// How a login is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSetup {
    /// The login.
    pub login: Login,
    /// Whether no container can have another login: before the first change, and with other data than before. Restored data has
    /// logins with earlier passwords.
    pub is_first: bool,
    /// Whether the master user's objects change their owner: at the first change, and after the master user was published.
    pub takes_objects: bool,
    /// The ARN of the secret with the master user's credentials.
    pub master_secret_arn: String,
    /// The execution role of the master user's client.
    pub role_arn: String,
}

const PROOF: &str = "Custom::PostgresProof";
const LOGINS: &str = "Custom::PostgresLogins";
/// What a login is about. If none of it changes, the login stays as it is.
const OF_LOGIN: &[&str] = &["Login", "Generation", "Source", "Identifier", "DatabaseName"];
/// What data is about. If one of these changes, it's other data, or there was none before.
const OF_DATA: &[&str] = &["Source", "Generation"];

/// Parses what CloudFormation asks for. `None` if there is nothing to do.
///
/// # Errors
/// The first property that is missing or isn't valid.
pub fn client_request(request: &Request) -> Result<Option<ClientRequest>, InvalidRequest> {
    let is_proof = match request.resource_type.as_str() {
        PROOF => true,
        LOGINS => false,
        _ => return Err(InvalidRequest::ResourceType("Custom::PostgresProof or Custom::PostgresLogins")),
    };
    let properties = &request.properties;
    properties.stage()?;
    if request.request_type == RequestType::Delete || properties.text("Source")? == "none" {
        return Ok(None);
    }
    let registration = registration(properties)?;
    let login = login(properties)?;
    let purpose = if is_proof {
        registration.proves.then_some(Purpose::Proof)
    } else {
        match login.clone() {
            Some(login) => setup(request, login)?.map(Purpose::Logins),
            None => None,
        }
    };
    let Some(purpose) = purpose else { return Ok(None) };
    Ok(Some(ClientRequest {
        purpose,
        secret_arn: properties.text("SecretArn")?.to_owned(),
        generation: properties.parse("Generation")?,
        login,
        connection: properties.connection()?,
        task_definition_arn: properties.text("TaskDefinitionArn")?.to_owned(),
        log_group: properties.text("LogGroupName")?.to_owned(),
        registration,
    }))
}

/// What has to be done for a login. `None` if it stays as it is.
fn setup(request: &Request, login: Login) -> Result<Option<LoginSetup>, InvalidRequest> {
    let (before, properties) = (&request.old_properties, &request.properties);
    let is_other = differs(before, properties, OF_DATA)?;
    // Without a snapshot, a database begins with no login to disable.
    let has_snapshot = properties.optional("FromSnapshot")?.is_some_and(|id| id != "none");
    if (login.is_master && !(is_other && has_snapshot)) || !differs(before, properties, OF_LOGIN)? {
        return Ok(None);
    }
    let earlier = self::login(before)?;
    Ok(Some(LoginSetup {
        login,
        is_first: is_other || earlier.is_none(),
        takes_objects: is_other || earlier.is_none_or(|earlier| earlier.is_master),
        master_secret_arn: properties.text("MasterSecretArn")?.to_owned(),
        role_arn: properties.text("RoleArn")?.to_owned(),
    }))
}

/// Whether one of these properties has changed.
fn differs(before: &Properties, after: &Properties, names: &[&'static str]) -> Result<bool, InvalidRequest> {
    for name in names {
        if before.optional(name)? != after.optional(name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn registration(properties: &Properties) -> Result<Registration, InvalidRequest> {
    let mut registration = BTreeMap::new();
    for name in ["Services", "Jobs", "ConnectionProof"] {
        registration.insert(name.to_owned(), properties.text(name)?.to_owned());
    }
    Ok(Registration::from_parameters(&registration)?)
}

/// Only a created database has one.
fn login(properties: &Properties) -> Result<Option<Login>, InvalidRequest> {
    if properties.optional("Source")?.as_deref() == Some("created") { properties.login() } else { Ok(None) }
}
