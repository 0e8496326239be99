//! `GET …/runtime-variables`: what each service and job has, and what became of the rest.

use aws::{SeenService, StageStack};
use database::{
    ContainerVariables, Publication, Registration, Restoration, Stage, Target, missing_variables, obstacle,
    publication, runtime_variables, story,
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    registration::SeenJob,
    response::{Problem, Reply},
};

/// The runtime variables of a stage.
#[derive(Serialize, ToSchema)]
#[schema(as = RuntimeVariables)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VariablesWire {
    /// The secret that they come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_arn: Option<String>,
    /// The name of the SSM parameter with the ARN of the secret.
    secret_arn_parameter: String,
    /// Whether a service that is deployed without the variables gets them back.
    restore_variables: bool,
    services: Vec<ServiceVariablesWire>,
    jobs: Vec<JobVariablesWire>,
}

/// The variables of a service's container.
#[derive(Serialize, ToSchema)]
#[schema(as = ServiceVariables)]
#[serde(rename_all = "camelCase")]
struct ServiceVariablesWire {
    cluster: String,
    name: String,
    #[serde(flatten)]
    has: HasWire,
    /// What became of the variables, if a deployment lacked them.
    #[serde(skip_serializing_if = "Option::is_none")]
    story: Option<String>,
    /// The last time that stagedb restored them.
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<RestoredWire>,
}

/// The variables of a job's container, in the latest revision of its task definition.
#[derive(Serialize, ToSchema)]
#[schema(as = JobVariables)]
#[serde(rename_all = "camelCase")]
struct JobVariablesWire {
    family: String,
    #[serde(flatten)]
    has: HasWire,
}

/// What a container has.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = ContainerVariables)]
#[serde(rename_all = "camelCase")]
struct HasWire {
    container: String,
    /// The ARN of the task definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    task_definition: Option<String>,
    /// The variables that the container gets when it starts next.
    variables: Vec<VariableWire>,
    /// The names of the variables that it should have and doesn't.
    missing: Vec<&'static str>,
    /// Variables with the same names that stagedb didn't add.
    conflicts: Vec<ConflictWire>,
    /// Why it can't get its variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// A variable and where its value comes from.
#[derive(Serialize, ToSchema)]
#[schema(as = RuntimeVariable)]
#[serde(rename_all = "camelCase")]
struct VariableWire {
    /// The name of the environment variable.
    name: &'static str,
    /// The key in the secret's JSON value.
    secret_key: &'static str,
}

/// A variable that stagedb didn't add and doesn't overwrite.
#[derive(Serialize, ToSchema)]
#[schema(as = VariableConflict)]
struct ConflictWire {
    /// The name of the environment variable.
    name: String,
}

/// A restoration: a revision was deployed without the variables, and a copy with them replaced it.
#[derive(Serialize, ToSchema)]
#[schema(as = Restoration)]
#[serde(rename_all = "camelCase")]
struct RestoredWire {
    /// The revision without the variables, as `family:revision`.
    deployed: String,
    /// The revision with them, as `family:revision`.
    restored: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
}

impl SettingsApi {
    pub(crate) async fn get_runtime_variables(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        let registration = Registration::from_parameters(&stack.parameters)?;
        let services = self.stage_services.look(&registration.services).await?;
        let jobs = self.see_jobs(&registration.jobs).await?;
        let service = |seen| service_wire(&stack, &registration, seen, call.now);
        Ok(Reply::json(
            200,
            &VariablesWire {
                secret_arn: stack.outputs.get("SecretArn").cloned(),
                secret_arn_parameter: stage.secret_arn_parameter(),
                restore_variables: registration.restores,
                services: services.iter().map(service).collect(),
                jobs: jobs.iter().map(|seen| job_wire(&stack, seen)).collect(),
            },
        ))
    }
}

fn service_wire(
    stack: &StageStack,
    registration: &Registration,
    seen: &SeenService,
    now: OffsetDateTime,
) -> ServiceVariablesWire {
    let (cluster, name) = seen.registered.key();
    let container = seen.registered.container.as_ref();
    let (cluster, name) = (cluster.to_owned(), name.to_owned());
    let problem = obstacle(&stack.stage, &seen.registered, &seen.observed(stack));
    let Some((service, definition)) = &seen.live else {
        let has = HasWire { container: container.to_owned(), problem, ..HasWire::default() };
        return ServiceVariablesWire { cluster, name, has, story: None, restored: None };
    };
    let mut has = has_wire(stack, container, definition.container(container).as_ref());
    has.task_definition = Some(definition.arn().to_owned());
    has.problem = problem;
    let revision = format!("{}:{}", definition.family(), definition.revision());
    let restorations = service.restorations();
    let told = |_: &&str| stack.has_database() && stack.is_at_rest() && has.problem.is_none();
    let (on, back) = (registration.restores, service.was_rolled_back());
    let story = story(&revision, &has.missing, on, back, &restorations, now);
    ServiceVariablesWire {
        story: story.filter(|story| told(&story.as_str())),
        restored: restorations.last().map(restored_wire),
        cluster,
        name,
        has,
    }
}

fn job_wire(stack: &StageStack, (job, definition): &SeenJob) -> JobVariablesWire {
    let (family, container) = (job.family.to_string(), job.container.as_ref());
    let Some(definition) = definition else {
        let problem = Some(format!("The family {family} has no active revision."));
        let has = HasWire { container: container.to_owned(), problem, ..HasWire::default() };
        return JobVariablesWire { family, has };
    };
    let variables = definition.container(container);
    let mut has = has_wire(stack, container, variables.as_ref());
    has.task_definition = Some(definition.arn().to_owned());
    if variables.is_none() {
        has.problem = Some(format!("The task definition of the job {family} has no container {container}."));
    }
    JobVariablesWire { family, has }
}

fn has_wire(stack: &StageStack, container: &str, variables: Option<&ContainerVariables>) -> HasWire {
    let secret_name = stack.stage.secret_name();
    let nothing = ContainerVariables::default();
    let variables = variables.unwrap_or(&nothing);
    let secret_arn = stack.outputs.get("SecretArn").cloned().unwrap_or_default();
    let conflicts = match publication(variables, &secret_name, &Target::Published { secret_arn }) {
        Publication::Conflict(conflicts) => conflicts,
        Publication::UpToDate | Publication::Change(_) => Vec::new(),
    };
    let variable = |v: database::RuntimeVariable| VariableWire { name: v.name, secret_key: v.secret_key };
    HasWire {
        container: container.to_owned(),
        task_definition: None,
        variables: runtime_variables(variables, &secret_name).into_iter().map(variable).collect(),
        missing: if stack.has_database() { missing_variables(variables, &secret_name) } else { Vec::new() },
        conflicts: conflicts.into_iter().map(|c| ConflictWire { name: c.name }).collect(),
        problem: None,
    }
}

fn restored_wire(Restoration { family, from, to, at }: &Restoration) -> RestoredWire {
    RestoredWire { deployed: format!("{family}:{from}"), restored: format!("{family}:{to}"), at: *at }
}
