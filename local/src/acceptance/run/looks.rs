//! What the walk sees of AWS.
#![expect(clippy::indexing_slicing, reason = "what isn't in a JSON value reads as null")]

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::{Run, output};
use crate::acceptance::{
    account::Place,
    names::{APP, INSTANCE, NAME, STACK, STAGE, STAGE_STACK},
};

/// The members of a task definition that ECS adds, or that differ by their nature.
const OF_ECS: [&str; 8] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "compatibilities",
    "deregisteredAt",
];

impl Run<'_> {
    pub(super) fn stage_stack(&self) -> anyhow::Result<Value> {
        let stacks = self.account.aws(&["cloudformation", "describe-stacks", "--stack-name", STAGE_STACK])?;
        Ok(stacks["Stacks"][0].clone())
    }

    /// The events of a stack, oldest first: the resource, or `stack`, and its status.
    pub(super) fn stack_events(&self, id: &str) -> anyhow::Result<Vec<String>> {
        let events = self.account.aws(&["cloudformation", "describe-stack-events", "--stack-name", id])?;
        let mut all = Vec::new();
        for event in events["StackEvents"].as_array().into_iter().flatten() {
            let is_stack = event["ResourceType"] == "AWS::CloudFormation::Stack";
            let name =
                if is_stack { "stack" } else { event["LogicalResourceId"].as_str().unwrap_or_default() };
            all.push(format!("{name} {}", event["ResourceStatus"].as_str().unwrap_or_default()));
        }
        all.reverse();
        // CloudFormation repeats some.
        all.dedup();
        Ok(all)
    }

    /// The events of a stack's last update.
    pub(super) fn last_operation(&self, id: &str) -> anyhow::Result<Vec<String>> {
        let mut events = self.stack_events(id)?;
        let last = events.iter().rposition(|event| event == "stack UPDATE_IN_PROGRESS").unwrap_or_default();
        Ok(events.split_off(last))
    }

    pub(super) fn service(&self) -> anyhow::Result<Value> {
        let services =
            self.account.aws(&["ecs", "describe-services", "--cluster", NAME, "--services", "web"])?;
        Ok(services["services"][0].clone())
    }

    pub(super) fn definition(&self, arn: &str) -> anyhow::Result<Value> {
        let found = self.account.aws(&["ecs", "describe-task-definition", "--task-definition", arn])?;
        Ok(found["taskDefinition"].clone())
    }

    /// The variables in the service's task definition.
    pub(super) fn variables(&self) -> anyhow::Result<Vec<String>> {
        let service = self.service()?;
        let definition = self.definition(service["taskDefinition"].as_str().unwrap_or_default())?;
        let secrets =
            definition["containerDefinitions"][0]["secrets"].as_array().cloned().unwrap_or_default();
        Ok(secrets.iter().filter_map(|secret| secret["name"].as_str().map(str::to_owned)).collect())
    }

    pub(super) fn steady(&self) -> anyhow::Result<()> {
        self.account.until("the service is steady", Duration::from_mins(20), || {
            let service = self.service()?;
            let deployments = service["deployments"].as_array().cloned().unwrap_or_default();
            Ok((deployments.len() == 1 && deployments[0]["rolloutState"] == "COMPLETED").then_some(()))
        })
    }

    /// What a copy of the team's task definition lacks or has in another way, besides the secrets.
    pub(super) fn differences(&self) -> anyhow::Result<String> {
        let theirs = self.definition(&output(self.account, APP, "DefinitionArn")?)?;
        let ours = self.definition(self.service()?["taskDefinition"].as_str().unwrap_or_default())?;
        let mut names = Vec::new();
        compare("", &theirs, &ours, &mut names);
        Ok(if names.is_empty() { "nothing".to_owned() } else { names.join(", ") })
    }

    /// Connects as the container would, and compares the port that it got.
    pub(super) fn connect(&self, database: &str) -> anyhow::Result<()> {
        self.steady()?;
        let script = "psql \"host=$PG_HOST port=$PG_PORT dbname=$PG_DATABASE user=$PG_USER password=$PG_CREDENTIALS_SECRET \
                      sslmode=prefer connect_timeout=10\" -tAc 'select current_database(), inet_server_port() > 0'";
        match &self.account.place {
            Place::Local(local) => {
                let done = local.run_in_container(STACK, STAGE, &["sh", "-c", script])?;
                let said = String::from_utf8_lossy(&done.stdout).trim().to_owned();
                ensure!(
                    said == format!("{database}|t"),
                    "psql: {said} {}",
                    String::from_utf8_lossy(&done.stderr)
                );
                Ok(())
            }
            Place::Aws { .. } => self.connect_in_a_task(script),
        }
    }

    pub(super) fn connect_in_a_task(&self, script: &str) -> anyhow::Result<()> {
        let service = self.service()?;
        let definition = service["taskDefinition"].as_str().unwrap_or_default();
        let network = service["networkConfiguration"].to_string();
        let overrides =
            json!({"containerOverrides": [{"name": "web", "command": ["sh", "-c", script]}]}).to_string();
        let started = self.account.aws(&[
            "ecs",
            "run-task",
            "--cluster",
            NAME,
            "--launch-type",
            "FARGATE",
            "--task-definition",
            definition,
            "--network-configuration",
            &network,
            "--overrides",
            &overrides,
        ])?;
        let arn = started["tasks"][0]["taskArn"].as_str().context("no task was started")?.to_owned();
        let task = self.account.until("the task that connects", Duration::from_mins(10), || {
            let tasks = self.account.aws(&["ecs", "describe-tasks", "--cluster", NAME, "--tasks", &arn])?;
            let task = tasks["tasks"][0].clone();
            // It's restarted after it ends, so its first exit code counts.
            let has_ended = task["containers"][0]["exitCode"].is_number() || task["lastStatus"] == "STOPPED";
            Ok(has_ended.then_some(task))
        })?;
        let _ = self.account.aws(&["ecs", "stop-task", "--cluster", NAME, "--task", &arn]);
        let code = &task["containers"][0]["exitCode"];
        if code != 0 {
            bail!(
                "psql in a task ended with {code}: {} {}",
                task["stoppedReason"],
                task["containers"][0]["reason"]
            );
        }
        Ok(())
    }

    pub(super) fn tags_of_instance(&self) -> anyhow::Result<String> {
        let found =
            self.account.aws(&["rds", "describe-db-instances", "--db-instance-identifier", INSTANCE])?;
        let tags = found["DBInstances"][0]["TagList"].as_array().cloned().unwrap_or_default();
        let mut keys: Vec<_> = tags.iter().filter_map(|tag| tag["Key"].as_str()).collect();
        keys.sort_unstable();
        Ok(keys.join(", "))
    }

    pub(super) fn events_of_instance(&self) -> anyhow::Result<String> {
        let found = self.account.aws(&[
            "rds",
            "describe-events",
            "--source-type",
            "db-instance",
            "--source-identifier",
            INSTANCE,
            "--duration",
            "60",
        ])?;
        let events = found["Events"].as_array().cloned().unwrap_or_default();
        let messages: Vec<_> = events.iter().filter_map(|event| event["Message"].as_str()).collect();
        Ok(messages.join(" | "))
    }

    pub(super) fn purge(&self) -> anyhow::Result<()> {
        let url = output(self.account, APP, "EventsUrl")?;
        self.account.aws(&["sqs", "purge-queue", "--queue-url", &url]).map(drop)
    }

    /// The names of the deployment events since the queue was emptied.
    pub(super) fn deployment_events(&self) -> anyhow::Result<String> {
        let url = output(self.account, APP, "EventsUrl")?;
        let mut events: Vec<(String, String)> = Vec::new();
        loop {
            let found = self.account.aws(&[
                "sqs",
                "receive-message",
                "--queue-url",
                &url,
                "--max-number-of-messages",
                "10",
                "--wait-time-seconds",
                "2",
            ])?;
            let messages = found["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            for message in &messages {
                let event: Value = serde_json::from_str(message["Body"].as_str().unwrap_or_default())?;
                let text = |pointer: &str| {
                    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
                };
                events.push((text("/detail/updatedAt"), text("/detail/eventName")));
                let handle = message["ReceiptHandle"].as_str().unwrap_or_default();
                self.account.aws(&[
                    "sqs",
                    "delete-message",
                    "--queue-url",
                    &url,
                    "--receipt-handle",
                    handle,
                ])?;
            }
        }
        events.sort();
        Ok(events.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(", "))
    }
}

/// The paths at which two values differ.
fn compare(path: &str, one: &Value, other: &Value, differences: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let names: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for name in
                names.into_iter().filter(|name| !OF_ECS.contains(&name.as_str()) && *name != "secrets")
            {
                let none = &Value::Null;
                let (one, other) = (one.get(name).unwrap_or(none), other.get(name).unwrap_or(none));
                compare(&format!("{path}/{name}"), one, other, differences);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{path}/{index}"), one, other, differences);
            }
        }
        _ if one == other => {}
        _ => differences.push(path.to_owned()),
    }
}
