//! ECS's one-off tasks: the clients that connect to a database, and what they found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::begun::Begun;
use crate::base::wire::{Call, Failure, Reply};

#[derive(Debug, Default, Clone)]
pub(crate) struct Clients {
    /// The secret and the staging label that each task definition reads.
    pub(crate) definitions: BTreeMap<String, (String, String)>,
    pub(crate) tasks: BTreeMap<String, Task>,
    /// The values that a client has connected with.
    pub(crate) proved: BTreeSet<String>,
    made: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) definition: String,
    pub(crate) security_group: String,
    /// What it runs.
    pub(crate) command: String,
    token: String,
    pub(crate) state: State,
}

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Stopped {
        reason: &'static str,
        exit_code: Option<i32>,
    },
    /// ECS doesn't show it anymore.
    Forgotten,
}

fn no(code: &'static str, words: &str) -> Failure {
    Failure::new(400, code, words)
}

impl Clients {
    /// CloudFormation registers a task definition, and gets its ARN.
    pub(crate) fn register(&mut self, properties: &Value) -> String {
        self.made += 1;
        let family = properties["Family"].as_str().unwrap_or_default();
        let arn = format!("arn:aws:ecs:us-east-1:123456789012:task-definition/{family}:{}", self.made);
        let reads =
            properties["ContainerDefinitions"][0]["Secrets"][0]["ValueFrom"].as_str().unwrap_or_default();
        let parts: Vec<&str> = reads.split(':').collect();
        let secret = parts.get(..7).unwrap_or_default().join(":");
        let label = parts.get(8).copied().unwrap_or_default().to_owned();
        self.definitions.insert(arn.clone(), (secret, label));
        arn
    }

    /// Handles a call. Also returns the task that it started.
    pub(crate) fn call(&mut self, call: &Call) -> Result<(Reply, Option<Begun>), Failure> {
        let body = call.json();
        match call.operation.as_str() {
            "RunTask" => self.run(call),
            "DescribeTasks" => {
                let arn = body["tasks"][0].as_str().unwrap_or_default();
                let found = self.tasks.get(arn).and_then(|task| describe(arn, task));
                let failures =
                    if found.is_none() { json!([{"arn": arn, "reason": "MISSING"}]) } else { json!([]) };
                let tasks: Vec<_> = found.into_iter().collect();
                Ok((Reply::Json(json!({"tasks": tasks, "failures": failures})), None))
            }
            "StopTask" => {
                let arn = call.text("task").unwrap_or_default();
                let task = self.tasks.get_mut(arn);
                let task = task
                    .ok_or_else(|| no("InvalidParameterException", "The referenced task was not found."))?;
                if task.state == State::Pending {
                    task.state = State::Stopped { reason: "stopped by a user", exit_code: None };
                }
                Ok((Reply::Json(json!({})), None))
            }
            other => Err(no("UnknownOperationException", other)),
        }
    }

    /// The tasks of a family that haven't stopped.
    pub(crate) fn pending(&self, family: &str) -> Vec<String> {
        let of_family = |task: &Task| {
            let family_of = task.definition.rsplit('/').next().and_then(|name| name.split(':').next());
            task.state == State::Pending && family_of == Some(family)
        };
        self.tasks.iter().filter(|(_, task)| of_family(task)).map(|(arn, _)| arn.clone()).collect()
    }

    fn run(&mut self, call: &Call) -> Result<(Reply, Option<Begun>), Failure> {
        let body = call.json();
        let definition = call.text("taskDefinition").unwrap_or_default().to_owned();
        if !self.definitions.contains_key(&definition) {
            return Err(no("ClientException", "TaskDefinition not found."));
        }
        let token = call.text("clientToken").unwrap_or_default().to_owned();
        if token.is_empty() || token.len() > 64 || call.text("startedBy").is_none_or(|by| by.len() > 36) {
            return Err(no("InvalidParameterException", "clientToken or startedBy"));
        }
        if body["overrides"].to_string().len() > 8192 {
            return Err(no("InvalidParameterException", "Container Overrides length must be at most 8192"));
        }
        let groups = &body["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"];
        let Some(security_group) = groups[0].as_str().map(str::to_owned) else {
            let words = "Network Configuration must be provided when networkMode 'awsvpc' is specified.";
            return Err(no("InvalidParameterException", words));
        };
        if let Some((arn, _)) = self.tasks.iter().find(|(_, task)| task.token == token) {
            return Ok((Reply::Json(json!({"tasks": [{"taskArn": arn}], "failures": []})), None));
        }
        self.made += 1;
        let arn = format!("arn:aws:ecs:us-east-1:123456789012:task/demo/{:032x}", self.made);
        let command = body["overrides"]["containerOverrides"][0]["command"][0].as_str().unwrap_or_default();
        let command = command.to_owned();
        self.tasks
            .insert(arn.clone(), Task { definition, security_group, command, token, state: State::Pending });
        Ok((Reply::Json(json!({"tasks": [{"taskArn": arn}], "failures": []})), Some(Begun::Client(arn))))
    }
}

fn describe(arn: &str, task: &Task) -> Option<Value> {
    let created = crate::base::clock::BEGINNING.unix_timestamp();
    let mut found = json!({"taskArn": arn, "containers": [{"name": "client"}], "createdAt": created});
    match &task.state {
        State::Pending => found["lastStatus"] = json!("PENDING"),
        State::Stopped { reason, exit_code } => {
            found["lastStatus"] = json!("STOPPED");
            found["stoppedReason"] = json!(reason);
            found["stopCode"] =
                json!(if exit_code.is_some() { "EssentialContainerExited" } else { "TaskFailedToStart" });
            if let Some(code) = exit_code {
                found["containers"][0]["exitCode"] = json!(code);
            }
        }
        State::Forgotten => return None,
    }
    Some(found)
}
