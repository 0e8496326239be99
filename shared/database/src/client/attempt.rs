//! What stagedb's functions say to each other about connections: what to test, and what is known so far.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, serde::rfc3339};

use super::failure::ClientFailure;

/// A test of a connection that isn't saved yet, which settings-api starts. The credentials are in the version of the stage's
/// secret that the task definition names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionTest {
    /// The name of the stack.
    pub stack: String,
    /// The name of the stage.
    pub stage: String,
    /// The services and jobs, as parameters of the stage stack.
    pub registration: BTreeMap<String, String>,
    /// The identifier of the database.
    pub identifier: String,
    /// Its port.
    pub port: u16,
    /// Its security group, if it has one.
    pub security_group: Option<String>,
    /// The security groups of the services and jobs.
    pub source_groups: Vec<String>,
    /// The ARN of the client's task definition.
    pub task_definition_arn: String,
    /// The client's log group.
    pub log_group: String,
    /// The version of the secret with the credentials. It identifies the test.
    pub version: String,
    /// The ARN of the secret.
    pub secret_arn: String,
}

/// What to settle once a rebuild has ended: which logins are still enabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleRequest {
    /// The ARN of the stage's stack.
    pub stack_id: String,
    /// Which rebuild, and how it ended.
    pub end: String,
    /// How many executions have waited for tasks from before.
    pub round: u8,
}

/// What to measure: for how long connections fail while a change interrupts the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DowntimeRequest {
    /// The ARN of the stage's stack.
    pub stack_id: String,
    /// The settings that change.
    pub fields: Vec<String>,
}

/// How long ECS can take to show a new task.
const VISIBLE_WITHIN: Duration = Duration::from_mins(1);

/// A connection from one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The service or the job that runs there.
    pub of: String,
    /// The name of the cluster.
    pub cluster: String,
    /// The security groups of the tasks.
    pub security_groups: Vec<String>,
    /// The ARN of the execution role.
    pub execution_role_arn: String,
    /// How many tasks were started for it before.
    #[serde(default)]
    pub tries: u8,
    /// What is known.
    pub outcome: AttemptOutcome,
}

/// What is known of a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "status")]
pub enum AttemptOutcome {
    /// Its task hasn't been started yet, or is started once more.
    Waiting {
        /// Not before this time.
        #[serde(default, with = "rfc3339::option")]
        until: Option<OffsetDateTime>,
    },
    /// The task hasn't ended, or its output isn't there yet.
    Running {
        /// The ARN of the task.
        task: String,
        /// When it was started.
        #[serde(default, with = "rfc3339::option")]
        since: Option<OffsetDateTime>,
        /// Whether ECS has shown the task. It shows a new one a moment later.
        #[serde(default)]
        seen: bool,
        /// Since when it's known that the task has stopped.
        #[serde(with = "rfc3339::option")]
        stopped: Option<OffsetDateTime>,
        /// Its status when it was told to stop.
        late: Option<String>,
    },
    /// It connected.
    Connected,
    /// It didn't.
    Failed {
        /// Why, in words.
        reason: String,
        /// Whether no client ran, so that nothing is known about the connection.
        untested: bool,
    },
}

impl AttemptOutcome {
    /// It didn't connect.
    #[must_use]
    pub fn failed(failure: &ClientFailure) -> Self {
        Self::Failed { reason: failure.to_string(), untested: failure.is_of_the_client() }
    }
}

impl Attempt {
    /// Whether ECS may not show its task yet. `earliest` is when the first task was started.
    #[must_use]
    pub fn may_be_hidden(&self, earliest: OffsetDateTime, now: OffsetDateTime) -> bool {
        let AttemptOutcome::Running { seen: false, since, .. } = self.outcome else { return false };
        now - since.unwrap_or(earliest) < VISIBLE_WITHIN
    }

    /// Whether its task should be started now.
    #[must_use]
    pub fn waits_for_a_task(&self, now: OffsetDateTime) -> bool {
        matches!(self.outcome, AttemptOutcome::Waiting { until } if until.is_none_or(|until| until <= now))
    }

    /// Why it failed, with where it was tried from.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let AttemptOutcome::Failed { reason, .. } = &self.outcome else { return None };
        let role = self.execution_role_arn.rsplit('/').next().unwrap_or_default();
        let groups = self.security_groups.join(", ");
        Some(format!("From the {} (security group {groups}, execution role {role}): {reason}", self.of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: OffsetDateTime = time::macros::datetime!(2026-11-28 14:00 UTC);

    fn attempt(outcome: AttemptOutcome) -> Attempt {
        let (of, cluster) = ("service demo/web".to_owned(), "demo".to_owned());
        let (security_groups, execution_role_arn) = (Vec::new(), String::new());
        Attempt { of, cluster, security_groups, execution_role_arn, tries: 1, outcome }
    }

    #[test]
    fn a_task_that_replaces_another_may_be_hidden_for_a_minute_after_its_own_start() {
        let since = START + Duration::from_secs(90);
        let running = |seen| {
            let (task, since) = ("task".to_owned(), Some(since));
            attempt(AttemptOutcome::Running { task, since, seen, stopped: None, late: None })
        };
        for (seen, seconds, expected) in
            [(false, 0, true), (false, 59, true), (false, 60, false), (true, 0, false)]
        {
            let now = since + Duration::from_secs(seconds);
            assert_eq!(running(seen).may_be_hidden(START, now), expected, "{seen} {seconds}");
        }
    }

    #[test]
    fn where_there_was_no_room_the_next_task_waits() {
        let until = START + Duration::from_secs(20);
        let waiting = |until| attempt(AttemptOutcome::Waiting { until });
        assert!(waiting(None).waits_for_a_task(START));
        assert!(!waiting(Some(until)).waits_for_a_task(START));
        assert!(waiting(Some(until)).waits_for_a_task(until));
        let earlier = r#"{"status": "waiting"}"#;
        let read: AttemptOutcome = serde_json::from_str(earlier).unwrap();
        assert_eq!(read, AttemptOutcome::Waiting { until: None }, "an execution from before an upgrade");
    }
}
