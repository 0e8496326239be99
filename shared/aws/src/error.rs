//! Failed AWS calls.

use std::error::Error;

use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::StatusCode,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use thiserror::Error as ThisError;

/// A call to AWS failed after its retries.
#[derive(Debug, ThisError)]
#[error("{operation} failed with {code}")]
pub struct AwsError {
    /// The API operation, such as `CreateDBInstance`.
    pub operation: &'static str,
    /// AWS's error code, or what else went wrong.
    pub code: String,
    /// AWS's message, for the user.
    pub message: String,
    /// Whether AWS understood the call and refused it, so that a retry would fail the same way.
    pub refused: bool,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl AwsError {
    /// AWS replied with something unexpected that a retry wouldn't change.
    pub(crate) fn unexpected(operation: &'static str, words: &str) -> Self {
        let code = "an unexpected value".to_owned();
        Self { operation, code, message: words.to_owned(), refused: true, source: words.into() }
    }

    /// The call couldn't be made, which may change.
    pub(crate) fn not_made(operation: &'static str, words: &str) -> Self {
        Self { refused: false, ..Self::unexpected(operation, words) }
    }
}

/// Makes the error for one operation.
pub(crate) fn failed<E>(operation: &'static str) -> impl Fn(SdkError<E, HttpResponse>) -> AwsError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    move |error| {
        let status = error.raw_response().map(HttpResponse::status);
        let code = match (&error, error.code()) {
            (_, Some(code)) => code.to_owned(),
            (SdkError::TimeoutError(_), None) => "a timeout".to_owned(),
            (SdkError::DispatchFailure(_), None) => "no connection".to_owned(),
            (_, None) => "an unexpected reply".to_owned(),
        };
        let message = error.message().unwrap_or("AWS gave no reason").to_owned();
        let refused = status.is_some_and(StatusCode::is_client_error) && !is_throttle(&code);
        let source: Box<dyn Error + Send + Sync> = error.into_source().unwrap_or_else(Into::into);
        AwsError { operation, code, message, refused, source }
    }
}

fn is_throttle(code: &str) -> bool {
    code.contains("Throttl")
        || matches!(code, "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown")
}
