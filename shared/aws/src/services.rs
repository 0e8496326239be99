//! ECS: the service of a stage, and its task definition.

use aws_config::SdkConfig;
use aws_sdk_ecs::{
    Client,
    types::{
        ContainerDefinition, DeploymentRolloutState, KeyValuePair, Secret, ServiceField, Tag,
        TaskDefinition as Definition, TaskDefinitionField,
    },
};
use database::{ContainerVariables, SecretReference};
use time::OffsetDateTime;

use crate::{AwsError, TAG_REBUILD, config::client, error::failed, instant::instant};

/// The ECS services in this account and Region.
#[derive(Debug, Clone)]
pub struct Services {
    client: Client,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its ARN.
    pub arn: String,
    /// The task definition that its tasks are started from.
    pub task_definition_arn: String,
    /// The subnets of its tasks. Empty without the `awsvpc` network mode.
    pub subnets: Vec<String>,
    /// The security groups of its tasks.
    pub security_groups: Vec<String>,
    /// Whether the deployment controller is `ECS`, and not `CODE_DEPLOY` or `EXTERNAL`.
    pub is_deployed_by_ecs: bool,
    /// What its containers were last redeployed for.
    pub rebuilt: Option<Rebuilt>,
    /// How far the latest deployment is.
    pub rollout: Option<Rollout>,
}

/// The stage, and the operation of its stack, that a service's containers were redeployed for. It's the value of a tag
/// on the service, so it has at most 256 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// `{stack}/{stage}`.
    pub stage: String,
    /// The start time of the operation.
    pub operation: String,
    /// The version of the stage's secret that clients read then. `none` without a database.
    pub secret_version: String,
}

/// How far a deployment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollout {
    /// Tasks are being replaced.
    InProgress {
        /// Since when.
        since: OffsetDateTime,
    },
    /// All tasks belong to this deployment.
    Complete {
        /// Since when.
        since: OffsetDateTime,
    },
    /// ECS gave up, for this reason.
    Failed(String),
}

impl Service {
    /// Whether the ARN has the long format, which includes the cluster. Only such a service can be tagged.
    #[must_use]
    pub fn has_long_arn(&self) -> bool {
        self.arn.split('/').count() > 2
    }
}

/// A complete task definition.
#[derive(Debug, Clone)]
pub struct TaskDefinition {
    definition: Definition,
    tags: Vec<Tag>,
}

impl Services {
    /// Services in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: client!(aws_sdk_ecs, config) }
    }

    /// A service, if it exists and is active.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn service(&self, cluster: &str, name: &str) -> Result<Option<Service>, AwsError> {
        let call =
            self.client.describe_services().cluster(cluster).services(name).include(ServiceField::Tags);
        let reply = match call.send().await {
            Ok(reply) => reply,
            // The cluster doesn't exist, or the name isn't valid for a cluster.
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_cluster_not_found_exception() || e.is_invalid_parameter_exception()
                }) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failed("DescribeServices")(error)),
        };
        Ok(reply.services().iter().find(|s| s.status() == Some("ACTIVE")).map(service))
    }

    /// A task definition with its tags.
    ///
    /// # Errors
    /// AWS failed, or the task definition doesn't exist.
    pub async fn task_definition(&self, arn: &str) -> Result<TaskDefinition, AwsError> {
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
    ) -> Result<String, AwsError> {
        let TaskDefinition { definition, tags } = definition;
        let mut containers = definition.container_definitions;
        for found in containers.iter_mut().flatten().filter(|c| c.name() == Some(container)) {
            let secret =
                |s: &SecretReference| Secret::builder().name(&s.name).value_from(&s.value_from).build().ok();
            found.secrets = Some(secrets.iter().filter_map(secret).collect());
        }
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
            .set_tags((!tags.is_empty()).then_some(tags))
            .send()
            .await
            .map_err(failed("RegisterTaskDefinition"))?;
        let registered = reply.task_definition().and_then(|d| d.task_definition_arn());
        Ok(registered.unwrap_or_default().to_owned())
    }

    /// Replaces every task of a service, with this task definition or with the current one.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn redeploy(
        &self,
        cluster: &str,
        name: &str,
        task_definition_arn: Option<String>,
    ) -> Result<(), AwsError> {
        let call = self.client.update_service().cluster(cluster).service(name);
        let call = call.set_task_definition(task_definition_arn).force_new_deployment(true);
        call.send().await.map(|_| ()).map_err(failed("UpdateService"))
    }

    /// Tags a service with the operation of the stage stack that it was redeployed for. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn mark_rebuilt(&self, service_arn: &str, rebuilt: &Rebuilt) -> Result<(), AwsError> {
        let value = format!("{} {} {}", rebuilt.stage, rebuilt.operation, rebuilt.secret_version);
        let tag = Tag::builder().key(TAG_REBUILD).value(value).build();
        let call = self.client.tag_resource().resource_arn(service_arn).tags(tag);
        call.send().await.map(|_| ()).map_err(failed("TagResource"))
    }
}

impl TaskDefinition {
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

    /// The role that ECS uses to start the tasks and to read their secrets.
    #[must_use]
    pub fn execution_role_arn(&self) -> Option<&str> {
        self.definition.execution_role_arn()
    }
}

fn service(found: &aws_sdk_ecs::types::Service) -> Service {
    let network = found.network_configuration().and_then(|n| n.awsvpc_configuration());
    let controller = found.deployment_controller().map(|c| c.r#type().as_str());
    let primary = found.deployments().iter().find(|d| d.status() == Some("PRIMARY"));
    let instant = |at: Option<&aws_smithy_types::DateTime>| at.map_or(OffsetDateTime::UNIX_EPOCH, instant);
    let rollout = primary.map(|d| match d.rollout_state() {
        Some(DeploymentRolloutState::Failed) => {
            Rollout::Failed(d.rollout_state_reason().unwrap_or("ECS gave no reason").to_owned())
        }
        Some(DeploymentRolloutState::InProgress) => Rollout::InProgress { since: instant(d.created_at()) },
        _ => Rollout::Complete { since: instant(d.updated_at()) },
    });
    let rebuilt = found.tags().iter().find(|t| t.key() == Some(TAG_REBUILD)).and_then(|t| {
        let mut words = t.value()?.split(' ').map(str::to_owned);
        let (stage, operation) = (words.next()?, words.next()?);
        // The first version didn't store it.
        Some(Rebuilt { stage, operation, secret_version: words.next().unwrap_or_default() })
    });
    Service {
        arn: found.service_arn().unwrap_or_default().to_owned(),
        task_definition_arn: found.task_definition().unwrap_or_default().to_owned(),
        subnets: network.map(|n| n.subnets().to_vec()).unwrap_or_default(),
        security_groups: network.map(|n| n.security_groups().to_vec()).unwrap_or_default(),
        is_deployed_by_ecs: controller.is_none_or(|c| c == "ECS"),
        rebuilt,
        rollout,
    }
}
