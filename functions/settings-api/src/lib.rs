//! The HTTP API of the Database settings. It keeps no store: CloudFormation, RDS, ECS and Secrets Manager are the state.
//!
//! `handle` finds the route; each verb has its file. A request is parsed at the edge into types that cannot be wrong; an
//! error is a problem (RFC 9457), whose words a person can act on.

mod attach;
mod bodies;
mod classes_get;
mod condition;
mod configuration;
mod containers;
mod database_delete;
mod database_get;
mod database_preview;
mod database_put;
mod databases_get;
mod fields;
mod leftovers_get;
mod metrics_get;
mod openapi;
mod problem;
mod rebuild_get;
mod rebuild_post;
mod reply;
mod routes;
mod save;
mod snapshots_get;
mod stacks_get;
mod stage;
mod stage_delete;
mod stage_put;
mod variables_get;
mod wish;

use std::{sync::Arc, time::Duration};

use aws::{Databases, Metrics, SdkConfig, Secrets, SecurityGroups, Services, Stacks};
use aws_lambda_events::{
    apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse},
    query_map::QueryMap,
};
use lambda::Invocation;
use thiserror::Error;
use time::OffsetDateTime;
use tracing::{error, info};

use condition::Conditions;
pub use configuration::{Configuration, ConfigurationError};
pub use openapi::openapi;
use problem::Problem;
use reply::Reply;
use routes::{Endpoint, Route};

/// What is kept of a function's time to answer that AWS took all the rest.
const TIME_TO_ANSWER: Duration = Duration::from_secs(2);

/// What the API needs.
#[derive(Debug)]
pub struct SettingsApi {
    stacks: Stacks,
    services: Services,
    databases: Databases,
    metrics: Metrics,
    secrets: Secrets,
    security_groups: SecurityGroups,
    configuration: Configuration,
}

/// One request, as far as the verbs need it.
#[derive(Debug)]
struct Call {
    /// API Gateway's id of the request; unique, so it makes CloudFormation's token.
    request_id: String,
    now: OffsetDateTime,
    query: QueryMap,
    conditions: Conditions,
    body: fields::Body,
}

impl Call {
    /// CloudFormation's token of what this request begins: its retries begin nothing more.
    fn token(&self) -> String {
        self.conditions.token().unwrap_or_else(|| {
            format!("request-{}", self.request_id.replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
        })
    }

    /// A parameter of the query.
    fn query(&self, name: &str) -> Option<String> {
        self.query.first(name).map(str::to_owned)
    }
}

/// An event that is no HTTP request of API Gateway's, payload 2.0.
#[derive(Debug, Error)]
#[error("the event is not an HTTP API request")]
pub struct NotARequest(#[source] serde_json::Error);

impl SettingsApi {
    /// Ready to handle requests.
    #[must_use]
    pub fn new(config: &SdkConfig, configuration: Configuration) -> Self {
        Self {
            stacks: Stacks::new(config),
            services: Services::new(config),
            databases: Databases::new(config),
            metrics: Metrics::new(config),
            secrets: Secrets::new(config),
            security_groups: SecurityGroups::new(config),
            configuration,
        }
    }

    async fn reply(&self, route: Route, call: &Call) -> Result<Reply, Problem> {
        match route {
            Route::Stacks => self.get_stacks(call).await,
            Route::Databases => self.get_databases(call).await,
            Route::InstanceClasses => self.get_instance_classes(call).await,
            Route::Leftovers => self.get_leftovers(call).await,
            Route::OpenApi => Ok(openapi::reply()),
            Route::Stage(stage, endpoint) => match endpoint {
                Endpoint::PutStage => self.put_stage(&stage, call).await,
                Endpoint::DeleteStage => self.delete_stage(&stage, call).await,
                Endpoint::GetDatabase => self.get_database(&stage, call).await,
                Endpoint::GetMetrics => self.get_metrics(&stage, call).await,
                Endpoint::PutDatabase => self.put_database(&stage, call).await,
                Endpoint::DeleteDatabase => self.delete_database(&stage, call).await,
                Endpoint::PostPreview => self.preview_database(&stage, call).await,
                Endpoint::GetSnapshots => self.get_snapshots(&stage).await,
                Endpoint::GetRebuild => self.get_rebuild(&stage, call).await,
                Endpoint::PostRebuild => self.post_rebuild(&stage, call).await,
                Endpoint::GetRuntimeVariables => self.get_runtime_variables(&stage).await,
            },
        }
    }
}

/// Handles one request.
///
/// # Errors
/// The event is not a request; every other failure is an answer.
pub async fn handle(
    api: Arc<SettingsApi>,
    invocation: Invocation,
) -> Result<ApiGatewayV2httpResponse, NotARequest> {
    let request: ApiGatewayV2httpRequest = serde_json::from_value(invocation.event).map_err(NotARequest)?;
    let http = &request.request_context.http;
    let method = http.method.clone();
    let path = request.raw_path.as_deref().unwrap_or_default().to_owned();
    let body = fields::Body::from_request(&request);
    let conditions = Conditions::from_request(&request.headers, &format!("{method} {path}"), &body);
    let mut call = Call {
        request_id: request.request_context.request_id.clone().unwrap_or(invocation.request_id.clone()),
        now: invocation.now,
        query: request.query_string_parameters,
        conditions: Conditions::default(),
        body,
    };
    let answer = match (Route::find(&method, &path), conditions) {
        (Err(problem), _) | (Ok(_), Err(problem)) => Err(problem),
        (Ok(route), Ok(conditions)) => {
            call.conditions = conditions;
            if let Route::Stage(stage, _) = &route {
                lambda::log_stage(&stage.stack, &stage.stage);
            }
            // API Gateway's own answer to a function that ran out of time would say nothing.
            let time_left = invocation.time_left.saturating_sub(TIME_TO_ANSWER);
            let reply = tokio::time::timeout(time_left, api.reply(route, &call)).await;
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
