//! The properties of `Custom::PostgresDatabase`, parsed once and strictly.

use custom_resource::{Addressee, InvalidRequest, Properties, Request, RequestType};
use database::{
    Attached, BackupRetention, Created, Desired, Generation, Operation, Owner, Previous, SettingError,
    StorageGiB,
};

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
            previous: Previous {
                generation: generation(&request.old_properties)?,
                is_attached: request.old_properties.text("Source") == Ok("attached"),
                is_deferred: request.old_properties.text("Apply") == Ok("maintenance-window"),
            },
            token: token(&addressee.request_id),
            stage,
        },
        secret_arn: properties.text("SecretArn")?.to_owned(),
        physical_id,
    })
}

/// A part of CloudFormation's id of the request, which is a UUID.
fn token(request_id: &str) -> String {
    request_id.chars().filter(char::is_ascii_alphanumeric).take(16).collect::<String>().to_ascii_lowercase()
}

/// What the first version of the template did not have.
const DEFAULTS: &[(&str, &str)] = &[
    ("MaxStorageGiB", "0"),
    ("MultiAz", "false"),
    ("BackupRetentionDays", "7"),
    ("Apply", "now"),
    ("FromSnapshot", "none"),
];

fn desired(properties: &Properties) -> Result<Desired, InvalidRequest> {
    let properties = &properties.with_defaults(DEFAULTS);
    match properties.text("Source")? {
        "none" => Ok(Desired::None),
        "created" => Ok(Desired::Created(Created {
            generation: properties.parse("Generation")?,
            instance_class: properties.parse("InstanceClass")?,
            storage: checked::<StorageGiB>(properties, "StorageGiB")?,
            max_storage: match properties.number("MaxStorageGiB")? {
                0 => None,
                _ => Some(checked(properties, "MaxStorageGiB")?),
            },
            multi_az: boolean(properties, "MultiAz")?,
            backup_retention: checked::<BackupRetention>(properties, "BackupRetentionDays")?,
            database_name: properties.parse("DatabaseName")?,
            engine_version: properties.parse("EngineVersion")?,
            apply: properties.parse("Apply")?,
            from_snapshot: match properties.text("FromSnapshot")? {
                "none" => None,
                _ => Some(properties.parse("FromSnapshot")?),
            },
            subnet_group: properties.text("SubnetGroupName")?.to_owned(),
            security_group: properties.text("SecurityGroupId")?.to_owned(),
        })),
        "attached" => Ok(Desired::Attached(Attached {
            kind: properties.parse("AttachedKind")?,
            identifier: properties.parse("AttachedIdentifier")?,
            database_name: properties.parse("DatabaseName")?,
        })),
        _ => {
            let reason = "must be none, created or attached".to_owned();
            Err(InvalidRequest::Invalid { name: "Source", reason })
        }
    }
}

/// A number within the limits of its type.
fn checked<T: TryFrom<i64, Error = SettingError>>(
    properties: &Properties,
    name: &'static str,
) -> Result<T, InvalidRequest> {
    T::try_from(properties.number(name)?)
        .map_err(|error| InvalidRequest::Invalid { name, reason: error.to_string() })
}

fn boolean(properties: &Properties, name: &'static str) -> Result<bool, InvalidRequest> {
    match properties.text(name)? {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(InvalidRequest::Invalid { name, reason: "must be true or false".to_owned() }),
    }
}

/// The generation of earlier properties; `none` before the first creation.
fn generation(properties: &Properties) -> Result<Option<Generation>, InvalidRequest> {
    match properties.text("Generation") {
        Err(InvalidRequest::Missing(_)) | Ok("none") => Ok(None),
        _ => properties.parse("Generation").map(Some),
    }
}
