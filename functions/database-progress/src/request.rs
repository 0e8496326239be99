//! The properties of `Custom::PostgresDatabase`, parsed once and strictly.

use custom_resource::{Addressee, InvalidRequest, Properties, Request, RequestType};
use database::{Created, Desired, Generation, Operation, Owner, Previous, Settings};

/// A request for a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRequest {
    /// What CloudFormation asks for.
    pub request: database::Request,
    /// The ARN of the stage's secret.
    pub secret_arn: String,
    /// Whether the containers don't log in as the master user, whose credentials are in another secret.
    pub has_app_login: bool,
    /// The physical ID of the resource, derived from names alone.
    pub physical_id: String,
}

/// Parses what CloudFormation asks for.
///
/// # Errors
/// The first property that is missing or isn't valid.
pub fn database_request(addressee: &Addressee, request: &Request) -> Result<DatabaseRequest, InvalidRequest> {
    if request.resource_type != "Custom::PostgresDatabase" {
        return Err(InvalidRequest::ResourceType("Custom::PostgresDatabase"));
    }
    let properties = &request.properties;
    let stage = properties.stage()?;
    let physical_id = request.physical_id()?;
    let operation = match request.request_type {
        RequestType::Create => Operation::Create,
        RequestType::Update => Operation::Update,
        RequestType::Delete => Operation::Delete,
    };
    // An ID that stagedb never assigned. The deleted resource isn't the one that has the database now.
    let is_other = addressee.physical_id.as_ref().is_some_and(|id| *id != physical_id);
    let logical_id = if operation == Operation::Delete && is_other {
        format!("{} that was replaced", addressee.logical_id)
    } else {
        addressee.logical_id.clone()
    };
    let desired = if operation == Operation::Delete { Desired::None } else { desired(properties)? };
    Ok(DatabaseRequest {
        has_app_login: matches!(&desired, Desired::Created(created) if created.settings.app_login),
        request: database::Request {
            operation,
            owner: Owner { stage_stack_id: addressee.stack_id.clone(), logical_id },
            desired,
            previous: Previous {
                generation: generation(&request.old_properties)?,
                is_attached: request.old_properties.text("Source") == Ok("attached"),
                is_deferred: request.old_properties.text("Apply") == Ok("maintenance-window"),
            },
            token: token(&addressee.request_id),
            stage,
        },
        // A deletion doesn't need it.
        secret_arn: match properties.text("SecretArn") {
            Err(_) if operation == Operation::Delete => String::new(),
            arn => arn?.to_owned(),
        },
        physical_id,
    })
}

/// Part of CloudFormation's ID of the request, which is a UUID.
fn token(request_id: &str) -> String {
    request_id.chars().filter(char::is_ascii_alphanumeric).take(16).collect::<String>().to_ascii_lowercase()
}

fn desired(properties: &Properties) -> Result<Desired, InvalidRequest> {
    match Settings::from_parameters(|name| properties.optional(name))? {
        Settings::None => Ok(Desired::None),
        Settings::Created(settings) => Ok(Desired::Created(Created {
            generation: properties.parse("Generation")?,
            settings,
            subnet_group: properties.text("SubnetGroupName")?.to_owned(),
            security_group: properties.text("SecurityGroupId")?.to_owned(),
        })),
        Settings::Attached(attached) => Ok(Desired::Attached(attached.target)),
    }
}

/// The generation in the earlier properties. It's `none` before the first creation.
fn generation(properties: &Properties) -> Result<Option<Generation>, InvalidRequest> {
    match properties.text("Generation") {
        Err(InvalidRequest::Missing(_)) | Ok("none") => Ok(None),
        _ => properties.parse("Generation").map(Some),
    }
}
