//! ECS: task definitions, and new revisions of them that differ only in one container's secrets.

use aws_config::SdkConfig;
use aws_sdk_ecs::{
    Client,
    types::{
        ContainerDefinition, KeyValuePair, Secret, Tag, TaskDefinition as Definition, TaskDefinitionField,
        TaskDefinitionStatus,
    },
};
use database::{ContainerVariables, SecretReference};
use time::OffsetDateTime;

use crate::{
    AwsError,
    config::{Lazy, client},
    error::failed,
    instant::instant,
};

/// The task definitions in this account and Region.
#[derive(Debug, Clone)]
pub struct TaskDefinitions {
    client: Lazy<Client>,
}

/// A complete task definition.
#[derive(Debug, Clone)]
pub struct TaskDefinition {
    definition: Definition,
    tags: Vec<Tag>,
}

impl TaskDefinitions {
    /// Task definitions in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: client!(aws_sdk_ecs, config) }
    }

    /// The latest active revision of a family with its tags, if there is one.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn latest(&self, family: &str) -> Result<Option<TaskDefinition>, AwsError> {
        match self.get(family).await {
            Ok(found) => Ok(Some(found).filter(TaskDefinition::is_active)),
            // ECS has no code of its own for a task definition that doesn't exist.
            Err(error) if error.code == "ClientException" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A task definition with its tags.
    ///
    /// # Errors
    /// AWS failed, or the task definition doesn't exist.
    pub async fn get(&self, arn: &str) -> Result<TaskDefinition, AwsError> {
        let call = self.client.describe_task_definition().task_definition(arn);
        let reply = call.include(TaskDefinitionField::Tags).send().await;
        let reply = reply.map_err(failed("DescribeTaskDefinition"))?;
        let tags = reply.tags().to_vec();
        let definition = reply.task_definition.unwrap_or_else(|| Definition::builder().build());
        Ok(TaskDefinition { definition, tags })
    }

    /// Registers a new revision of a task definition in which one container has these secrets and everything else stays
    /// the same. A repeat registers another revision, which isn't used.
    ///
    /// # Errors
    /// AWS failed.
    #[expect(
        deprecated,
        reason = "an old task definition may still have inference accelerators, which it keeps"
    )]
    pub async fn register(
        &self,
        definition: TaskDefinition,
        container: &str,
        secrets: &[SecretReference],
    ) -> Result<TaskDefinition, AwsError> {
        let TaskDefinition { definition, tags } = definition.with_secrets(container, secrets);
        let containers = definition.container_definitions;
        // AWS refuses an empty list of tags, and its own tags.
        let own = |tag: &Tag| tag.key().is_some_and(|key| !key.starts_with("aws:"));
        let tags: Vec<_> = tags.into_iter().filter(own).collect();
        let reply = self
            .client
            .register_task_definition()
            .set_family(definition.family)
            .set_container_definitions(containers)
            .set_task_role_arn(definition.task_role_arn)
            .set_execution_role_arn(definition.execution_role_arn)
            .set_network_mode(definition.network_mode)
            .set_volumes(definition.volumes)
            .set_placement_constraints(definition.placement_constraints)
            .set_requires_compatibilities(definition.requires_compatibilities)
            .set_cpu(definition.cpu)
            .set_memory(definition.memory)
            .set_pid_mode(definition.pid_mode)
            .set_ipc_mode(definition.ipc_mode)
            .set_proxy_configuration(definition.proxy_configuration)
            .set_inference_accelerators(definition.inference_accelerators)
            .set_ephemeral_storage(definition.ephemeral_storage)
            .set_runtime_platform(definition.runtime_platform)
            .set_enable_fault_injection(definition.enable_fault_injection)
            .set_tags((!tags.is_empty()).then(|| tags.clone()))
            .send()
            .await
            .map_err(failed("RegisterTaskDefinition"))?;
        let definition = reply.task_definition.unwrap_or_else(|| Definition::builder().build());
        Ok(TaskDefinition { definition, tags })
    }
}

impl TaskDefinition {
    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> &str {
        self.definition.task_definition_arn().unwrap_or_default()
    }

    /// Its family.
    #[must_use]
    pub fn family(&self) -> &str {
        self.definition.family().unwrap_or_default()
    }

    /// Its revision.
    #[must_use]
    pub fn revision(&self) -> u32 {
        u32::try_from(self.definition.revision()).unwrap_or_default()
    }

    fn is_active(&self) -> bool {
        self.definition.status() == Some(&TaskDefinitionStatus::Active)
    }

    /// Whether two revisions differ in nothing but this container's secrets. Otherwise one of them has another image,
    /// for example.
    #[must_use]
    pub fn is_same_except_for_secrets(&self, other: &Self, container: &str) -> bool {
        let content = |of: &Self| {
            let mut definition = of.clone().with_secrets(container, &[]).definition;
            definition.task_definition_arn = None;
            definition.revision = 0;
            definition.status = None;
            definition.registered_at = None;
            definition.registered_by = None;
            definition.deregistered_at = None;
            definition.requires_attributes = None;
            definition.compatibilities = None;
            definition
        };
        content(self) == content(other)
    }

    fn with_secrets(mut self, container: &str, secrets: &[SecretReference]) -> Self {
        let secret =
            |s: &SecretReference| Secret::builder().name(&s.name).value_from(&s.value_from).build().ok();
        let containers = self.definition.container_definitions.iter_mut().flatten();
        for found in containers.filter(|c| c.name() == Some(container)) {
            found.secrets = Some(secrets.iter().filter_map(secret).collect());
        }
        self
    }

    /// The variables of a container, if the task definition has that container.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<ContainerVariables> {
        let container = self.definition.container_definitions().iter().find(|c| c.name() == Some(name))?;
        let name_of = |pair: &KeyValuePair| pair.name().unwrap_or_default().to_owned();
        Some(ContainerVariables {
            environment: container.environment().iter().map(name_of).collect(),
            secrets: container
                .secrets()
                .iter()
                .map(|s| SecretReference { name: s.name().to_owned(), value_from: s.value_from().to_owned() })
                .collect(),
        })
    }

    /// The names of its containers.
    #[must_use]
    pub fn containers(&self) -> Vec<&str> {
        self.definition.container_definitions().iter().filter_map(ContainerDefinition::name).collect()
    }

    /// When it was registered.
    #[must_use]
    pub fn registered_at(&self) -> Option<OffsetDateTime> {
        self.definition.registered_at().map(instant)
    }

    /// The role that ECS uses to start the tasks and to read their secrets.
    #[must_use]
    pub fn execution_role_arn(&self) -> Option<&str> {
        self.definition.execution_role_arn()
    }

    /// The roles that are passed to ECS when it is registered.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        [self.definition.execution_role_arn(), self.definition.task_role_arn()].into_iter().flatten()
    }
}
