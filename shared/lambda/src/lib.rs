//! What every function does when it starts and for each event: configuration, JSON logs, and error chains.

use std::{
    error::Error,
    fmt::{Display, Write},
    future::Future,
    sync::Arc,
    time::{Duration, SystemTime},
};

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use thiserror::Error;
use time::OffsetDateTime;
use tracing::{Instrument, Span, error, field, info_span};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// A variable that a function needs isn't set.
#[derive(Debug, Error)]
#[error("the environment variable {0} isn't set")]
pub struct MissingVariable(&'static str);

/// The value of an environment variable that a function needs.
///
/// # Errors
/// It isn't set, or it's empty.
pub fn required(name: &'static str) -> Result<String, MissingVariable> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(MissingVariable(name))
}

/// One invocation.
#[derive(Debug)]
pub struct Invocation {
    /// The event. It may contain secrets, so it's never logged.
    pub event: Value,
    /// Lambda's ID of the request.
    pub request_id: String,
    /// The time when it started.
    pub now: OffsetDateTime,
    /// How much time the function has left.
    pub time_left: Duration,
}

/// Handles Lambda's events until Lambda stops the function.
///
/// Every log line of an invocation has its request ID. The handler's error is logged with its chain, here and only
/// here. Lambda then counts it, retries if the event is asynchronous, and the alarm goes off.
///
/// # Errors
/// The Runtime API can't be reached.
pub async fn run<S, H, F, T, E>(state: S, handle: H) -> Result<(), lambda_runtime::Error>
where
    S: Send + Sync + 'static,
    H: Fn(Arc<S>, Invocation) -> F,
    F: Future<Output = Result<T, E>>,
    T: serde::Serialize,
    E: Error,
{
    let state = Arc::new(state);
    let handle = &handle;
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let state = Arc::clone(&state);
        let request_id = &event.context.request_id;
        let span = info_span!("invocation", request_id, stack = field::Empty, stage = field::Empty);
        async move {
            let now = SystemTime::now();
            let invocation = Invocation {
                now: now.into(),
                time_left: event.context.deadline().duration_since(now).unwrap_or_default(),
                request_id: event.context.request_id,
                event: event.payload,
            };
            handle(state, invocation).await.map_err(|failure| {
                error!(error = chain(&failure), "the invocation failed");
                lambda_runtime::Diagnostic {
                    error_type: "InvocationFailed".to_owned(),
                    error_message: "The invocation failed. See its log for the cause.".to_owned(),
                }
            })
        }
        .instrument(span)
    });
    lambda_runtime::run(service).await
}

/// Writes logs with one JSON object per line. Our own code logs from the level in `LOG_LEVEL` (`info` if it isn't set),
/// and other code from `warn`, because the SDK's debug logs contain bodies.
pub fn init_logs() {
    let level = std::env::var("LOG_LEVEL").unwrap_or_default();
    let level =
        if ["error", "warn", "info", "debug"].contains(&level.as_str()) { level } else { "info".to_owned() };
    let ours = ["aws", "custom_resource", "lambda", "settings_api", "database_resource", "database_progress"];
    let others = [
        "settings_page",
        "access_resource",
        "client_progress",
        "credentials_resource",
        "publish_variables",
        "record_changes",
        "pre_token_generation",
    ];
    let ours = ours.into_iter().chain(others);
    let level: LevelFilter = level.parse().unwrap_or(LevelFilter::INFO);
    let filter =
        Targets::new().with_default(LevelFilter::WARN).with_targets(ours.map(|target| (target, level)));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}

/// Adds the stage to every further log line of the invocation.
pub fn log_stage(stack: &impl Display, stage: &impl Display) {
    Span::current().record("stack", field::display(stack)).record("stage", field::display(stage));
}

/// An error and its causes, outermost first.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}
