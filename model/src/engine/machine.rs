//! The Step Functions engine: interprets the state machine that `template.yaml` defines.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use crate::{
    base::{clock::pass, kind::Kind},
    engine::{events, functions::invoke},
    services::{
        states::{MACHINE, arn},
        template::Template,
    },
    world::model::Model,
};

/// How an execution ended.
struct Ended {
    status: &'static str,
    error: Option<String>,
}

pub(crate) async fn run(model: &Arc<Model>, name: &str) {
    let _busy = model.working();
    let input = model.world().executions.all[name].input.clone();
    let template = Template::application();
    let definition = template.at("/Resources/DatabaseStateMachine/Properties/Definition");
    let limit = definition["TimeoutSeconds"].as_u64().unwrap_or(u64::MAX / 1000);
    let ended = tokio::select! {
        biased;
        ended = walk(model, definition, &input) => ended,
        () = pass(limit * 1000) => Ended { status: "TIMED_OUT", error: None },
    };
    model.note(|| format!("execution {name} {}", ended.status));
    if let Some(execution) = model.world().executions.all.get_mut(name) {
        execution.status = ended.status;
    }
    let rule = template.at(
        "/Resources/DatabaseResource/Properties/Events/StateMachineEnded/Properties/Pattern/detail/status",
    );
    if rule.as_array().is_some_and(|statuses| statuses.iter().any(|status| *status == ended.status)) {
        let event = json!({
            "version": "0", "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
            "detail": {
                "executionArn": arn(name), "stateMachineArn": MACHINE, "name": name, "status": ended.status, "input": input,
                "error": ended.error,
            },
        });
        events::deliver(model, Kind::DatabaseResource, &event);
    }
}

/// Runs the states. Supports only the features that `template.yaml` uses.
async fn walk(model: &Arc<Model>, definition: &Value, input: &str) -> Ended {
    let mut data: Value = serde_json::from_str(input).unwrap_or_default();
    let mut at = definition["StartAt"].as_str().unwrap_or_default().to_owned();
    loop {
        let state = &definition["States"][&at];
        let next = match state["Type"].as_str().unwrap_or_default() {
            "Task" => match task(model, state, &data).await {
                Ok(result) => {
                    place(
                        &mut data,
                        &state["ResultPath"],
                        select(&state["ResultSelector"], &json!({"Payload": result})),
                    );
                    &state["Next"]
                }
                Err(error) => {
                    let Some(catch) = matching(&state["Catch"], &error) else {
                        return Ended { status: "FAILED", error: Some(error) };
                    };
                    place(&mut data, &catch["ResultPath"], json!({"Error": error, "Cause": ""}));
                    &catch["Next"]
                }
            },
            "Choice" => {
                let choices = state["Choices"].as_array().into_iter().flatten();
                let mut chosen = choices.filter(|choice| {
                    path(&data, choice["Variable"].as_str().unwrap_or_default()) == choice["BooleanEquals"]
                });
                chosen.next().map_or(&state["Default"], |choice| &choice["Next"])
            }
            "Wait" => {
                let seconds = path(&data, state["SecondsPath"].as_str().unwrap_or_default());
                tokio::time::sleep(Duration::from_secs(seconds.as_u64().unwrap_or_default())).await;
                &state["Next"]
            }
            "Succeed" => return Ended { status: "SUCCEEDED", error: None },
            _ => return Ended { status: "FAILED", error: state["Error"].as_str().map(str::to_owned) },
        };
        at = next.as_str().unwrap_or_default().to_owned();
    }
}

/// A task with its retries.
async fn task(model: &Arc<Model>, state: &Value, data: &Value) -> Result<Value, String> {
    let parameters = &state["Parameters"];
    let kind = match parameters["FunctionName.$"].as_str() {
        Some(at) => Kind::of_arn(path(data, at).as_str().unwrap_or_default()),
        None => Some(Kind::DatabaseResource),
    };
    let Some(kind) = kind else { return Err("Lambda.ResourceNotFoundException".to_owned()) };
    let mut retried = BTreeMap::<String, u64>::new();
    for attempt in 0.. {
        // Stopping an execution doesn't stop a function that it has already invoked.
        let (owned, payload) = (Arc::clone(model), payload(parameters, data));
        // The last try of the last-resort response meets no fault, because nothing retries after it.
        let faults = kind != Kind::DatabaseResource || attempt < 6;
        let called = tokio::spawn(async move { invoke(&owned, kind, payload, attempt, faults).await });
        let limit = Duration::from_secs(state["TimeoutSeconds"].as_u64().unwrap_or(60));
        let error = match tokio::time::timeout(limit, called).await {
            Ok(Ok(Ok(value))) => return Ok(value),
            Ok(Ok(Err(failed))) => failed.error_name(),
            Ok(Err(_)) => "Lambda.Unknown",
            Err(_) => "States.Timeout",
        };
        let Some(policy) = matching(&state["Retry"], error) else { return Err(error.to_owned()) };
        let count = retried.entry(policy["ErrorEquals"].to_string()).or_default();
        if *count >= policy["MaxAttempts"].as_u64().unwrap_or(3) {
            return Err(error.to_owned());
        }
        let interval = policy["IntervalSeconds"].as_u64().unwrap_or(1);
        let factor =
            policy["BackoffRate"].as_u64().unwrap_or(2).saturating_pow(u32::try_from(*count).unwrap_or(0));
        let longest = policy["MaxDelaySeconds"].as_u64().unwrap_or(u64::MAX / 2000);
        *count += 1;
        pass(interval.saturating_mul(factor).min(longest) * 1000).await;
    }
    Err("States.Runtime".to_owned())
}

/// The payload for a function.
fn payload(parameters: &Value, data: &Value) -> Value {
    match parameters["Payload.$"].as_str() {
        Some(text) => path(data, text),
        None => select(&parameters["Payload"], data),
    }
}

fn matching<'a>(handlers: &'a Value, error: &str) -> Option<&'a Value> {
    let names = |handler: &&Value| {
        let names = handler["ErrorEquals"].as_array().into_iter().flatten();
        names.filter_map(Value::as_str).any(|name| name == error || name == "States.ALL")
    };
    handlers.as_array()?.iter().find(names)
}

/// Resolves the `….$` fields of an object from the data.
fn select(template: &Value, data: &Value) -> Value {
    match template {
        Value::Object(object) => {
            let field = |(name, value): (&String, &Value)| match (name.strip_suffix(".$"), value) {
                (Some(name), Value::String(text)) => (name.to_owned(), path(data, text)),
                _ => (name.clone(), select(value, data)),
            };
            Value::Object(object.iter().map(field).collect::<Map<_, _>>())
        }
        Value::Null => data.clone(),
        other => other.clone(),
    }
}

fn path(data: &Value, text: &str) -> Value {
    let mut found = data;
    for part in text.trim_start_matches('$').split('.').filter(|part| !part.is_empty()) {
        found = &found[part];
    }
    found.clone()
}

/// Stores a result at `ResultPath`. `null` discards it.
fn place(data: &mut Value, result_path: &Value, result: Value) {
    if let Some(name) = result_path.as_str().and_then(|path| path.strip_prefix("$.")) {
        data[name] = result;
    }
}
