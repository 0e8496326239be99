//! Calls in AWS's JSON protocol.

use aws_config::SdkConfig;
use aws_smithy_types::error::metadata::ErrorMetadata;
use serde_json::Value;

use crate::{AwsError, raw::Raw};

/// A service with AWS's JSON protocol, in this account and Region.
#[derive(Debug, Clone)]
pub(crate) struct Json {
    raw: Raw,
    /// What comes before the operation in the header `X-Amz-Target`.
    target: &'static str,
}

impl Json {
    pub(crate) fn new(config: &SdkConfig, service: &'static str, target: &'static str) -> Self {
        Self { raw: Raw::new(config, service, "application/x-amz-json-1.1", error), target }
    }

    /// Makes one call. A parameter that is null is left out.
    pub(crate) async fn call(&self, operation: &'static str, mut body: Value) -> Result<Value, AwsError> {
        if let Some(parameters) = body.as_object_mut() {
            parameters.retain(|_, value| !value.is_null());
        }
        let target = format!("{}.{operation}", self.target);
        let reply = self.raw.call(operation, Some(target), body.to_string()).await?;
        if reply.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&reply).map_err(|_| AwsError::unexpected(operation, "the reply isn't JSON"))
    }
}

/// The code and the message of an error.
fn error(body: &str) -> ErrorMetadata {
    let mut metadata = ErrorMetadata::builder();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if let Some(code) = text("__type") {
        metadata = metadata.code(code.rsplit('#').next().unwrap_or(code));
    }
    if let Some(message) = text("message").or_else(|| text("Message")) {
        metadata = metadata.message(message);
    }
    metadata.build()
}
