//! ECS: the services of a stage, and their deployments.

use std::{cmp::Reverse, collections::BTreeMap};

use aws_config::{SdkConfig, retry::RetryConfig};
use aws_sdk_ecs::{
    Client,
    operation::update_service::builders::UpdateServiceFluentBuilder,
    types::{
        CapacityProviderStrategyItem, Deployment as Found, DeploymentRolloutState, LaunchType,
        NetworkConfiguration, ServiceField, Tag,
    },
};
use database::Rollout;
use time::OffsetDateTime;

use crate::{
    AwsError,
    config::{Lazy, client},
    error::failed,
    instant::instant,
};

/// The most services in one call (ECS API, `DescribeServices`).
const SERVICES_PER_CALL: usize = 10;

/// The ECS services in this account and Region.
#[derive(Debug, Clone)]
pub struct Services {
    pub(crate) client: Lazy<Client>,
}

/// A service.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The task definition that its tasks are started from.
    pub task_definition_arn: String,
    /// The subnets of its tasks. Empty without the `awsvpc` network mode.
    pub subnets: Vec<String>,
    /// The security groups of its tasks.
    pub security_groups: Vec<String>,
    /// The deployment controller: `ECS`, `CODE_DEPLOY`, or `EXTERNAL`.
    pub controller: String,
    /// Its deployments. The primary one is the latest.
    pub deployments: Vec<Deployment>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// How its tasks are started.
    pub(crate) launch: Launch,
}

/// How the tasks of a service are started, in ECS's own terms.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Launch {
    pub(crate) kind: Option<LaunchType>,
    pub(crate) capacity_providers: Vec<CapacityProviderStrategyItem>,
    pub(crate) platform_version: Option<String>,
    pub(crate) network: Option<NetworkConfiguration>,
}

/// A deployment of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its ID.
    pub id: String,
    /// Whether it's the latest one, which replaces the others.
    pub is_primary: bool,
    /// Its task definition.
    pub task_definition_arn: String,
    /// When it started.
    pub created_at: OffsetDateTime,
    /// How far it is.
    pub rollout: Rollout,
    /// Whether ECS started it because another one failed.
    pub is_rollback: bool,
}

impl Service {
    /// Whether the ARN has the long format, which includes the cluster. Only such a service can be tagged.
    #[must_use]
    pub fn has_long_arn(&self) -> bool {
        self.arn.split('/').count() > 2
    }

    /// The name of its cluster. Empty if its ARN doesn't have the long format.
    #[must_use]
    pub fn cluster(&self) -> &str {
        let mut parts = self.arn.split('/').skip(1);
        match (parts.next(), parts.next()) {
            (Some(cluster), Some(_)) => cluster,
            _ => "",
        }
    }

    /// The deployment that replaces the others.
    #[must_use]
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.is_primary)
    }

    /// How far the latest deployment is.
    #[must_use]
    pub fn rollout(&self) -> Option<Rollout> {
        self.primary().map(|deployment| deployment.rollout.clone())
    }

    /// Whether ECS can still go back to an earlier task definition.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        matches!(self.rollout(), Some(Rollout::InProgress { .. } | Rollout::Failed(_)))
    }

    /// The newest deployment that ECS gave up, if it still shows one.
    #[must_use]
    pub fn newest_failed(&self) -> Option<&Deployment> {
        newest_first(&self.deployments).into_iter().find(|deployment| deployment.has_failed())
    }

    /// The current task definition, if ECS went back to it.
    #[must_use]
    pub fn rolled_back_to(&self) -> Option<&str> {
        self.primary().filter(|primary| primary.is_rollback).map(|_| self.task_definition_arn.as_str())
    }
}

/// Deployments in the order in which they were made, the newest first. ECS lists them so, but doesn't promise it. Of two
/// with the same time, only its list shows which one came later.
#[must_use]
pub fn newest_first(deployments: &[Deployment]) -> Vec<&Deployment> {
    let mut deployments: Vec<_> = deployments.iter().collect();
    deployments.sort_by_key(|deployment| Reverse(deployment.created_at));
    deployments
}

impl Deployment {
    /// Whether ECS gave it up.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.rollout, Rollout::Failed(_))
    }
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
        let found = self.of_cluster(cluster, &[name]).await?;
        Ok(found.into_iter().next())
    }

    /// Those of these services, each with the name of its cluster, that exist and are active. One call for every ten
    /// of a cluster.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn services(&self, of: &[(&str, &str)]) -> Result<Vec<Service>, AwsError> {
        let mut clusters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (cluster, name) in of {
            clusters.entry(cluster).or_default().push(name);
        }
        let mut found = Vec::new();
        for (cluster, names) in clusters {
            for names in names.chunks(SERVICES_PER_CALL) {
                found.extend(self.of_cluster(cluster, names).await?);
            }
        }
        Ok(found)
    }

    async fn of_cluster(&self, cluster: &str, names: &[&str]) -> Result<Vec<Service>, AwsError> {
        let call = self.client.describe_services().cluster(cluster).include(ServiceField::Tags);
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let reply = match call.set_services(Some(names)).send().await {
            Ok(reply) => reply,
            // The cluster doesn't exist, or the name isn't valid for a cluster.
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_cluster_not_found_exception() || e.is_invalid_parameter_exception()
                }) =>
            {
                return Ok(Vec::new());
            }
            Err(error) => return Err(failed("DescribeServices")(error)),
        };
        Ok(reply.services().iter().filter(|s| s.status() == Some("ACTIVE")).map(service).collect())
    }

    /// A page of the account's clusters, as ARNs.
    ///
    /// # Errors
    /// AWS failed. A token that isn't valid is `refused`.
    pub async fn clusters(&self, token: Option<&str>) -> Result<(Vec<String>, Option<String>), AwsError> {
        let call = self.client.list_clusters().set_next_token(token.map(str::to_owned));
        let reply = call.send().await.map_err(failed("ListClusters"))?;
        Ok((reply.cluster_arns.unwrap_or_default(), reply.next_token))
    }

    /// A page of at most `max` services of a cluster, as ARNs. A cluster that doesn't exist has none.
    ///
    /// # Errors
    /// AWS failed. A token that isn't valid is `refused`.
    pub async fn of(
        &self,
        cluster: &str,
        max: u8,
        token: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), AwsError> {
        let call = self.client.list_services().cluster(cluster).max_results(i32::from(max));
        match call.set_next_token(token.map(str::to_owned)).send().await {
            Ok(reply) => Ok((reply.service_arns.unwrap_or_default(), reply.next_token)),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_cluster_not_found_exception()) => {
                Ok((Vec::new(), None))
            }
            Err(error) => Err(failed("ListServices")(error)),
        }
    }

    /// Replaces every task of a service, with the current task definition.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn redeploy(&self, service: &Service) -> Result<(), AwsError> {
        self.update(service).send().await.map(|_| ()).map_err(failed("UpdateService"))
    }

    /// Replaces every task of a service, with this task definition. Returns the deployments right after that. It's
    /// tried once: a repeat would replace what somebody else deployed since the first try.
    ///
    /// # Errors
    /// AWS failed. Unless it refused, the service may have been deployed.
    pub async fn deploy(
        &self,
        service: &Service,
        task_definition_arn: &str,
    ) -> Result<Vec<Deployment>, AwsError> {
        let call = self.update(service).task_definition(task_definition_arn).customize();
        let once = aws_sdk_ecs::config::Builder::new().retry_config(RetryConfig::disabled());
        let reply = call.config_override(once).send().await.map_err(failed("UpdateService"))?;
        let deployments = reply.service.and_then(|service| service.deployments).unwrap_or_default();
        Ok(deployments.iter().map(deployment).collect())
    }

    fn update(&self, service: &Service) -> UpdateServiceFluentBuilder {
        let call = self.client.update_service().cluster(service.cluster()).service(&service.name);
        call.force_new_deployment(true)
    }
}

fn service(found: &aws_sdk_ecs::types::Service) -> Service {
    let network = found.network_configuration().and_then(|n| n.awsvpc_configuration());
    let tag = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    Service {
        arn: found.service_arn().unwrap_or_default().to_owned(),
        name: found.service_name().unwrap_or_default().to_owned(),
        task_definition_arn: found.task_definition().unwrap_or_default().to_owned(),
        subnets: network.map(|n| n.subnets().to_vec()).unwrap_or_default(),
        security_groups: network.map(|n| n.security_groups().to_vec()).unwrap_or_default(),
        controller: found.deployment_controller().map_or("ECS", |c| c.r#type().as_str()).to_owned(),
        deployments: found.deployments().iter().map(deployment).collect(),
        tags: found.tags().iter().filter_map(tag).collect(),
        launch: Launch {
            kind: found.launch_type().cloned(),
            capacity_providers: found.capacity_provider_strategy().to_vec(),
            platform_version: found.platform_version().map(str::to_owned),
            network: found.network_configuration().cloned(),
        },
    }
}

fn deployment(found: &Found) -> Deployment {
    let instant = |at: Option<&aws_smithy_types::DateTime>| at.map_or(OffsetDateTime::UNIX_EPOCH, instant);
    let reason = found.rollout_state_reason().unwrap_or_default();
    let created_at = instant(found.created_at());
    Deployment {
        id: found.id().unwrap_or_default().to_owned(),
        is_primary: found.status() == Some("PRIMARY"),
        task_definition_arn: found.task_definition().unwrap_or_default().to_owned(),
        created_at,
        // ECS says it in words only: "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/…".
        is_rollback: reason.contains("rolling back to"),
        rollout: match found.rollout_state() {
            Some(DeploymentRolloutState::Failed) => {
                let reason = if reason.is_empty() { "ECS gave no reason" } else { reason };
                Rollout::Failed(reason.to_owned())
            }
            Some(DeploymentRolloutState::InProgress) => Rollout::InProgress { since: created_at },
            _ => Rollout::Complete { since: instant(found.updated_at()) },
        },
    }
}
