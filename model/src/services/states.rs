//! Step Functions: executions of the state machine that `template.yaml` defines, interpreted.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use crate::{
    clock::{self, pass},
    events,
    functions::{Kind, invoke},
    template::Template,
    wire::{Call, Failure, Reply},
    world::Model,
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

fn arn(name: &str) -> String {
    format!("arn:aws:states:us-east-1:123456789012:execution:stagedb-database:{name}")
}

pub(crate) fn call(model: &Arc<Model>, call: &Call) -> Result<Reply, Failure> {
    let seconds = |millis: u64| clock::date(millis).unix_timestamp();
    match call.operation.as_str() {
        "StartExecution" => {
            let name = call.text("name").unwrap_or_default().to_owned();
            let input = call.text("input").unwrap_or_default().to_owned();
            let now = model.now();
            let mut world = model.world();
            if name.is_empty() || name.len() > 80 {
                return Err(Failure::new(400, "InvalidName", "Invalid Name"));
            }
            if let Some(before) = world.executions.all.get(&name) {
                if before.status == "RUNNING" && before.input == input {
                    return Ok(Reply::Json(
                        json!({"executionArn": arn(&name), "startDate": seconds(before.started)}),
                    ));
                }
                let words = format!("Execution Already Exists: '{}'", arn(&name));
                return Err(Failure::new(400, "ExecutionAlreadyExists", words));
            }
            let execution = Execution { input, status: "RUNNING", started: now };
            world.executions.all.insert(name.clone(), execution);
            drop(world);
            let model = Arc::clone(model);
            let started = json!({"executionArn": arn(&name), "startDate": seconds(now)});
            tokio::spawn(async move { run(&model, &name).await });
            Ok(Reply::Json(started))
        }
        other => Err(Failure::new(400, "UnknownOperationException", other)),
    }
}

/// How an execution ended.
struct Ended {
    status: &'static str,
    error: Option<String>,
}

async fn run(model: &Arc<Model>, name: &str) {
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

/// Walks through the states. What `definition` may contain is what `template.yaml` uses.
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
    let kind = match parameters["FunctionName"].as_str() {
        Some("${DatabaseProgress}") => Kind::DatabaseProgress,
        _ => Kind::DatabaseResource,
    };
    let mut retried = BTreeMap::<String, u64>::new();
    for attempt in 0.. {
        // Stopping an execution does not stop the function that it has called.
        let (owned, payload) = (Arc::clone(model), payload(parameters, data));
        // The answer of last resort meets no fault in its last try, as nobody tries after it.
        let faults = kind == Kind::DatabaseProgress || attempt < 6;
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

/// What a function is called with.
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

/// An object with its `….$` fields read from the data.
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

/// Puts a result where `ResultPath` says; `null` throws it away.
fn place(data: &mut Value, result_path: &Value, result: Value) {
    if let Some(name) = result_path.as_str().and_then(|path| path.strip_prefix("$.")) {
        data[name] = result;
    }
}
