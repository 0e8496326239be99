//! The HTTP API of the Database settings. It keeps no database: CloudFormation, RDS, ECS, and Secrets Manager are the
//! state, and only the history and the protection of stages are its own.
//!
//! `handle` finds the route. A request is parsed at the edge into types that can't be invalid. An error is a problem
//! (RFC 9457) with a message that helps the user.

mod api;
mod configuration;
mod hash;
mod openapi;
mod record;
mod registration;
mod request;
mod response;
mod routes;
mod save;
mod schedule;
mod schema;
mod stage_stack;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use api::Call;
pub use api::SettingsApi;
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
pub use configuration::{Configuration, ConfigurationError};
use lambda::Invocation;
pub use openapi::openapi;
use request::{Body, Caller, Conditions, Endpoint, Route};
use response::{Problem, Reply};
pub use schedule::ScheduleError;
use schedule::{is_scheduled, scheduled};
use serde::Serialize;
pub use stage_stack::StageTemplate;
use thiserror::Error;
use tracing::{error, info};

/// The time that the function keeps for its response if AWS takes too long.
const TIME_TO_ANSWER: Duration = Duration::from_secs(2);

/// An event that isn't an API Gateway HTTP request with payload format 2.0.
#[derive(Debug, Error)]
#[error("the event isn't an HTTP API request")]
pub struct NotARequest(#[source] serde_json::Error);

impl SettingsApi {
    async fn reply(
        &self,
        route: Route,
        call: &mut Call,
        conditions: Result<Conditions, Problem>,
    ) -> Result<Reply, Problem> {
        self.authorize(&route, call).await?;
        call.conditions = conditions?;
        match route {
            Route::Stacks => self.get_stacks(call).await,
            Route::Services => self.get_services(call).await,
            Route::Databases => self.get_databases(call).await,
            Route::InstanceClasses => self.get_instance_classes(call).await,
            Route::Leftovers => self.get_leftovers(call).await,
            Route::OpenApi => Ok(openapi::reply()),
            Route::Me => self.get_me(call).await,
            Route::SignOut => self.sign_out(call).await,
            Route::Stage(stage, endpoint) => match endpoint {
                Endpoint::GetStage => self.get_stage(&stage).await,
                Endpoint::PutStage => self.put_stage(&stage, call).await,
                Endpoint::DeleteStage => self.delete_stage(&stage, call).await,
                Endpoint::GetDatabase => self.get_database(&stage, call).await,
                Endpoint::GetMetrics => self.get_metrics(&stage, call).await,
                Endpoint::PutDatabase => self.put_database(&stage, call).await,
                Endpoint::DeleteDatabase => self.delete_database(&stage, call).await,
                Endpoint::PostPreview => self.preview_database(&stage, call).await,
                Endpoint::PostRotation => self.rotate_login(&stage, call).await,
                Endpoint::PostConnectionTest => self.post_connection_test(&stage, call).await,
                Endpoint::GetConnectionTest => self.get_connection_test(&stage, call).await,
                Endpoint::GetSnapshots => self.get_snapshots(&stage).await,
                Endpoint::GetRebuild => self.get_rebuild(&stage, call).await,
                Endpoint::PostRebuild => self.post_rebuild(&stage, call).await,
                Endpoint::GetRuntimeVariables => self.get_runtime_variables(&stage, call).await,
                Endpoint::PostRuntimeVariables => self.post_runtime_variables(&stage, call).await,
                Endpoint::GetSnippets => self.get_snippets(&stage).await,
                Endpoint::GetHistory => self.get_history(&stage, call).await,
                Endpoint::PutProtection => self.put_protection(&stage, call).await,
            },
        }
    }
}

/// What the function returns: a response, or nothing to the schedule.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Handled {
    /// The response to a request.
    Response(Box<ApiGatewayV2httpResponse>),
    /// A run of the schedule.
    Scheduled,
}

/// Why an event wasn't handled.
#[derive(Debug, Error)]
pub enum HandleError {
    /// Neither a request nor from the schedule.
    #[error(transparent)]
    Request(#[from] NotARequest),
    /// A run of the schedule ended early.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

/// Handles an event: a request, or a run of the schedule.
///
/// # Errors
/// See [`HandleError`].
pub async fn handle_any(api: Arc<SettingsApi>, invocation: Invocation) -> Result<Handled, HandleError> {
    if is_scheduled(&invocation.event) {
        let time_left = invocation.time_left.saturating_sub(TIME_TO_ANSWER);
        scheduled(api, Invocation { time_left, ..invocation }).await?;
        return Ok(Handled::Scheduled);
    }
    Ok(Handled::Response(Box::new(handle(api, invocation).await?)))
}

/// Handles one request.
///
/// # Errors
/// The event isn't a request. Every other failure is a response.
pub async fn handle(
    api: Arc<SettingsApi>,
    invocation: Invocation,
) -> Result<ApiGatewayV2httpResponse, NotARequest> {
    let request: ApiGatewayV2httpRequest = serde_json::from_value(invocation.event).map_err(NotARequest)?;
    let http = &request.request_context.http;
    let method = http.method.clone();
    let path = request.raw_path.as_deref().unwrap_or_default().to_owned();
    let body = Body::from_request(&request);
    let conditions = Conditions::from_request(&request.headers, &format!("{method} {path}"), &body);
    let mut call = Call {
        request_id: request.request_context.request_id.clone().unwrap_or(invocation.request_id.clone()),
        operation: "",
        caller: Caller::from_request(&request, api.configuration.role_without_group),
        recorded: OnceLock::new(),
        now: invocation.now,
        query: request.query_string_parameters,
        conditions: Conditions::default(),
        body,
    };
    let answer = match Route::find(&method, &path) {
        Err(problem) => Err(problem),
        Ok(route) => {
            call.operation = route.operation();
            if let Route::Stage(stage, _) = &route {
                lambda::log_stage(&stage.stack, &stage.stage);
            }
            // API Gateway's own response to a function that times out doesn't say why.
            let time_left = invocation.time_left.saturating_sub(TIME_TO_ANSWER);
            let reply = async {
                let reply = api.reply(route, &mut call, conditions).await;
                if reply.as_ref().is_err_and(Problem::is_final) {
                    api.record_refusal(&call).await;
                }
                reply
            };
            let reply = tokio::time::timeout(time_left, reply).await;
            reply.unwrap_or_else(|_| Err(Problem::unavailable()))
        }
    };
    let reply = answer.unwrap_or_else(|problem| {
        if let Some(cause) = problem.internal() {
            error!(error = cause, api_request_id = call.request_id, "a request failed");
        }
        problem.into_reply(&call.request_id)
    });
    info!(%method, status = reply.status(), api_request_id = call.request_id, "answered");
    Ok(reply.into())
}
