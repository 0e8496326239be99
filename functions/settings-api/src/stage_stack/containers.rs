//! The containers of a stage: which runtime variables they have, and which they should have.

use aws::{Rebuilt, Rollout, Service, StageStack};
use database::{ContainerVariables, Containers, Publication, Target, VariableConflict, publication};

use super::has_database;
use crate::{api::SettingsApi, response::Problem};

/// What ECS shows of a stage's service.
pub(crate) struct Observation {
    pub(crate) service: Service,
    pub(crate) variables: ContainerVariables,
}

impl SettingsApi {
    /// The service and the container that the stage was registered with, or a message why they don't exist.
    pub(crate) async fn observe_containers(
        &self,
        stack: &StageStack,
    ) -> Result<Result<Observation, String>, Problem> {
        let parameter = |name: &str| stack.parameters.get(name).map_or("", String::as_str);
        let (cluster, name, container) = (parameter("Cluster"), parameter("Service"), parameter("Container"));
        let Some(service) = self.services.service(cluster, name).await? else {
            return Ok(Err(format!(
                "The ECS cluster {cluster} has no active service {name}. Register the stage again with an existing service."
            )));
        };
        let definition = self.services.task_definition(&service.task_definition_arn).await?;
        let Some(variables) = definition.container(container) else {
            return Ok(Err(format!(
                "The task definition of the service {name} has no container {container}. It has {}. Register the stage again \
                 with one of its containers.",
                definition.containers().join(", ")
            )));
        };
        Ok(Ok(Observation { service, variables }))
    }

    /// How far the containers are with the current state of the stage stack.
    pub(crate) async fn containers(&self, stack: &StageStack) -> Result<Containers, Problem> {
        let observed = match self.observe_containers(stack).await? {
            Ok(observed) => observed,
            Err(words) => return Ok(Containers::Failed(words)),
        };
        let conflicts = conflicts(stack, &observed.variables);
        if !conflicts.is_empty() && has_database(stack) {
            return Ok(Containers::Failed(conflict_in_words(&conflicts)));
        }
        let is_rebuilt = |rebuilt: &Rebuilt| {
            rebuilt.stage == stack.stage.to_string() && rebuilt.operation == stack.operation
        };
        if !observed.service.rebuilt.as_ref().is_some_and(is_rebuilt) {
            return Ok(Containers::Waiting);
        }
        // The tag is written after the variables. If they're missing now, something else has removed them.
        if !is_published(stack, &observed.variables) {
            return Ok(Containers::Failed(NOT_PUBLISHED.to_owned()));
        }
        Ok(match observed.service.rollout {
            Some(Rollout::InProgress { since }) => Containers::Redeploying { since },
            Some(Rollout::Failed(words)) => {
                Containers::Failed(format!("ECS couldn't start the containers: {words}"))
            }
            Some(Rollout::Complete { since }) => Containers::Complete { since: Some(since) },
            None => Containers::Complete { since: None },
        })
    }
}

/// The message if the containers had their variables and lost them.
const NOT_PUBLISHED: &str = "The service runs a task definition without the runtime variables. Either the new containers \
                             didn't start and ECS rolled back to an earlier task definition, or another task definition was \
                             deployed. Save again to give the containers their variables.";

/// Whether a container has the variables that it should have according to the stage stack.
fn is_published(stack: &StageStack, variables: &ContainerVariables) -> bool {
    let target = match (has_database(stack), stack.outputs.get("SecretArn")) {
        (true, Some(secret_arn)) => Target::Published { secret_arn: secret_arn.clone() },
        _ => Target::Removed,
    };
    publication(variables, &stack.stage.secret_name(), &target) == Publication::UpToDate
}

/// The variables of a container that have the name of a runtime variable, but that stagedb didn't add.
pub(crate) fn conflicts(stack: &StageStack, variables: &ContainerVariables) -> Vec<VariableConflict> {
    let secret_arn = stack.outputs.get("SecretArn").cloned().unwrap_or_default();
    match publication(variables, &stack.stage.secret_name(), &Target::Published { secret_arn }) {
        Publication::Conflict(conflicts) => conflicts,
        Publication::UpToDate | Publication::Change(_) => Vec::new(),
    }
}

/// A message about conflicting variables, and what to do about them.
pub(crate) fn conflict_in_words(conflicts: &[VariableConflict]) -> String {
    let names: Vec<_> = conflicts.iter().map(|conflict| conflict.name.as_str()).collect();
    format!(
        "The container already has {}, which stagedb didn't add and doesn't overwrite. Remove it from the task definition, \
         then save again.",
        names.join(", ")
    )
}
