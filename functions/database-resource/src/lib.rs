//! `Custom::PostgresDatabase`: hands each request of CloudFormation's to a state machine, which answers it.
//!
//! It answers only what the state machine cannot: a request that could not be handed over, and one whose execution
//! failed, was stopped or ran out of time. It shares no code path with database-progress, so that a defect there still
//! gets its FAILED answer.

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
}

impl DatabaseResource {
    /// Ready to handle events.
    #[must_use]
    pub fn new(config: &SdkConfig, state_machine_arn: String) -> Self {
        Self {
            executions: Executions::new(config, state_machine_arn),
            responder: Responder::new(config.http_client()),
        }
    }
}

/// What an event is.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// A request of CloudFormation's.
    Request(Value),
    /// The state machine asks to answer a request that it failed at.
    Failed {
        /// The request.
        request: Value,
        /// Why, in words.
        reason: String,
    },
    /// The state machine failed and had the request answered before it ended.
    Answered,
}

/// The error with which the state machine ends once its failure has been answered (template.yaml).
const ANSWERED: &str = "DatabaseProgressFailed";

impl From<Value> for Event {
    fn from(mut event: Value) -> Self {
        if let Some(failed) = event.get_mut("answerFailed") {
            let error = failed.get("error").and_then(Value::as_str).unwrap_or("an unknown error");
            let reason = format!(
                "The database could not be worked on ({error}). The log of the function database-progress says why."
            );
            let request = failed.get_mut("request").map(Value::take).unwrap_or_default();
            return Self::Failed { request, reason };
        }
        if event.get("source").and_then(Value::as_str) == Some("aws.states") {
            let detail = |name| event.pointer(&format!("/detail/{name}")).and_then(Value::as_str);
            let ended = match detail("status") {
                Some("FAILED") if detail("error") == Some(ANSWERED) => return Self::Answered,
                Some("FAILED") => "failed",
                Some("TIMED_OUT") => "ran out of time",
                _ => "was stopped",
            };
            let reason = format!("The state machine that works on the database {ended}. Save again.");
            let input = detail("input").and_then(|input| serde_json::from_str::<Value>(input).ok());
            let request = input.and_then(|mut input| input.get_mut("request").map(Value::take));
            return Self::Failed { request: request.unwrap_or_default(), reason };
        }
        Self::Request(event)
    }
}

/// Handles one event.
///
/// # Errors
/// There is nobody to answer, or the answer could not be delivered.
pub async fn handle(resource: Arc<DatabaseResource>, invocation: Invocation) -> Result<(), AnswerError> {
    match Event::from(invocation.event) {
        Event::Answered => Ok(()),
        Event::Request(event) => {
            let work = |addressee: Addressee, request: Request| {
                if let Ok(stage) = request.properties.stage() {
                    lambda::log_stage(&stage.stack, &stage.stage);
                }
                let executions = resource.executions.clone();
                let input = json!({ "request": event });
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

/// Starts the execution of a request. It is named after the request, so that a repeated delivery starts nothing.
///
/// An earlier request for the same resource may still be worked on, or this one may come too late: its execution finds out
/// whose turn it is at every step.
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
            let reason = format!("The state machine could not be started: {}", failure.message);
            Some(Outcome::Failed(reason))
        }
    }
}
