//! The body of a registration, and how a response shows one.

use std::borrow::Cow;

use database::{
    JOBS_MAX, Job, JobPart, PlainText, Registration, SERVICES_MAX, Service as ServiceOfStage, ServicePart,
    proof_in_words,
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr,
        schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type},
    },
};

use crate::{
    request::{Body, Fields},
    response::{FieldError, Problem},
    schema,
};

const SERVICES: &str = "services";
const JOBS: &str = "jobs";
const RESTORES: &str = "restoreVariables";
const PROOF: &str = "connectionProof";

/// Reads the body of a registration.
pub(crate) fn registration(body: &Body) -> Result<Registration, Problem> {
    let fields = body.object()?;
    let services = fields.list(SERVICES);
    let jobs = if fields.has(JOBS) { fields.list(JOBS) } else { Some(Vec::new()) };
    let restores = fields.optional(RESTORES).unwrap_or(true);
    let proof = fields.optional::<PlainText>(PROOF);
    let proves = match proof.as_ref().map(AsRef::as_ref) {
        None => true,
        Some(text) => {
            let known = [true, false].into_iter().find(|proves| proof_in_words(*proves) == text);
            known.unwrap_or_else(|| {
                fields.error(PROOF, "must be required or skipped");
                true
            })
        }
    };
    let mut errors = fields.end();
    let services = complete(services, &mut errors, |fields| {
        fields.settings(ServiceOfStage::ALL, ServicePart::from_body).complete().ok()
    });
    let jobs =
        complete(jobs, &mut errors, |fields| fields.settings(Job::ALL, JobPart::from_body).complete().ok());
    match (services, jobs) {
        (Some(services), Some(jobs)) if errors.is_empty() => {
            let registration = Registration { services, jobs, restores, proves };
            let errors = registration.errors();
            if errors.is_empty() {
                return Ok(registration);
            }
            let error = |(pointer, detail)| FieldError { pointer, detail };
            Err(Problem::fields(errors.into_iter().map(error).collect()))
        }
        _ => Err(Problem::fields(errors)),
    }
}

fn complete<T>(
    list: Option<Vec<Fields>>,
    errors: &mut Vec<FieldError>,
    read: impl Fn(&Fields) -> Option<T>,
) -> Option<Vec<T>> {
    let mut all = Vec::new();
    for fields in list? {
        let item = read(&fields);
        errors.extend(fields.end());
        all.extend(item);
    }
    Some(all)
}

/// The body of a registration.
#[derive(Debug)]
pub(crate) struct RegistrationBody;

const SERVICE_SCHEMA: &str = "ServiceOfRegistration";
const JOB_SCHEMA: &str = "JobOfRegistration";

impl ToSchema for RegistrationBody {
    fn name() -> Cow<'static, str> {
        "Registration".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let closed = |object: ObjectBuilder, description: &str| {
            object
                .description(Some(description))
                .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        };
        let service = schema::object(ServiceOfStage::ALL, schema::in_request);
        let job = schema::object(Job::ALL, schema::in_request);
        let service = closed(service, "An ECS service of the stage.");
        let job = closed(job, "Tasks that a scheduler or `aws ecs run-task` starts.");
        schemas.push((SERVICE_SCHEMA.to_owned(), service.into()));
        schemas.push((JOB_SCHEMA.to_owned(), job.into()));
    }
}

impl PartialSchema for RegistrationBody {
    fn schema() -> RefOr<Schema> {
        let list = |name: &str, min: usize, max: usize, description: &str| {
            ArrayBuilder::new()
                .items(Ref::from_schema_name(name))
                .min_items((min > 0).then_some(min))
                .max_items(Some(max))
                .description(Some(description))
        };
        let services = "The ECS services whose containers get the runtime variables. All must be in one VPC, each at most \
                        once, and in no other stage.";
        let jobs =
            "The jobs whose containers get the runtime variables, each family at most once. Default: none.";
        let restores =
            "Whether a service that is deployed without the runtime variables gets them back. Default: true.";
        let proof = "Whether a rebuild connects to the database from everywhere the services and jobs run, before it publishes \
                     anything. If no client task can run there, it can be `skipped`. Default: `required`.";
        ObjectBuilder::new()
            .property(SERVICES, list(SERVICE_SCHEMA, 1, SERVICES_MAX, services))
            .required(SERVICES)
            .property(JOBS, list(JOB_SCHEMA, 0, JOBS_MAX, jobs))
            .property(
                RESTORES,
                ObjectBuilder::new()
                    .schema_type(SchemaType::from_iter([Type::Boolean, Type::Null]))
                    .description(Some(restores)),
            )
            .property(
                PROOF,
                ObjectBuilder::new()
                    .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                    .enum_values(Some([true, false].map(proof_in_words)))
                    .description(Some(proof)),
            )
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .description(Some("The body of a registration."))
            .into()
    }
}

/// An ECS service of a stage.
#[derive(Serialize, ToSchema)]
#[schema(as = ServiceOfStage)]
pub(crate) struct ServiceWire {
    cluster: String,
    name: String,
    /// The container that gets the runtime variables.
    container: String,
    /// Why it can't get its variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// A job of a stage.
#[derive(Serialize, ToSchema)]
#[schema(as = JobOfStage)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobWire {
    /// The family of its task definition.
    family: String,
    /// The container that gets the runtime variables.
    container: String,
    /// The security group that its tasks run in, if it isn't that of a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    security_group_id: Option<String>,
    /// Why it can't get its variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl ServiceWire {
    pub(crate) fn new(service: &ServiceOfStage, problem: Option<String>) -> Self {
        let (cluster, name) = service.key();
        let container = service.container.to_string();
        Self { cluster: cluster.to_owned(), name: name.to_owned(), container, problem }
    }
}

impl JobWire {
    pub(crate) fn new(job: &Job, problem: Option<String>) -> Self {
        Self {
            family: job.family.to_string(),
            container: job.container.to_string(),
            security_group_id: job.security_group.as_ref().map(ToString::to_string),
            problem,
        }
    }
}
