//! What stagedb notes about a service, in tags on it.

use aws_sdk_ecs::types::Tag;
use database::{Restorations, StackName, Stage, StageName};

use crate::{AwsError, Deployment, Service, Services, TAG_STACK, TAG_STAGE, error::failed, newest_first};

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
/// The tag of a service that left its stage and whose next complete deployment is awaited: the container that had the
/// variables.
const TAG_LEAVING: &str = "stagedb:leaving";
/// What a tag says if there is nothing.
const NONE: &str = "none";

/// Every tag that a note can be in.
const NOTES: [&str; 8] = [
    TAG_STACK,
    TAG_STAGE,
    TAG_REBUILD,
    TAG_RESTORED,
    TAG_DEPLOYING,
    TAG_ROLLED_BACK,
    TAG_LEAVING,
    TAG_ANNOUNCED,
];

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

    /// The container that had the variables, if the service left its stage and a complete deployment is awaited.
    #[must_use]
    pub fn leaving(&self) -> Option<&str> {
        self.tags.get(TAG_LEAVING).map(String::as_str)
    }

    /// Whether ECS went back to the current task definition, and that was noted.
    #[must_use]
    pub fn was_rolled_back(&self) -> bool {
        self.tags.get(TAG_ROLLED_BACK) == Some(&end_of(&self.task_definition_arn))
    }

    /// If something was deployed between what stagedb copied and its copy, and that isn't settled yet: what it copied,
    /// and what was deployed in between, the newest first.
    #[must_use]
    pub fn since_noted(&self) -> Option<(&Deployment, Vec<&Deployment>)> {
        let (base, revision) = self.tags.get(TAG_DEPLOYING)?.split_once(' ')?;
        if revision_of(&self.task_definition_arn) != revision {
            return None;
        }
        let mut deployments = newest_first(&self.deployments);
        let (age, base) =
            deployments.iter().copied().enumerate().find(|(_, deployment)| deployment.id == base)?;
        deployments.truncate(age);
        deployments.retain(|other| !other.is_primary && !other.has_failed());
        (!deployments.is_empty()).then_some((base, deployments))
    }

    /// Whether a deployment is noted as about to be made.
    #[must_use]
    pub fn is_being_deployed(&self) -> bool {
        self.tags.get(TAG_DEPLOYING).is_some_and(|tag| tag != NONE)
    }
}

impl Services {
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
        let keys = NOTES.map(str::to_owned).into();
        let call = self.client.untag_resource().resource_arn(service_arn).set_tag_keys(Some(keys));
        call.send().await.map(|_| ()).map_err(failed("UntagResource"))
    }
}

#[cfg(test)]
mod tests {
    use database::Rollout;
    use time::OffsetDateTime;

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
            launch: crate::services::Launch::default(),
        }
    }

    #[test]
    fn a_deployment_that_a_copy_of_an_earlier_one_replaced_is_found_until_the_copy_is_noted_as_deployed() {
        let base = deployed("ecs-svc/1", 10, "arn:57", false);
        let theirs = deployed("ecs-svc/2", 20, THEIRS, false);
        let ours = deployed("ecs-svc/3", 21, COPY, true);
        let note = [(TAG_DEPLOYING, "ecs-svc/1 58")];
        let since = |deployments: &[Deployment], note: &[(&str, &str)]| -> Vec<String> {
            let service = web(deployments.to_vec(), note);
            let since = service.since_noted().map(|(_, since)| since);
            since.into_iter().flatten().map(|deployment| deployment.id.clone()).collect()
        };
        assert_eq!(since(&[ours.clone(), theirs.clone(), base.clone()], &note), ["ecs-svc/2"]);
        let nothing: [&str; 0] = [];
        assert_eq!(since(&[ours.clone(), base.clone()], &note), nothing);
        assert_eq!(since(&[ours.clone(), theirs.clone(), base.clone()], &[(TAG_DEPLOYING, NONE)]), nothing);
        let failed = Deployment { rollout: Rollout::Failed(String::new()), ..theirs.clone() };
        assert_eq!(since(&[ours.clone(), failed, base.clone()], &note), nothing);
        let later = deployed("ecs-svc/2b", 20, THEIRS, false);
        let at_once = [base.clone(), ours, later, theirs];
        assert_eq!(
            since(&at_once, &note),
            ["ecs-svc/2b", "ecs-svc/2"],
            "of the same time, the first in the list"
        );
        assert_eq!(since(&[deployed("ecs-svc/2", 20, THEIRS, true), base], &note), nothing, "never deployed");
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
