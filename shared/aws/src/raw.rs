//! Calls to services without their SDK's crate.
//!
//! The SDK's crate for EC2 takes more than 7 GB of memory and several minutes to compile, and those for CloudWatch Logs,
//! Systems Manager, and Cognito together take as long as all the others, while stagedb needs a few calls of each. So it
//! makes these calls itself, with the SDK's own client, retries, timeouts, and signatures.

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime::client::{
    orchestrator::operation::Operation,
    retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier},
};
use aws_smithy_runtime_api::client::{
    orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
    result::SdkError,
    runtime_plugin::StaticRuntimePlugin,
};
use aws_smithy_types::{
    body::SdkBody,
    config_bag::Layer,
    error::metadata::{ErrorMetadata, ProvideErrorMetadata},
    retry::RetryConfig,
};
use thiserror::Error;

use crate::{
    AwsError,
    config::{retry_partition, timeouts},
    error::failed,
};

/// A service in this account and Region.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    config: SdkConfig,
    /// Its name in signatures, which starts its endpoint's name.
    service: &'static str,
    content_type: &'static str,
    /// Reads the code and the message from the body of an error.
    error: fn(&str) -> ErrorMetadata,
}

/// The service refused the call.
#[derive(Debug, Error)]
#[error("the service refused the call")]
struct Refused(ErrorMetadata);

impl ProvideErrorMetadata for Refused {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

impl Raw {
    pub(crate) fn new(
        config: &SdkConfig,
        service: &'static str,
        content_type: &'static str,
        error: fn(&str) -> ErrorMetadata,
    ) -> Self {
        Self { config: config.clone(), service, content_type, error }
    }

    /// Makes one call, and returns the reply's body.
    pub(crate) async fn call(
        &self,
        operation: &'static str,
        target: Option<String>,
        body: String,
    ) -> Result<String, AwsError> {
        let unexpected = |words| AwsError::unexpected(operation, words);
        let region =
            self.config.region().map(AsRef::as_ref).ok_or_else(|| unexpected("no Region is configured"))?;
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let endpoint = match self.config.endpoint_url() {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("https://{}.{region}.{domain}", self.service),
        };
        let mut request = Request { uri: format!("{endpoint}/"), headers: Vec::new(), body };
        request.headers.push(("content-type".to_owned(), self.content_type.to_owned()));
        request.headers.extend(target.map(|target| ("x-amz-target".to_owned(), target)));
        let request = self.signed(request, region).await;
        let request = request.ok_or_else(|| AwsError::not_made(operation, "no credentials"))?;

        let mut retries = Layer::new("retries");
        retries.store_put(retry_partition());
        let mut call = Operation::builder()
            .service_name(self.service)
            .runtime_plugin(StaticRuntimePlugin::new().with_config(retries.freeze()))
            .operation_name(operation)
            .behavior_version(aws_config::BehaviorVersion::latest())
            .endpoint_url(&endpoint)
            .no_auth()
            .standard_retry(self.config.retry_config().unwrap_or(&RetryConfig::standard()))
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(AwsErrorCodeClassifier::<Refused>::new())
            .retry_classifier(TransientErrorClassifier::<Refused>::new())
            .timeout_config(self.config.timeout_config().cloned().unwrap_or_else(timeouts));
        if let Some(client) = self.config.http_client() {
            call = call.http_client(client);
        }
        if let Some(sleep) = self.config.sleep_impl() {
            call = call.sleep_impl(sleep);
        }
        if let Some(time) = self.config.time_source() {
            call = call.time_source(time);
        }
        let error = self.error;
        let call = call
            .serializer(|request: Request| request.into_http())
            .deserializer(move |reply: &HttpResponse| answer(reply, error))
            .build();
        let reply: Result<String, SdkError<Refused, HttpResponse>> = call.invoke(request).await;
        reply.map_err(failed(operation))
    }

    async fn signed(&self, mut request: Request, region: &str) -> Option<Request> {
        let credentials = self.config.credentials_provider()?.provide_credentials().await.ok()?;
        let now = self.config.time_source().map_or_else(std::time::SystemTime::now, |time| time.now());
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(self.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .ok()?
            .into();
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = SignableBody::Bytes(request.body.as_bytes());
        let signable = SignableRequest::new("POST", &request.uri, headers, body).ok()?;
        let (instructions, _) = sign(signable, &parameters).ok()?.into_parts();
        let signed = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        request.headers.extend(signed.collect::<Vec<_>>());
        Some(request)
    }
}

/// A signed request. Its signature is in the headers, so its Debug doesn't show them.
struct Request {
    uri: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Request {
    fn into_http(self) -> Result<HttpRequest, aws_smithy_runtime_api::box_error::BoxError> {
        let mut request = http::Request::builder().method(http::Method::POST).uri(self.uri);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(SdkBody::from(self.body))?.try_into()?)
    }
}

/// The reply's body, or what went wrong.
fn answer(
    reply: &HttpResponse,
    error: fn(&str) -> ErrorMetadata,
) -> Result<String, OrchestratorError<Refused>> {
    let body = String::from_utf8_lossy(reply.body().bytes().unwrap_or_default()).into_owned();
    if reply.status().is_success() {
        return Ok(body);
    }
    Err(OrchestratorError::operation(Refused(error(&body))))
}
