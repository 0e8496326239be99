//! The containers of a stage: what they have, and what they shall have.

use aws::{Rebuilt, Rollout, Service, StageStack};
use database::{ContainerVariables, Containers, Publication, Target, VariableConflict, publication};

use crate::{SettingsApi, problem::Problem, stage::has_database};

/// What ECS shows of a stage.
pub(crate) struct Observation {
    pub(crate) service: Service,
    pub(crate) variables: ContainerVariables,
}

impl SettingsApi {
    /// The service and the container that the stage was registered with, or why there are none, in words.
    pub(crate) async fn observe_containers(
        &self,
        stack: &StageStack,
    ) -> Result<Result<Observation, String>, Problem> {
        let parameter = |name: &str| stack.parameters.get(name).map_or("", String::as_str);
        let (cluster, name, container) = (parameter("Cluster"), parameter("Service"), parameter("Container"));
        let Some(service) = self.services.service(cluster, name).await? else {
            return Ok(Err(format!(
                "The cluster {cluster} has no active ECS service {name}. Register the stage with the service it has now."
            )));
        };
        let definition = self.services.task_definition(&service.task_definition_arn).await?;
        let Some(variables) = definition.container(container) else {
            return Ok(Err(format!(
                "The task definition of the service {name} has no container {container}; it has {}. Register the stage \
                 with the container it has now.",
                definition.containers().join(", ")
            )));
        };
        Ok(Ok(Observation { service, variables }))
    }

    /// How far the containers are with what the stage stack says.
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
        // The note is written after the variables, so without them somebody has taken them out since.
        if !is_published(stack, &observed.variables) {
            return Ok(Containers::Failed(NOT_PUBLISHED.to_owned()));
        }
        Ok(match observed.service.rollout {
            Some(Rollout::InProgress { since }) => Containers::Redeploying { since },
            Some(Rollout::Failed(words)) => {
                Containers::Failed(format!("ECS could not start the containers: {words}"))
            }
            Some(Rollout::Complete { since }) => Containers::Complete { since: Some(since) },
            None => Containers::Complete { since: None },
        })
    }
}

/// What is said when the containers had their variables and lost them.
const NOT_PUBLISHED: &str = "The service runs a task definition without the runtime variables: either ECS went back to an \
                             earlier one, because the new containers did not start, or somebody deployed another one. \
                             Save again to give the containers their variables.";

/// Whether a container has what the stage stack says.
fn is_published(stack: &StageStack, variables: &ContainerVariables) -> bool {
    let target = match (has_database(stack), stack.outputs.get("SecretArn")) {
        (true, Some(secret_arn)) => Target::Published { secret_arn: secret_arn.clone() },
        _ => Target::Removed,
    };
    publication(variables, &stack.stage.secret_name(), &target) == Publication::UpToDate
}

/// The runtime variables of a container that somebody else put there.
pub(crate) fn conflicts(stack: &StageStack, variables: &ContainerVariables) -> Vec<VariableConflict> {
    let secret_arn = stack.outputs.get("SecretArn").cloned().unwrap_or_default();
    match publication(variables, &stack.stage.secret_name(), &Target::Published { secret_arn }) {
        Publication::Conflict(conflicts) => conflicts,
        Publication::UpToDate | Publication::Change(_) => Vec::new(),
    }
}

/// What a person can do about conflicting variables.
pub(crate) fn conflict_in_words(conflicts: &[VariableConflict]) -> String {
    let names: Vec<_> = conflicts.iter().map(|conflict| conflict.name.as_str()).collect();
    format!(
        "The container already has {}, which stagedb did not put there and does not overwrite. Take it out of the task \
         definition, then save again.",
        names.join(", ")
    )
}
