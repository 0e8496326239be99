//! `GET /api/stacks/{stack}/stages/{stage}`: what a stage is registered with.

use database::{Registration, Stage, obstacle, proof_in_words};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::SettingsApi,
    registration::{JobWire, ServiceWire},
    response::{Problem, Reply},
    routes::stacks::state,
    stage_stack::etag,
};

/// A registered stage.
#[derive(Serialize, ToSchema)]
#[schema(as = StageDetails)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StageDetailsWire {
    stack: String,
    stage: String,
    /// `updating`, `complete`, `rolled-back`, or `failed`.
    state: &'static str,
    /// `none`, `created`, or `attached`.
    source: String,
    /// The VPC of the services.
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_id: Option<String>,
    /// The ECS services whose containers get the runtime variables.
    services: Vec<ServiceWire>,
    /// The jobs whose containers get the runtime variables.
    jobs: Vec<JobWire>,
    /// Whether a service that is deployed without the runtime variables gets them back.
    restore_variables: bool,
    /// Whether a rebuild proves connections before it publishes anything: `required` or `skipped`.
    connection_proof: &'static str,
    /// Whether only admins can change the stage.
    protected: bool,
    /// The name of the SSM parameter with the ARN of the stage's secret.
    secret_arn_parameter: String,
}

impl SettingsApi {
    pub(crate) async fn get_stage(&self, stage: &Stage) -> Result<Reply, Problem> {
        let protected = async { Ok::<_, Problem>(self.protections.is_protected(stage).await?) };
        let (stack, protected) = tokio::try_join!(self.stage_stack(stage), protected)?;
        let registration = Registration::from_parameters(&stack.parameters)?;
        let seen = self.stage_services.look(&registration.services).await?;
        let service = |seen: &aws::SeenService| {
            let problem = obstacle(stage, &seen.registered, &seen.observed(&stack));
            ServiceWire::new(&seen.registered, problem)
        };
        let mut jobs = Vec::new();
        for (job, definition) in self.see_jobs(&registration.jobs).await? {
            let container = job.container.as_ref();
            let problem = match definition {
                None => Some(format!("The family {} has no active revision.", job.family)),
                Some(definition) if definition.container(container).is_none() => Some(format!(
                    "The task definition of the job {} has no container {container}. It has {}.",
                    job.family,
                    definition.containers().join(", ")
                )),
                Some(_) => None,
            };
            jobs.push(JobWire::new(&job, problem));
        }
        let wire = StageDetailsWire {
            stack: stage.stack.to_string(),
            stage: stage.stage.to_string(),
            state: state(stack.status),
            source: stack.source().to_owned(),
            vpc_id: stack.parameters.get("VpcId").cloned(),
            services: seen.iter().map(service).collect(),
            jobs,
            restore_variables: registration.restores,
            connection_proof: proof_in_words(registration.proves),
            protected,
            secret_arn_parameter: stage.secret_arn_parameter(),
        };
        Ok(Reply::json(200, &wire).with_etag(etag(&stack)))
    }
}
