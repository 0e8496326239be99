//! `Custom::PostgresDatabase`, `Custom::PostgresLogins`, and `Custom::PostgresProof`: hands each CloudFormation request to a state
//! machine, which answers it. The end of a rebuild is handed over, too, because logins may be left to disable, and so is a change that
//! interrupts a database, because its downtime is measured.
//!
//! The function itself answers only what the state machine can't: a request that couldn't be handed over, and one whose
//! execution failed, was stopped, or timed out. It shares no code path with database-progress and client-progress, so that a
//! bug there still leads to a FAILED answer.

use std::sync::Arc;

use aws::{AwsError, Executions, SdkConfig, execution_prefix};
use custom_resource::{Addressee, Answer, AnswerError, Outcome, Properties, Request, RequestType, Responder};
use database::{DowntimeRequest, Generation, Settings, SettleRequest, interrupting_changes};
use lambda::Invocation;
use serde_json::{Value, json};
use thiserror::Error;
use tracing::{Instrument, error, info, warn};

/// What the function needs.
#[derive(Debug)]
pub struct DatabaseResource {
    executions: Executions,
    responder: Responder,
    functions: Functions,
}

/// The ARNs of the functions that the state machine calls.
#[derive(Debug, Clone)]
pub struct Functions {
    /// For databases.
    pub database_progress: String,
    /// For proofs and logins.
    pub client_progress: String,
}

impl DatabaseResource {
    /// Creates the function's clients.
    #[must_use]
    pub fn new(config: &SdkConfig, state_machine_arn: String, functions: Functions) -> Self {
        Self {
            functions,
            executions: Executions::new(config, state_machine_arn),
            responder: Responder::new(config.http_client()),
        }
    }
}

/// What an event is.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// A CloudFormation request.
    Request(Value),
    /// A request that the state machine failed to process.
    Failed {
        /// The request.
        request: Value,
        /// Why, as a message for the user.
        reason: String,
    },
    /// A rebuild has ended, so logins may be left to disable.
    Settle(SettleRequest),
    /// The state machine failed, and nobody waits for an answer: it had the request answered, or it tested a connection.
    Over,
}

/// The source of our own events.
const STAGEDB: &str = "stagedb";
/// The error that the state machine ends with once its failure has been answered (template.yaml).
const ANSWERED: &str = "DatabaseProgressFailed";

/// Whether clients work for a resource of this type.
fn is_of_clients(resource_type: &str) -> bool {
    ["Custom::PostgresProof", "Custom::PostgresLogins"].contains(&resource_type)
}

impl From<Value> for Event {
    fn from(mut event: Value) -> Self {
        if let Some(failed) = event.get_mut("answerFailed") {
            let request = failed.get_mut("request").map(Value::take);
            let error = failed.get("error").and_then(Value::as_str).unwrap_or("an unknown error");
            let resource_type = request.as_ref().and_then(|request| request.get("ResourceType"));
            let resource_type = resource_type.and_then(Value::as_str).unwrap_or_default();
            let function = if is_of_clients(resource_type) { "client-progress" } else { "database-progress" };
            let reason = format!(
                "The request couldn't be processed ({error}). See the log of the function {function} for the cause."
            );
            return Self::failed(request, reason);
        }
        let detail = |name| event.pointer(&format!("/detail/{name}")).and_then(Value::as_str);
        if event.get("source").and_then(Value::as_str) == Some(STAGEDB) {
            let stack_id =
                event.pointer("/resources/0").and_then(Value::as_str).unwrap_or_default().to_owned();
            let [operation, phase] = ["operation", "phase"].map(|name| detail(name).unwrap_or_default());
            // A rollback that failed ends a second time once it's continued.
            return Self::Settle(SettleRequest { stack_id, end: format!("{operation} {phase}"), round: 0 });
        }
        if event.get("source").and_then(Value::as_str) == Some("aws.states") {
            let ended = match detail("status") {
                Some("FAILED") if detail("error") == Some(ANSWERED) => return Self::Over,
                Some("FAILED") => "failed",
                Some("TIMED_OUT") => "ran out of time",
                _ => "was stopped",
            };
            let reason = format!("The state machine that works on the database {ended}. Save again.");
            let input = detail("input").and_then(|input| serde_json::from_str::<Value>(input).ok());
            let request = input.and_then(|mut input| input.get_mut("request").map(Value::take));
            return Self::failed(request, reason);
        }
        Self::Request(event)
    }
}

impl Event {
    /// The request of a test of a connection is null.
    fn failed(request: Option<Value>, reason: String) -> Self {
        match request {
            Some(Value::Null) => Self::Over,
            request => Self::Failed { request: request.unwrap_or_default(), reason },
        }
    }
}

/// Why an event wasn't handled.
#[derive(Debug, Error)]
pub enum HandleError {
    /// The event doesn't say where to send the answer, or the answer couldn't be delivered.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// Step Functions can't be reached, or refuses.
    #[error("the state machine couldn't be started")]
    NotStarted(#[source] AwsError),
}

/// Handles one event.
///
/// # Errors
/// See [`HandleError`].
pub async fn handle(resource: Arc<DatabaseResource>, invocation: Invocation) -> Result<(), HandleError> {
    match Event::from(invocation.event) {
        Event::Over => Ok(()),
        Event::Settle(settle) => {
            let function = &resource.functions.client_progress;
            resource.executions.settle(function, &settle).await.map_err(HandleError::NotStarted)?;
            Ok(())
        }
        Event::Request(event) => {
            let work = |addressee: Addressee, request: Request| {
                if let Ok(stage) = request.properties.stage() {
                    lambda::log_stage(&stage.stack, &stage.stage);
                }
                let executions = resource.executions.clone();
                let Functions { database_progress, client_progress } = &resource.functions;
                let function =
                    if is_of_clients(&request.resource_type) { client_progress } else { database_progress };
                let input = json!({ "request": event, "function": function });
                let downtime = interrupting(&request).map(|fields| {
                    let request = DowntimeRequest { stack_id: addressee.stack_id.clone(), fields };
                    json!({ "request": null, "function": client_progress, "downtime": request })
                });
                let work = async move {
                    // The request comes first: it has to be handed over in time.
                    let outcome = start(&executions, &addressee, &input).await;
                    if let Some(downtime) = downtime.filter(|_| outcome.is_none()) {
                        measure(&executions, &addressee, &downtime).await;
                    }
                    outcome
                };
                work.in_current_span()
            };
            custom_resource::answer(
                &event,
                invocation.time_left,
                &resource.responder,
                Request::physical_id,
                work,
            )
            .await?;
            Ok(())
        }
        Event::Failed { request, reason } => {
            let addressee = Addressee::from_event(&request).map_err(AnswerError::from)?;
            let parsed = Request::from_event(&request).and_then(|parsed| parsed.physical_id());
            let answer = match parsed {
                Ok(derived_id) => Answer::new(&addressee, &derived_id, Outcome::Failed(reason)),
                Err(invalid) => Answer::invalid(&addressee, &request, &invalid),
            };
            resource.responder.send(&addressee, &answer).await.map_err(AnswerError::from)?;
            Ok(())
        }
    }
}

/// The settings that an update changes and that may interrupt the database.
fn interrupting(request: &Request) -> Option<Vec<String>> {
    if request.resource_type != "Custom::PostgresDatabase" || request.request_type != RequestType::Update {
        return None;
    }
    let created = |properties: &Properties| {
        let settings = Settings::from_parameters(|name| properties.optional(name)).ok()?;
        let Settings::Created(settings) = settings else { return None };
        Some((settings, properties.parse::<Generation>("Generation").ok()?))
    };
    let (before, after) = (created(&request.old_properties)?, created(&request.properties)?);
    interrupting_changes((&before.0, &before.1), (&after.0, &after.1))
}

/// Starts to measure for how long connections fail. The change is made anyway.
async fn measure(executions: &Executions, addressee: &Addressee, input: &Value) {
    let name = format!(
        "downtime-{}-{}",
        execution_prefix(&addressee.stack_id, &addressee.logical_id),
        addressee.request_id
    );
    if let Err(failure) = executions.start(&name, input).await {
        warn!(error = lambda::chain(&failure), "the downtime isn't measured");
    }
}

/// Starts the execution for a request. It's named after the request, so that a repeated delivery starts nothing.
///
/// An earlier request for the same resource may still be in progress, or this one may be too late. The execution checks
/// at every step whether it's its turn.
async fn start(executions: &Executions, addressee: &Addressee, input: &Value) -> Option<Outcome> {
    let resource = execution_prefix(&addressee.stack_id, &addressee.logical_id);
    let name = format!("{resource}-{}", addressee.request_id);
    match executions.start(&name, input).await {
        Ok(started) => {
            info!(cloudformation_request_id = addressee.request_id, ?started, "handed to the state machine");
            None
        }
        Err(failure) => {
            error!(error = lambda::chain(&failure), "not handed to the state machine");
            let reason = format!("The state machine couldn't be started: {}", failure.message);
            Some(Outcome::Failed(reason))
        }
    }
}
