//! The properties of `Custom::PostgresDatabase`, parsed once and strictly.

use custom_resource::{Addressee, InvalidRequest, Properties, Request, RequestType};
use database::{Created, Desired, Generation, Operation, Owner, StorageGiB};

/// A request for a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRequest {
    /// What is asked for.
    pub request: database::Request,
    /// Where the credentials are.
    pub secret_arn: String,
    /// The id of the resource, derived from names alone.
    pub physical_id: String,
}

/// What CloudFormation asks for.
///
/// # Errors
/// The first property that is missing or not valid.
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
    // An id that we never gave: what is deleted is not the resource that has the database now.
    let is_other = addressee.physical_id.as_ref().is_some_and(|id| *id != physical_id);
    let logical_id = if operation == Operation::Delete && is_other {
        format!("{} that was replaced", addressee.logical_id)
    } else {
        addressee.logical_id.clone()
    };
    Ok(DatabaseRequest {
        request: database::Request {
            operation,
            owner: Owner { stage_stack_id: addressee.stack_id.clone(), logical_id },
            desired: if operation == Operation::Delete { Desired::None } else { desired(properties)? },
            previous_generation: generation(&request.old_properties)?,
            stage,
        },
        secret_arn: properties.text("SecretArn")?.to_owned(),
        physical_id,
    })
}

fn desired(properties: &Properties) -> Result<Desired, InvalidRequest> {
    match properties.text("Source")? {
        "none" => Ok(Desired::None),
        "created" => Ok(Desired::Created(Created {
            generation: properties.parse("Generation")?,
            instance_class: properties.parse("InstanceClass")?,
            storage: StorageGiB::try_from(properties.number("StorageGiB")?)
                .map_err(|error| InvalidRequest::Invalid { name: "StorageGiB", reason: error.to_string() })?,
            database_name: properties.parse("DatabaseName")?,
            engine_version: properties.text("EngineVersion")?.to_owned(),
            subnet_group: properties.text("SubnetGroupName")?.to_owned(),
            security_group: properties.text("SecurityGroupId")?.to_owned(),
        })),
        _ => Err(InvalidRequest::Invalid { name: "Source", reason: "must be none or created".to_owned() }),
    }
}

/// The generation of earlier properties; `none` before the first creation.
fn generation(properties: &Properties) -> Result<Option<Generation>, InvalidRequest> {
    match properties.text("Generation") {
        Err(InvalidRequest::Missing(_)) | Ok("none") => Ok(None),
        _ => properties.parse("Generation").map(Some),
    }
}
