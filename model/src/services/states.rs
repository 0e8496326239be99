//! The Step Functions API: starts executions.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    base::{
        clock,
        wire::{Call, Failure, Reply},
    },
    services::begun::Begun,
};

/// The state machine's ARN.
pub(crate) const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:stagedb-database";

#[derive(Debug, Default, Clone)]
pub(crate) struct Executions {
    pub(crate) all: BTreeMap<String, Execution>,
}

#[derive(Debug, Clone)]
pub(crate) struct Execution {
    pub(crate) input: String,
    pub(crate) status: &'static str,
    pub(crate) started: u64,
}

pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:states:us-east-1:123456789012:execution:stagedb-database:{name}")
}

impl Executions {
    /// The response of Step Functions, and the execution that the call starts.
    pub(crate) fn call(&mut self, call: &Call, now: u64) -> Result<(Reply, Option<Begun>), Failure> {
        let seconds = |millis: u64| clock::date(millis).unix_timestamp();
        match call.operation.as_str() {
            "StartExecution" => {
                let name = call.text("name").unwrap_or_default().to_owned();
                let input = call.text("input").unwrap_or_default().to_owned();
                if name.is_empty() || name.len() > 80 {
                    return Err(Failure::new(400, "InvalidName", "Invalid Name"));
                }
                if let Some(before) = self.all.get(&name) {
                    if before.status == "RUNNING" && before.input == input {
                        let started =
                            json!({"executionArn": arn(&name), "startDate": seconds(before.started)});
                        return Ok((Reply::Json(started), None));
                    }
                    let words = format!("Execution Already Exists: '{}'", arn(&name));
                    return Err(Failure::new(400, "ExecutionAlreadyExists", words));
                }
                let execution = Execution { input, status: "RUNNING", started: now };
                self.all.insert(name.clone(), execution);
                let started = json!({"executionArn": arn(&name), "startDate": seconds(now)});
                Ok((Reply::Json(started), Some(Begun::Execution(name))))
            }
            other => Err(Failure::new(400, "UnknownOperationException", other)),
        }
    }
}
