//! The properties of `Custom::PostgresProof`, parsed once and strictly.

use std::collections::BTreeMap;

use custom_resource::{InvalidRequest, Request, RequestType};
use database::{Connection, Generation, Registration};

/// What to prove before it's published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofRequest {
    /// The ARN of the stage's secret.
    pub secret_arn: String,
    /// The generation of the credentials.
    pub generation: Generation,
    /// The database.
    pub connection: Connection,
    /// The ARN of the client's task definition.
    pub task_definition_arn: String,
    /// The client's log group.
    pub log_group: String,
    /// The services and jobs.
    pub registration: Registration,
}

/// Parses what CloudFormation asks for. `None` if there is nothing to prove.
///
/// # Errors
/// The first property that is missing or isn't valid.
pub fn proof_request(request: &Request) -> Result<Option<ProofRequest>, InvalidRequest> {
    if request.resource_type != "Custom::PostgresProof" {
        return Err(InvalidRequest::ResourceType("Custom::PostgresProof"));
    }
    let properties = &request.properties;
    properties.stage()?;
    if request.request_type == RequestType::Delete || properties.text("Source")? == "none" {
        return Ok(None);
    }
    let mut registration = BTreeMap::new();
    for name in ["Services", "Jobs", "ConnectionProof"] {
        registration.insert(name.to_owned(), properties.text(name)?.to_owned());
    }
    let registration = Registration::from_parameters(&registration)?;
    if !registration.proves {
        return Ok(None);
    }
    Ok(Some(ProofRequest {
        secret_arn: properties.text("SecretArn")?.to_owned(),
        generation: properties.parse("Generation")?,
        connection: properties.connection()?,
        task_definition_arn: properties.text("TaskDefinitionArn")?.to_owned(),
        log_group: properties.text("LogGroupName")?.to_owned(),
        registration,
    }))
}
