//! How far the containers of a stage's services are with the current state of the stage stack.

use time::OffsetDateTime;

use crate::{ContainerVariables, Publication, Service, Stage, Target, VariableConflict, publication};

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

/// How far the containers of one service, or of all, are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Containers {
    /// The rebuild hasn't reached them yet.
    Waiting,
    /// They are being replaced.
    Redeploying {
        /// Since when.
        since: OffsetDateTime,
    },
    /// They run with the variables of the last rebuild that completed.
    Complete {
        /// Since when, if they were replaced.
        since: Option<OffsetDateTime>,
    },
    /// They can't get their variables: a message for the user.
    Failed(String),
}

/// A service and how far its containers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceContainers {
    /// The service.
    pub service: Service,
    /// How far its containers are.
    pub containers: Containers,
}

/// What ECS shows of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObservedService {
    /// There is no active service with this name.
    Missing,
    /// The task definition has no such container, but these.
    NoContainer(Vec<String>),
    /// It's there.
    Found {
        /// The stage that its tags name.
        owner: Option<Stage>,
        /// The variables in the task definition of its latest deployment.
        variables: ContainerVariables,
        /// Whether it was redeployed for the last operation of the stage stack.
        is_rebuilt: bool,
        /// How far its latest deployment is.
        rollout: Option<Rollout>,
    },
}

/// Why a service of a stage can't get its variables, whatever the state of the stage.
#[must_use]
pub fn obstacle(stage: &Stage, service: &Service, observed: &ObservedService) -> Option<String> {
    let (cluster, name) = service.key();
    match observed {
        ObservedService::Missing => Some(format!(
            "The ECS cluster {cluster} has no active service {name}. Create it again, or remove it from the stage."
        )),
        ObservedService::NoContainer(containers) => Some(format!(
            "The task definition of the service {name} has no container {}. It has {}. Change the registration of the stage.",
            service.container,
            containers.join(", ")
        )),
        ObservedService::Found { owner: Some(owner), .. } if owner != stage => Some(format!(
            "The service {name} in the cluster {cluster} belongs to the stage {owner}. Remove it from one of the two stages."
        )),
        ObservedService::Found { .. } => None,
    }
}

/// A message about conflicting variables, and what to do about them.
#[must_use]
pub fn conflict_in_words(service: &Service, conflicts: &[VariableConflict]) -> String {
    let names: Vec<_> = conflicts.iter().map(|conflict| conflict.name.as_str()).collect();
    format!(
        "The container {} of the service {} already has {}, which stagedb didn't add and doesn't overwrite. Remove it from the \
         task definition, then save again.",
        service.container,
        service.name,
        names.join(", ")
    )
}

/// How far the containers of a service are with what they should have.
#[must_use]
pub fn containers(
    stage: &Stage,
    target: &Target,
    service: &Service,
    observed: &ObservedService,
) -> Containers {
    if let Some(obstacle) = obstacle(stage, service, observed) {
        return Containers::Failed(obstacle);
    }
    let ObservedService::Found { owner, variables, is_rebuilt, rollout } = observed else {
        return Containers::Waiting;
    };
    let name = &service.name;
    let publication = publication(variables, &stage.secret_name(), target);
    if let Publication::Conflict(conflicts) = &publication {
        return Containers::Failed(conflict_in_words(service, conflicts));
    }
    if owner.is_none() {
        return Containers::Failed(format!(
            "The service {name} has lost its tags stagedb:stack and stagedb:stage, so its variables are left alone. A tool that \
             removes tags it doesn't know may have done this. Save again to restore them."
        ));
    }
    if !is_rebuilt {
        return Containers::Waiting;
    }
    // It's noted after the variables. If they're missing now, something else has removed them.
    if matches!(publication, Publication::Change(_)) {
        return Containers::Failed(format!(
            "The service {name} runs a task definition without the runtime variables. Either the new containers didn't start \
             and ECS rolled back to an earlier task definition, or another task definition was deployed. Save again to give \
             the containers their variables."
        ));
    }
    match rollout {
        Some(Rollout::InProgress { since }) => Containers::Redeploying { since: *since },
        Some(Rollout::Failed(words)) => {
            Containers::Failed(format!("ECS couldn't start the containers of the service {name}: {words}"))
        }
        Some(Rollout::Complete { since }) => Containers::Complete { since: Some(*since) },
        None => Containers::Complete { since: None },
    }
}

/// How far the containers of all services are: as far as the one that is furthest behind.
#[must_use]
pub fn all_containers(services: &[ServiceContainers]) -> Containers {
    let all = || services.iter().map(|service| &service.containers);
    if let Some(failed) = all().find(|c| matches!(c, Containers::Failed(_))) {
        return failed.clone();
    }
    if all().any(|c| *c == Containers::Waiting) {
        return Containers::Waiting;
    }
    let redeploying = |c: &Containers| match c {
        Containers::Redeploying { since } => Some(*since),
        Containers::Waiting | Containers::Complete { .. } | Containers::Failed(_) => None,
    };
    if let Some(since) = all().filter_map(redeploying).min() {
        return Containers::Redeploying { since };
    }
    let complete = |c: &Containers| match c {
        Containers::Complete { since } => *since,
        Containers::Waiting | Containers::Redeploying { .. } | Containers::Failed(_) => None,
    };
    Containers::Complete { since: all().filter_map(complete).max() }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const SINCE: OffsetDateTime = datetime!(2026-11-27 14:00 UTC);

    fn stage(name: &str) -> Stage {
        Stage { stack: "shop".try_into().unwrap(), stage: name.try_into().unwrap() }
    }

    fn service(name: &str) -> Service {
        let text = |text: &str| text.to_owned().try_into().unwrap();
        Service { cluster: "demo".to_owned().try_into().unwrap(), name: text(name), container: text("app") }
    }

    fn found(owner: Option<&str>, is_rebuilt: bool, rollout: Rollout) -> ObservedService {
        let owner = owner.map(stage);
        ObservedService::Found {
            owner,
            variables: ContainerVariables::default(),
            is_rebuilt,
            rollout: Some(rollout),
        }
    }

    fn words(containers: &Containers) -> &str {
        if let Containers::Failed(words) = containers { words } else { "" }
    }

    #[test]
    fn a_service_that_cannot_get_its_variables_is_named_with_the_reason() {
        let done = Rollout::Complete { since: SINCE };
        let published =
            Target::Published { secret_arn: "arn:1:2:3:4:secret:dev-shop-postgres-AbCdEf".to_owned() };
        let conflict = ObservedService::Found {
            owner: Some(stage("dev")),
            variables: ContainerVariables {
                environment: vec!["PG_HOST".to_owned()],
                ..ContainerVariables::default()
            },
            is_rebuilt: true,
            rollout: None,
        };
        for (observed, expected) in [
            (ObservedService::Missing, "The ECS cluster demo has no active service worker."),
            (
                ObservedService::NoContainer(vec!["a".to_owned(), "b".to_owned()]),
                "The task definition of the service worker has no container app. It has a, b.",
            ),
            (
                found(Some("prod"), true, done.clone()),
                "The service worker in the cluster demo belongs to the stage shop/prod.",
            ),
            (found(None, true, done.clone()), "The service worker has lost its tags"),
            (
                found(Some("dev"), true, done),
                "The service worker runs a task definition without the runtime variables.",
            ),
            (conflict, "The container app of the service worker already has PG_HOST,"),
        ] {
            let is = containers(&stage("dev"), &published, &service("worker"), &observed);
            assert!(words(&is).starts_with(expected), "{is:?}");
        }
        let failed = found(Some("dev"), true, Rollout::Failed("no image".to_owned()));
        let is = containers(&stage("dev"), &Target::Removed, &service("worker"), &failed);
        assert_eq!(words(&is), "ECS couldn't start the containers of the service worker: no image");
    }

    #[test]
    fn a_service_goes_from_waiting_to_redeploying_to_complete() {
        let of = |is_rebuilt, rollout| {
            let observed = found(Some("dev"), is_rebuilt, rollout);
            containers(&stage("dev"), &Target::Removed, &service("web"), &observed)
        };
        assert_eq!(of(false, Rollout::Complete { since: SINCE }), Containers::Waiting);
        assert_eq!(of(true, Rollout::InProgress { since: SINCE }), Containers::Redeploying { since: SINCE });
        assert_eq!(of(true, Rollout::Complete { since: SINCE }), Containers::Complete { since: Some(SINCE) });
    }

    #[test]
    fn all_services_are_as_far_as_the_one_that_is_furthest_behind() {
        let later = SINCE + time::Duration::MINUTE;
        let complete = |since| Containers::Complete { since: Some(since) };
        let redeploying = |since| Containers::Redeploying { since };
        let failed = Containers::Failed("no".to_owned());
        for (given, expected) in [
            (vec![complete(SINCE), complete(later)], complete(later)),
            (vec![complete(later), redeploying(later), redeploying(SINCE)], redeploying(SINCE)),
            (vec![redeploying(SINCE), Containers::Waiting], Containers::Waiting),
            (vec![Containers::Waiting, failed.clone(), complete(SINCE)], failed),
        ] {
            let services =
                given.into_iter().map(|containers| ServiceContainers { service: service("web"), containers });
            assert_eq!(all_containers(&services.collect::<Vec<_>>()), expected);
        }
    }
}
