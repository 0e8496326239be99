//! How far a rebuild is, from what CloudFormation and ECS show.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

use crate::{Containers, Login, ServiceContainers, all_containers, failure::advice};

/// How long the containers can take to get their variables once the stage stack is complete. After that, the rebuild
/// counts as failed: delivering the event and retrying takes a few minutes at most.
const PUBLISHED_WITHIN: time::Duration = time::Duration::minutes(20);

/// The status of a stack, by what it means for a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackStatus {
    /// An operation is running.
    InProgress,
    /// A failed operation is being rolled back.
    RollingBack,
    /// The last operation succeeded.
    Complete,
    /// The last operation failed and was rolled back.
    RolledBack,
    /// The creation failed. The stack can only be deleted.
    CreationFailed,
    /// An update failed, and so did its rollback. The rollback can only be continued.
    RollbackFailed,
    /// The deletion failed. The stack can only be deleted again.
    DeletionFailed,
    /// The stack is deleted.
    Deleted,
}

impl From<&str> for StackStatus {
    fn from(status: &str) -> Self {
        match status {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => Self::Complete,
            "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => Self::RolledBack,
            "DELETE_COMPLETE" => Self::Deleted,
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" => Self::CreationFailed,
            "DELETE_FAILED" => Self::DeletionFailed,
            _ if status.ends_with("_FAILED") => Self::RollbackFailed,
            _ if status.contains("ROLLBACK") => Self::RollingBack,
            _ => Self::InProgress,
        }
    }
}

impl StackStatus {
    /// Whether CloudFormation would refuse another operation because one is running.
    #[must_use]
    pub fn is_busy(self) -> bool {
        matches!(self, Self::InProgress | Self::RollingBack)
    }
}

/// An event of a stack's resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackEvent {
    /// The logical ID of the resource. For the stack itself, its name.
    pub logical_id: String,
    /// Whether it is the stack itself.
    pub is_stack: bool,
    /// CloudFormation's status of the resource.
    pub status: String,
    /// CloudFormation's reason.
    pub reason: Option<String>,
    /// When it happened.
    pub at: OffsetDateTime,
    /// The client request token that the operation was started with, if any.
    pub token: Option<String>,
    /// The requested properties of the resource, if CloudFormation shows them. Numbers are texts, too.
    pub properties: BTreeMap<String, String>,
}

/// What CloudFormation shows of a stage stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackObservation {
    /// The stack's status.
    pub status: StackStatus,
    /// Whether the stage's database has the app login.
    pub has_app_login: bool,
    /// Its latest events, newest first.
    pub events: Vec<StackEvent>,
}

/// The current or the last rebuild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rebuild {
    /// How far it is.
    pub phase: Phase,
    /// Why it failed, as a message for the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the user can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<&'static str>,
    /// Whether the same request may succeed if it's repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_retry: Option<bool>,
    /// AWS's messages about the failure, verbatim, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub raw: Vec<String>,
    /// When it started.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<OffsetDateTime>,
    /// Its steps, in order.
    pub steps: Vec<RebuildStep>,
}

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// CloudFormation is updating the stage stack.
    Updating,
    /// ECS is replacing the containers.
    Redeploying,
    /// The containers have their variables.
    Complete,
    /// It failed, and the user has to act.
    Failed,
    /// It failed and was rolled back.
    RolledBack,
}

/// One step of a rebuild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildStep {
    /// What is done: `credentials`, `database`, `access`, `login`, `proof`, `connection`, or `containers`.
    pub name: &'static str,
    /// The service whose containers they are, as `cluster/service`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// How far it is.
    pub status: StepStatus,
    /// When it started.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<OffsetDateTime>,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepStatus {
    /// Not started, or not needed.
    Pending,
    /// In progress.
    Running,
    /// Done.
    Complete,
    /// Failed.
    Failed,
}

/// How far the current or last rebuild is.
#[must_use]
pub fn rebuild(stack: &StackObservation, services: &[ServiceContainers], now: OffsetDateTime) -> Rebuild {
    let containers = &all_containers(services);
    let events = events_of_last_operation(&stack.events);
    let ended_at = stack.events.first().filter(|e| e.is_stack).map(|e| e.at);
    let stack_reason = first_cause(events);
    let (phase, reason) = match stack.status {
        StackStatus::InProgress => (Phase::Updating, None),
        StackStatus::RollingBack => (Phase::Updating, stack_reason),
        StackStatus::RolledBack => (Phase::RolledBack, stack_reason),
        StackStatus::CreationFailed | StackStatus::RollbackFailed | StackStatus::DeletionFailed => {
            (Phase::Failed, stack_reason)
        }
        StackStatus::Deleted => (Phase::Complete, None),
        StackStatus::Complete => match containers {
            Containers::Complete { .. } => (Phase::Complete, None),
            Containers::Failed(reason) => (Phase::Failed, Some(reason.clone())),
            Containers::Waiting if ended_at.is_some_and(|at| now - at > PUBLISHED_WITHIN) => {
                let reason = "The stage stack was updated, but the containers didn't get their variables. See the log of \
                              publish-variables and the dead-letter queue for the cause.";
                (Phase::Failed, Some(reason.to_owned()))
            }
            Containers::Waiting | Containers::Redeploying { .. } => (Phase::Redeploying, None),
        },
    };
    let mut steps: Vec<_> = [
        ("credentials", "Credentials"),
        ("database", "Database"),
        ("access", "Access"),
        ("login", "Logins"),
        ("proof", "Proof"),
        ("connection", "Connection"),
    ]
    .into_iter()
    .filter(|(name, _)| *name != "login" || stack.has_app_login || sets_up_a_login(events))
    .map(|(name, logical_id)| resource_step(name, logical_id, events))
    .collect();
    steps.extend(services.iter().map(|service| containers_step(stack.status, service, ended_at)));
    let advice = reason.as_deref().filter(|_| phase != Phase::Updating).map(advice);
    let next_step = match stack.status {
        StackStatus::RollbackFailed => Some(
            "Fix the cause, then rebuild to continue the rollback. If the rollback fails a second time, rebuild again, and it \
             skips the resources that it can't restore.",
        ),
        StackStatus::CreationFailed => Some("Fix the cause, then register the stage again."),
        StackStatus::DeletionFailed => Some("Fix the cause, then delete the stage again."),
        _ => advice.map(|advice| advice.next_step),
    };
    Rebuild {
        phase,
        next_step,
        can_retry: advice.map(|advice| advice.retry),
        raw: if reason.is_some() { raw(events) } else { Vec::new() },
        reason,
        started_at: events.last().map(|e| e.at),
        steps,
    }
}

/// Also in an operation that was rolled back to a state without the app login.
fn sets_up_a_login(events: &[StackEvent]) -> bool {
    let is_of_app = |login: &String| Login::try_from(login.clone()).is_ok_and(|login| !login.is_master);
    let mut of_logins = events.iter().filter(|event| event.logical_id == "Logins" && !event.is_stack);
    of_logins.any(|event| event.properties.get("Login").is_some_and(is_of_app))
}

/// The reasons for all failures, oldest first.
fn raw(events: &[StackEvent]) -> Vec<String> {
    let failed =
        |e: &&StackEvent| e.status.ends_with("_FAILED") || e.status.ends_with("ROLLBACK_IN_PROGRESS");
    let line = |e: &StackEvent| Some(format!("{} {}: {}", e.logical_id, e.status, e.reason.as_deref()?));
    events.iter().rev().filter(failed).filter_map(line).collect()
}

/// From the newest event back to the one that started the user's operation.
fn events_of_last_operation(events: &[StackEvent]) -> &[StackEvent] {
    let began = |e: &StackEvent| {
        e.is_stack
            && matches!(e.status.as_str(), "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS")
    };
    match events.iter().position(began) {
        Some(start) => events.get(..=start).unwrap_or(events),
        None => events,
    }
}

/// The reason for the first failure. Later ones are its consequences ("Resource update cancelled").
fn first_cause(events: &[StackEvent]) -> Option<String> {
    events
        .iter()
        .rev()
        .filter(|e| e.status.ends_with("_FAILED") && !e.is_stack)
        .filter_map(|e| e.reason.as_deref())
        .find(|reason| !reason.contains("cancelled"))
        .or_else(|| {
            events.iter().rev().filter(|e| e.status.ends_with("_FAILED")).find_map(|e| e.reason.as_deref())
        })
        .map(in_words)
}

/// Unwraps the reason that a custom resource gave from CloudFormation's message.
fn in_words(reason: &str) -> String {
    let inner = reason.split_once("Message returned: ").map_or(reason, |(_, inner)| inner);
    let inner = inner.rsplit_once(" (RequestId: ").map_or(inner, |(inner, _)| inner);
    inner.trim().to_owned()
}

fn resource_step(name: &'static str, logical_id: &str, events: &[StackEvent]) -> RebuildStep {
    let of_resource = || events.iter().filter(|e| e.logical_id == logical_id && !e.is_stack);
    // A failure stays visible even when the rollback that follows it completes.
    let status = if of_resource().any(|e| e.status.ends_with("_FAILED")) {
        StepStatus::Failed
    } else {
        match of_resource().next() {
            None => StepStatus::Pending,
            Some(e) if e.status.ends_with("_COMPLETE") => StepStatus::Complete,
            Some(_) => StepStatus::Running,
        }
    };
    let ended_at = match status {
        StepStatus::Complete => of_resource().next().map(|e| e.at),
        StepStatus::Failed => of_resource().find(|e| e.status.ends_with("_FAILED")).map(|e| e.at),
        StepStatus::Pending | StepStatus::Running => None,
    };
    RebuildStep { name, service: None, status, started_at: of_resource().next_back().map(|e| e.at), ended_at }
}

fn containers_step(
    stack: StackStatus,
    of: &ServiceContainers,
    stack_ended_at: Option<OffsetDateTime>,
) -> RebuildStep {
    let (status, started_at, ended_at) = match (stack, &of.containers) {
        (StackStatus::Complete, Containers::Waiting) => (StepStatus::Running, stack_ended_at, None),
        (StackStatus::Complete, Containers::Redeploying { since }) => {
            (StepStatus::Running, Some(*since), None)
        }
        (StackStatus::Complete, Containers::Complete { since }) => {
            (StepStatus::Complete, stack_ended_at, *since)
        }
        (StackStatus::Complete, Containers::Failed(_)) => (StepStatus::Failed, stack_ended_at, None),
        _ => (StepStatus::Pending, None, None),
    };
    let (cluster, name) = of.service.key();
    let service = Some(format!("{cluster}/{name}"));
    RebuildStep { name: "containers", service, status, started_at, ended_at }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const START: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    /// Makes events a second apart. Pass the oldest one first.
    fn observation(status: &str, events: &[(&str, &str, &str)]) -> StackObservation {
        let mut at = START;
        let event = |(logical_id, status, reason): &(&str, &str, &str)| {
            at += time::Duration::SECOND;
            StackEvent {
                logical_id: (*logical_id).to_owned(),
                is_stack: *logical_id == "shop-dev",
                status: (*status).to_owned(),
                reason: (!reason.is_empty()).then(|| (*reason).to_owned()),
                at,
                token: None,
                properties: BTreeMap::new(),
            }
        };
        let mut events: Vec<_> = events.iter().map(event).collect();
        events.reverse();
        StackObservation { status: StackStatus::from(status), has_app_login: false, events }
    }

    fn web(containers: &Containers) -> [ServiceContainers; 1] {
        let text = |text: &str| text.to_owned().try_into().unwrap();
        let cluster = "demo".to_owned().try_into().unwrap();
        let service = crate::Service { cluster, name: text("web"), container: text("app") };
        [ServiceContainers { service, containers: containers.clone() }]
    }

    const BEGIN: (&str, &str, &str) = ("shop-dev", "UPDATE_IN_PROGRESS", "User Initiated");

    #[test]
    fn a_login_is_a_step_only_if_one_is_set_up() {
        let steps = |login: &str| {
            let mut stack = observation("UPDATE_IN_PROGRESS", &[BEGIN, ("Logins", "UPDATE_IN_PROGRESS", "")]);
            let newest = stack.events.first_mut().unwrap();
            newest.properties.insert("Login".to_owned(), login.to_owned());
            let rebuild = rebuild(&stack, &[], START);
            rebuild.steps.into_iter().map(|step| (step.name, step.status)).collect::<Vec<_>>()
        };
        assert!(steps("app_1/20261122-120000").contains(&("login", StepStatus::Running)));
        for login in ["none", "master_1/20261122-120000", ""] {
            assert!(!steps(login).iter().any(|(name, _)| *name == "login"), "{login}");
        }
        let mut not_yet = observation("UPDATE_IN_PROGRESS", &[BEGIN]);
        not_yet.has_app_login = true;
        assert!(rebuild(&not_yet, &[], START).steps.iter().any(|step| step.name == "login"));
    }

    #[test]
    fn a_rebuild_goes_through_its_phases() {
        let running = observation("UPDATE_IN_PROGRESS", &[BEGIN, ("Database", "UPDATE_IN_PROGRESS", "")]);
        let done = observation(
            "UPDATE_COMPLETE",
            &[
                BEGIN,
                ("Database", "UPDATE_IN_PROGRESS", ""),
                ("Database", "UPDATE_COMPLETE", ""),
                ("shop-dev", "UPDATE_COMPLETE", ""),
            ],
        );
        let redeploying = Containers::Redeploying { since: START };
        let complete = Containers::Complete { since: None };
        for (stack, containers, expected) in [
            (&running, &Containers::Waiting, Phase::Updating),
            (&running, &complete, Phase::Updating),
            (&done, &Containers::Waiting, Phase::Redeploying),
            (&done, &redeploying, Phase::Redeploying),
            (&done, &complete, Phase::Complete),
            (&done, &Containers::Failed("no".to_owned()), Phase::Failed),
        ] {
            assert_eq!(rebuild(stack, &web(containers), START).phase, expected);
        }
        let database = &rebuild(&done, &web(&complete), START).steps[1];
        assert_eq!(database.status, StepStatus::Complete);
        assert_eq!(database.ended_at.unwrap() - database.started_at.unwrap(), time::Duration::SECOND);
    }

    #[test]
    fn the_reason_is_the_first_cause_in_the_words_of_who_failed() {
        let stack = observation(
            "UPDATE_ROLLBACK_COMPLETE",
            &[
                BEGIN,
                ("Database", "UPDATE_IN_PROGRESS", ""),
                (
                    "Database",
                    "UPDATE_FAILED",
                    "Received response status [FAILED] from custom resource. Message returned: RDS refused: no \
                     capacity (zone a). (RequestId: 1-2)",
                ),
                ("Other", "UPDATE_FAILED", "Resource update cancelled"),
                ("shop-dev", "UPDATE_ROLLBACK_IN_PROGRESS", "The following resource(s) failed to update"),
                ("Database", "UPDATE_COMPLETE", ""),
                ("shop-dev", "UPDATE_ROLLBACK_COMPLETE", ""),
            ],
        );
        let rebuild = rebuild(&stack, &web(&Containers::Complete { since: None }), START);
        assert_eq!(rebuild.phase, Phase::RolledBack);
        assert_eq!(rebuild.reason.as_deref(), Some("RDS refused: no capacity (zone a)."));
        assert_eq!(rebuild.steps[1].status, StepStatus::Failed);
        assert_eq!(rebuild.can_retry, Some(true));
        assert!(rebuild.raw[0].starts_with("Database UPDATE_FAILED: Received response status [FAILED]"));
        assert_eq!(rebuild.raw.len(), 3, "{:?}", rebuild.raw);
    }

    #[test]
    fn an_earlier_operations_failure_is_not_this_ones() {
        let stack = observation(
            "UPDATE_COMPLETE",
            &[BEGIN, ("Database", "UPDATE_FAILED", "old"), BEGIN, ("shop-dev", "UPDATE_COMPLETE", "")],
        );
        let rebuild = rebuild(&stack, &web(&Containers::Complete { since: None }), START);
        assert_eq!((rebuild.phase, rebuild.reason), (Phase::Complete, None));
    }

    #[test]
    fn a_stack_that_needs_manual_work_is_failed() {
        for (status, expected) in [
            ("ROLLBACK_COMPLETE", StackStatus::CreationFailed),
            ("ROLLBACK_FAILED", StackStatus::CreationFailed),
            ("CREATE_FAILED", StackStatus::CreationFailed),
            ("UPDATE_ROLLBACK_FAILED", StackStatus::RollbackFailed),
            ("DELETE_FAILED", StackStatus::DeletionFailed),
        ] {
            assert_eq!(StackStatus::from(status), expected, "{status}");
            let rebuild = rebuild(&observation(status, &[]), &web(&Containers::Waiting), START);
            assert_eq!(rebuild.phase, Phase::Failed, "{status}");
            assert!(rebuild.next_step.is_some_and(|step| step.starts_with("Fix the cause, then ")));
        }
        for status in ["UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"] {
            assert_eq!(StackStatus::from(status), StackStatus::RollingBack, "{status}");
        }
        assert!(StackStatus::from("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS").is_busy());
    }

    #[test]
    fn containers_that_never_get_their_variables_are_a_failure_in_the_end() {
        let stack = observation("UPDATE_COMPLETE", &[BEGIN, ("shop-dev", "UPDATE_COMPLETE", "")]);
        let after = |minutes| {
            rebuild(&stack, &web(&Containers::Waiting), START + time::Duration::minutes(minutes)).phase
        };
        assert_eq!((after(5), after(30)), (Phase::Redeploying, Phase::Failed));
    }
}
