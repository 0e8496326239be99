//! `Custom::PostgresDatabase` and `Custom::PostgresProof`: hands each CloudFormation request to a state machine, which answers it.
//!
//! The function itself answers only what the state machine can't: a request that couldn't be handed over, and one whose
//! execution failed, was stopped, or timed out. It shares no code path with database-progress and client-progress, so that a
//! bug there still leads to a FAILED answer.

use std::sync::Arc;

use aws::{Executions, SdkConfig};
use custom_resource::{Addressee, Answer, AnswerError, Outcome, Request, Responder};
use lambda::Invocation;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracing::{Instrument, error, info};

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
    /// For proofs.
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
    /// The state machine failed, and nobody waits for an answer: it had the request answered, or it tested a connection.
    Over,
}

/// The type of the resource that proves connections.
const PROOF: &str = "Custom::PostgresProof";
/// The error that the state machine ends with once its failure has been answered (template.yaml).
const ANSWERED: &str = "DatabaseProgressFailed";

impl From<Value> for Event {
    fn from(mut event: Value) -> Self {
        if let Some(failed) = event.get_mut("answerFailed") {
            let request = failed.get_mut("request").map(Value::take);
            let error = failed.get("error").and_then(Value::as_str).unwrap_or("an unknown error");
            let resource_type = request.as_ref().and_then(|request| request.get("ResourceType"));
            let function = match resource_type.and_then(Value::as_str) {
                Some(PROOF) => "client-progress",
                _ => "database-progress",
            };
            let reason = format!(
                "The request couldn't be processed ({error}). See the log of the function {function} for the cause."
            );
            return Self::failed(request, reason);
        }
        if event.get("source").and_then(Value::as_str) == Some("aws.states") {
            let detail = |name| event.pointer(&format!("/detail/{name}")).and_then(Value::as_str);
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

/// Handles one event.
///
/// # Errors
/// The event doesn't say where to send the answer, or the answer couldn't be delivered.
pub async fn handle(resource: Arc<DatabaseResource>, invocation: Invocation) -> Result<(), AnswerError> {
    match Event::from(invocation.event) {
        Event::Over => Ok(()),
        Event::Request(event) => {
            let work = |addressee: Addressee, request: Request| {
                if let Ok(stage) = request.properties.stage() {
                    lambda::log_stage(&stage.stack, &stage.stage);
                }
                let executions = resource.executions.clone();
                let function = match request.resource_type.as_str() {
                    PROOF => &resource.functions.client_progress,
                    _ => &resource.functions.database_progress,
                };
                let input = json!({ "request": event, "function": function });
                async move { start(&executions, &addressee, &input).await }.in_current_span()
            };
            custom_resource::answer(
                &event,
                invocation.time_left,
                &resource.responder,
                Request::physical_id,
                work,
            )
            .await
        }
        Event::Failed { request, reason } => {
            let addressee = Addressee::from_event(&request)?;
            let parsed = Request::from_event(&request).and_then(|parsed| parsed.physical_id());
            let answer = match parsed {
                Ok(derived_id) => Answer::new(&addressee, &derived_id, Outcome::Failed(reason)),
                Err(invalid) => Answer::invalid(&addressee, &request, &invalid),
            };
            Ok(resource.responder.send(&addressee, &answer).await?)
        }
    }
}

/// Starts the execution for a request. It's named after the request, so that a repeated delivery starts nothing.
///
/// An earlier request for the same resource may still be in progress, or this one may be too late. The execution checks
/// at every step whether it's its turn.
async fn start(executions: &Executions, addressee: &Addressee, input: &Value) -> Option<Outcome> {
    let resource =
        Sha256::new().chain_update(&addressee.stack_id).chain_update(&addressee.logical_id).finalize();
    let prefix = resource.iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let name = format!("{prefix}-{}", addressee.request_id);
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
