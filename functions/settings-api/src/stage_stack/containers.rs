//! The containers of a stage: which runtime variables they have, and which they should have.

use aws::{SeenService, StageStack};
use database::{
    Containers, Publication, Registration, ServiceContainers, Target, all_containers, conflict_in_words,
    obstacle, publication,
};

use crate::{api::SettingsApi, response::Problem};

impl SettingsApi {
    /// The services that the stage is registered with, as ECS shows them.
    pub(crate) async fn see_services(&self, stack: &StageStack) -> Result<Vec<SeenService>, Problem> {
        let registration = Registration::from_parameters(&stack.parameters)?;
        Ok(self.stage_services.look(&registration.services).await?)
    }

    /// How far the containers of each service are with the current state of the stage stack.
    pub(crate) async fn containers(&self, stack: &StageStack) -> Result<Vec<ServiceContainers>, Problem> {
        Ok(self.see_services(stack).await?.iter().map(|seen| seen.containers(stack)).collect())
    }

    /// Whether containers of the stage can't get their variables.
    pub(crate) async fn have_containers_failed(&self, stack: &StageStack) -> Result<bool, Problem> {
        Ok(matches!(all_containers(&self.containers(stack).await?), Containers::Failed(_)))
    }

    /// Refuses a save whose variables some container couldn't get. Returns what it has seen of the services.
    pub(crate) async fn refuse_unless_publishable(
        &self,
        stack: &StageStack,
    ) -> Result<Vec<SeenService>, Problem> {
        let services = self.see_services(stack).await?;
        for seen in &services {
            if let Some(obstacle) = obstacle(&stack.stage, &seen.registered, &seen.observed(stack)) {
                return Err(Problem::conflict(obstacle));
            }
            let conflicts = conflicts(stack, seen);
            if !conflicts.is_empty() {
                return Err(Problem::conflict(conflict_in_words(&seen.registered, &conflicts)));
            }
        }
        Ok(services)
    }
}

/// The variables of a service's container that have the name of a runtime variable, but that stagedb didn't add.
fn conflicts(stack: &StageStack, seen: &SeenService) -> Vec<database::VariableConflict> {
    let Some((_, definition)) = &seen.live else { return Vec::new() };
    let Some(variables) = definition.container(seen.registered.container.as_ref()) else { return Vec::new() };
    let secret_arn = stack.outputs.get("SecretArn").cloned().unwrap_or_default();
    match publication(&variables, &stack.stage.secret_name(), &Target::Published { secret_arn }) {
        Publication::Conflict(conflicts) => conflicts,
        Publication::UpToDate | Publication::Change(_) => Vec::new(),
    }
}
