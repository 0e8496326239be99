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
    Logins {
        /// The login.
        login: Login,
        /// Whether no container can have another login: before the first change, and with other data than before. Restored data
        /// has logins with earlier passwords.
        is_first: bool,
        /// Whether the master user's objects change their owner: at the first change, and after the master user was published.
        takes_objects: bool,
        /// The ARN of the secret with the master user's credentials.
        master_secret_arn: String,
        /// The execution role of the master user's client.
        role_arn: String,
    },
}

const PROOF: &str = "Custom::PostgresProof";
const LOGINS: &str = "Custom::PostgresLogins";
/// What a login is about. If none of it changes, the login stays as it is.
const OF_LOGIN: [&str; 5] = ["Login", "Generation", "Source", "Identifier", "DatabaseName"];

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
        if !registration.proves {
            return Ok(None);
        }
        Purpose::Proof
    } else {
        let is_same = |name| {
            Ok::<_, InvalidRequest>(properties.optional(name)? == request.old_properties.optional(name)?)
        };
        let is_as_before =
            OF_LOGIN.into_iter().map(is_same).collect::<Result<Vec<_>, _>>()?.into_iter().all(|same| same);
        let before = &request.old_properties;
        let earlier = self::login(before)?;
        let is_other = is_other_data(before, properties)?;
        // Without a snapshot, a database begins with no login to disable.
        let has_snapshot = properties.optional("FromSnapshot")?.is_some_and(|id| id != "none");
        match login.clone().filter(|login| !is_as_before && (!login.is_master || (is_other && has_snapshot)))
        {
            None => return Ok(None),
            Some(login) => Purpose::Logins {
                login,
                is_first: is_other || earlier.is_none(),
                takes_objects: is_other || earlier.is_none_or(|earlier| earlier.is_master),
                master_secret_arn: properties.text("MasterSecretArn")?.to_owned(),
                role_arn: properties.text("RoleArn")?.to_owned(),
            },
        }
    };
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

/// Whether the database had other data before, or there was none.
fn is_other_data(before: &Properties, after: &Properties) -> Result<bool, InvalidRequest> {
    let is_same = |name| Ok::<_, InvalidRequest>(before.optional(name)? == after.optional(name)?);
    Ok(!is_same("Source")? || !is_same("Generation")?)
}

fn registration(properties: &Properties) -> Result<Registration, InvalidRequest> {
    let mut registration = BTreeMap::new();
    for name in ["Services", "Jobs", "ConnectionProof"] {
        registration.insert(name.to_owned(), properties.text(name)?.to_owned());
    }
    Ok(Registration::from_parameters(&registration)?)
}

/// An earlier version of the template had no login.
fn login(properties: &Properties) -> Result<Option<Login>, InvalidRequest> {
    match properties.optional("Login")?.as_deref() {
        None | Some("none") => Ok(None),
        // Only a created database has one.
        Some(_) if properties.optional("Source")?.as_deref() != Some("created") => Ok(None),
        Some(_) => properties.parse("Login").map(Some),
    }
}
