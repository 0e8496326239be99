//! ECS: the services of a stage, their deployments, and what stagedb notes about them in tags.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_ecs::{
    Client,
    types::{Deployment as Found, DeploymentRolloutState, ServiceField, Tag},
};
use database::{Restorations, Rollout, StackName, Stage, StageName};
use time::OffsetDateTime;

use crate::{AwsError, TAG_STACK, TAG_STAGE, config::client, error::failed, instant::instant};

/// The tag that names the stage, and the operation of its stack, that the service's containers were redeployed for.
const TAG_REBUILD: &str = "stagedb:rebuild";
/// The tag with the latest restorations of the variables.
const TAG_RESTORED: &str = "stagedb:restored";
/// The tag with the revision that is about to be deployed, and the deployment that it's a copy of.
const TAG_DEPLOYING: &str = "stagedb:deploying";
/// The tag with the revision that ECS went back to, because containers of a later one didn't start.
const TAG_ROLLED_BACK: &str = "stagedb:rolled-back";
/// The tag with the operation of the stage's stack whose end was announced in an event.
const TAG_ANNOUNCED: &str = "stagedb:announced";
/// The tag of a service that left its stage while a deployment was running: the container that had the variables.
const TAG_LEAVING: &str = "stagedb:leaving";
/// What a tag says if there is nothing.
const NONE: &str = "none";

/// The most services in one call (ECS API, `DescribeServices`).
const SERVICES_PER_CALL: usize = 10;

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
    /// The token of the rebuild. An operation that only changes the registration keeps it.
    pub token: String,
}

/// What stagedb notes on a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The stage that it belongs to.
    Owner(Stage),
    /// What its containers were redeployed for.
    Rebuilt(Rebuilt),
    /// Its latest restorations.
    Restored(Restorations),
    /// This revision is about to be deployed. It's a copy of what this deployment runs.
    Deploying {
        /// The ID of the deployment.
        base: String,
        /// The ARN of the copy.
        copy: String,
    },
    /// That deployment is done.
    Deployed,
    /// ECS went back to this task definition, because containers of a later one didn't start.
    RolledBack {
        /// Its ARN.
        to: String,
    },
    /// It left its stage. The variables of this container are removed, also if ECS goes back to them.
    Leaving {
        /// The name of the container.
        container: String,
    },
    /// The end of this operation was announced.
    Announced {
        /// The start time of the operation.
        operation: String,
    },
}

impl Note {
    fn tags(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Owner(Stage { stack, stage }) => {
                vec![(TAG_STACK, stack.to_string()), (TAG_STAGE, stage.to_string())]
            }
            Self::Rebuilt(Rebuilt { stage, operation, secret_version, token }) => {
                vec![(TAG_REBUILD, format!("{stage} {operation} {secret_version} {token}"))]
            }
            Self::Restored(restorations) => vec![(TAG_RESTORED, restorations.to_tag())],
            Self::Deploying { base, copy } => {
                vec![(TAG_DEPLOYING, format!("{base} {}", revision_of(copy)))]
            }
            Self::Deployed => vec![(TAG_DEPLOYING, NONE.to_owned())],
            Self::RolledBack { to } => vec![(TAG_ROLLED_BACK, end_of(to))],
            Self::Leaving { container } => vec![(TAG_LEAVING, container.clone())],
            Self::Announced { operation } => vec![(TAG_ANNOUNCED, operation.clone())],
        }
    }
}

/// The revision in a task definition's ARN.
fn revision_of(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}

/// As much of an ARN's end as fits into a tag.
fn end_of(arn: &str) -> String {
    let skipped = arn.chars().count().saturating_sub(256);
    arn.chars().skip(skipped).collect()
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

    /// The stage that it belongs to. An earlier version noted only what it was redeployed for.
    #[must_use]
    pub fn owner(&self) -> Option<Stage> {
        let tagged = self.tags.get(TAG_STACK).cloned().zip(self.tags.get(TAG_STAGE).cloned());
        let noted = || {
            let rebuilt = self.rebuilt()?;
            rebuilt.stage.split_once('/').map(|(stack, stage)| (stack.to_owned(), stage.to_owned()))
        };
        let (stack, stage) = tagged.or_else(noted)?;
        Some(Stage { stack: StackName::try_from(stack).ok()?, stage: StageName::try_from(stage).ok()? })
    }

    /// Whether the tags for its owner are there.
    #[must_use]
    pub fn is_tagged(&self) -> bool {
        self.tags.contains_key(TAG_STACK) && self.tags.contains_key(TAG_STAGE)
    }

    /// What its containers were last redeployed for.
    #[must_use]
    pub fn rebuilt(&self) -> Option<Rebuilt> {
        let mut words = self.tags.get(TAG_REBUILD)?.split(' ').map(str::to_owned);
        let (stage, operation) = (words.next()?, words.next()?);
        // Earlier versions didn't store the others.
        let (secret_version, token) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Some(Rebuilt { stage, operation, secret_version, token })
    }

    /// Its latest restorations.
    #[must_use]
    pub fn restorations(&self) -> Restorations {
        self.tags.get(TAG_RESTORED).map(|tag| Restorations::from_tag(tag)).unwrap_or_default()
    }

    /// The operation of the stage's stack whose end was announced last.
    #[must_use]
    pub fn announced(&self) -> Option<&str> {
        self.tags.get(TAG_ANNOUNCED).map(String::as_str)
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

    /// The container that had the variables, if the service left its stage while a deployment was running.
    #[must_use]
    pub fn leaving(&self) -> Option<&str> {
        self.tags.get(TAG_LEAVING).map(String::as_str)
    }

    /// Whether ECS can still go back to an earlier task definition.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        matches!(self.rollout(), Some(Rollout::InProgress { .. } | Rollout::Failed(_)))
    }

    /// Whether ECS went back to the current task definition, and that was noted.
    #[must_use]
    pub fn was_rolled_back(&self) -> bool {
        self.tags.get(TAG_ROLLED_BACK) == Some(&end_of(&self.task_definition_arn))
    }

    /// The current task definition, if ECS went back to it.
    #[must_use]
    pub fn rolled_back_to(&self) -> Option<&str> {
        self.primary().filter(|primary| primary.is_rollback).map(|_| self.task_definition_arn.as_str())
    }

    /// The deployment that stagedb replaced with a copy of an earlier one, because it was interrupted before it could
    /// see that somebody had deployed in between.
    #[must_use]
    pub fn overwritten(&self) -> Option<&Deployment> {
        let (base, revision) = self.tags.get(TAG_DEPLOYING)?.split_once(' ')?;
        if revision_of(&self.task_definition_arn) != revision {
            return None;
        }
        let base = self.deployments.iter().find(|deployment| deployment.id == base)?.created_at;
        let others = self.deployments.iter().filter(|other| !other.is_primary && other.created_at > base);
        others.filter(|other| !other.has_failed()).max_by_key(|other| other.created_at)
    }

    /// Whether a deployment is noted as about to be made.
    #[must_use]
    pub fn is_being_deployed(&self) -> bool {
        self.tags.get(TAG_DEPLOYING).is_some_and(|tag| tag != NONE)
    }
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

    /// Replaces every task of a service, with this task definition or with the current one. Returns the deployments
    /// right after that.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn redeploy(
        &self,
        service: &Service,
        task_definition_arn: Option<&str>,
    ) -> Result<Vec<Deployment>, AwsError> {
        let call = self.client.update_service().cluster(service.cluster()).service(&service.name);
        let call =
            call.set_task_definition(task_definition_arn.map(str::to_owned)).force_new_deployment(true);
        let reply = call.send().await.map_err(failed("UpdateService"))?;
        let deployments = reply.service.and_then(|service| service.deployments).unwrap_or_default();
        Ok(deployments.iter().map(deployment).collect())
    }

    /// Notes something on a service. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn note(&self, service_arn: &str, notes: &[Note]) -> Result<(), AwsError> {
        let tag = |(key, value): (&str, String)| Tag::builder().key(key).value(value).build();
        let tags = notes.iter().flat_map(Note::tags).map(tag).collect();
        let call = self.client.tag_resource().resource_arn(service_arn).set_tags(Some(tags));
        call.send().await.map(|_| ()).map_err(failed("TagResource"))
    }

    /// Removes every note from a service, which then belongs to no stage. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn forget(&self, service_arn: &str) -> Result<(), AwsError> {
        let keys = [
            TAG_STACK,
            TAG_STAGE,
            TAG_REBUILD,
            TAG_RESTORED,
            TAG_DEPLOYING,
            TAG_ROLLED_BACK,
            TAG_LEAVING,
            TAG_ANNOUNCED,
        ];
        let keys = keys.map(str::to_owned).into();
        let call = self.client.untag_resource().resource_arn(service_arn).set_tag_keys(Some(keys));
        call.send().await.map(|_| ()).map_err(failed("UntagResource"))
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

#[cfg(test)]
mod tests {
    use super::*;

    const COPY: &str = "arn:aws:ecs:us-east-1:123456789012:task-definition/web:58";
    const THEIRS: &str = "arn:aws:ecs:us-east-1:123456789012:task-definition/web:59";

    fn deployed(id: &str, seconds: i64, arn: &str, is_primary: bool) -> Deployment {
        let created_at = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(seconds);
        let rollout = Rollout::InProgress { since: created_at };
        let (id, task_definition_arn) = (id.to_owned(), arn.to_owned());
        Deployment { id, is_primary, task_definition_arn, created_at, rollout, is_rollback: false }
    }

    fn web(deployments: Vec<Deployment>, tags: &[(&str, &str)]) -> Service {
        let primary = deployments.iter().find(|d| d.is_primary).unwrap();
        Service {
            arn: "arn:aws:ecs:us-east-1:123456789012:service/demo/web".to_owned(),
            name: "web".to_owned(),
            task_definition_arn: primary.task_definition_arn.clone(),
            subnets: Vec::new(),
            security_groups: Vec::new(),
            controller: "ECS".to_owned(),
            deployments,
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn a_deployment_that_a_copy_of_an_earlier_one_replaced_is_found_until_the_copy_is_noted_as_deployed() {
        let base = deployed("ecs-svc/1", 10, "arn:57", false);
        let theirs = deployed("ecs-svc/2", 20, THEIRS, false);
        let ours = deployed("ecs-svc/3", 21, COPY, true);
        let note = [(TAG_DEPLOYING, "ecs-svc/1 58")];
        let service = web(vec![ours.clone(), theirs.clone(), base.clone()], &note);
        assert_eq!(service.overwritten(), Some(&theirs));
        let undisturbed = web(vec![ours.clone(), base.clone()], &note);
        assert_eq!(undisturbed.overwritten(), None);
        let noted = web(vec![ours.clone(), theirs.clone(), base.clone()], &[(TAG_DEPLOYING, NONE)]);
        assert_eq!(noted.overwritten(), None);
        let failed = Deployment { rollout: Rollout::Failed(String::new()), ..theirs.clone() };
        assert_eq!(web(vec![ours, failed, base.clone()], &note).overwritten(), None);
        let never_deployed = web(vec![deployed("ecs-svc/2", 20, THEIRS, true), base], &note);
        assert_eq!(never_deployed.overwritten(), None);
    }

    #[test]
    fn a_service_belongs_to_the_stage_in_its_tags_or_to_the_one_that_an_earlier_version_noted() {
        let deployments = || vec![deployed("ecs-svc/1", 1, COPY, true)];
        let dev = Stage { stack: "shop".try_into().unwrap(), stage: "dev".try_into().unwrap() };
        let tagged = web(deployments(), &[(TAG_STACK, "shop"), (TAG_STAGE, "dev")]);
        assert_eq!((tagged.owner().as_ref(), tagged.is_tagged()), (Some(&dev), true));
        let noted = web(deployments(), &[(TAG_REBUILD, "shop/dev 2026-11-27T14:03:11Z none")]);
        assert_eq!((noted.owner().as_ref(), noted.is_tagged()), (Some(&dev), false));
        for other in [&[(TAG_STACK, "shop")][..], &[(TAG_STACK, "Shop"), (TAG_STAGE, "dev")], &[]] {
            assert_eq!(web(deployments(), other).owner(), None, "{other:?}");
        }
        assert_eq!((tagged.cluster(), tagged.has_long_arn()), ("demo", true));
    }
}
