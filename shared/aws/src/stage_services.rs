//! The services of a stage, with their task definitions, as ECS shows them now.

use aws_config::SdkConfig;
use database::{ObservedService, ServiceContainers, containers};

use crate::{AwsError, Service, Services, StageStack, TaskDefinition, TaskDefinitions};

/// Looks at the services of a stage.
#[derive(Debug, Clone)]
pub struct StageServices {
    services: Services,
    definitions: TaskDefinitions,
}

/// A service that a stage is registered with, and what ECS shows of it.
#[derive(Debug, Clone)]
pub struct SeenService {
    /// The service and the container.
    pub registered: database::Service,
    /// The service, if it exists and is active, and the task definition of its latest deployment.
    pub live: Option<(Service, TaskDefinition)>,
}

impl StageServices {
    /// Services in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { services: Services::new(config), definitions: TaskDefinitions::new(config) }
    }

    /// What ECS shows of these services: one call for every ten in a cluster, and one for each task definition.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn look(&self, registered: &[database::Service]) -> Result<Vec<SeenService>, AwsError> {
        let keys: Vec<_> = registered.iter().map(database::Service::key).collect();
        let found = self.services.services(&keys).await?;
        let mut seen = Vec::with_capacity(registered.len());
        for registered in registered {
            let service = found.iter().find(|service| {
                registered.has_arn(&service.arn) || {
                    // A short ARN doesn't have the cluster.
                    !service.has_long_arn() && service.name == registered.name.as_ref()
                }
            });
            let live = match service {
                None => None,
                Some(service) => {
                    let definition = self.definitions.get(&service.task_definition_arn).await?;
                    Some((service.clone(), definition))
                }
            };
            seen.push(SeenService { registered: registered.clone(), live });
        }
        Ok(seen)
    }

    /// How far the containers of each service are with the current state of the stage's stack.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn containers(
        &self,
        stack: &StageStack,
        registered: &[database::Service],
    ) -> Result<Vec<ServiceContainers>, AwsError> {
        Ok(self.look(registered).await?.iter().map(|seen| seen.containers(stack)).collect())
    }
}

impl SeenService {
    /// How far its containers are with the current state of the stage's stack.
    #[must_use]
    pub fn containers(&self, stack: &StageStack) -> ServiceContainers {
        let observed = self.observed(stack);
        let containers = containers(&stack.stage, &stack.target(), &self.registered, &observed);
        ServiceContainers { service: self.registered.clone(), containers }
    }

    /// What it shows, for the stage of this stack.
    #[must_use]
    pub fn observed(&self, stack: &StageStack) -> ObservedService {
        let Some((service, definition)) = &self.live else { return ObservedService::Missing };
        let Some(variables) = definition.container(self.registered.container.as_ref()) else {
            let containers = definition.containers().into_iter().map(str::to_owned).collect();
            return ObservedService::NoContainer(containers);
        };
        let is_rebuilt = service.rebuilt().is_some_and(|rebuilt| {
            rebuilt.stage == stack.stage.to_string() && rebuilt.operation == stack.operation
        });
        ObservedService::Found { owner: service.owner(), variables, is_rebuilt, rollout: service.rollout() }
    }
}
