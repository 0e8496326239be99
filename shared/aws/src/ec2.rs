//! Calls to EC2.
//!
//! The SDK's crate for EC2 takes more than 7 GB of memory and several minutes to compile, and stagedb needs only seven
//! calls. So it makes these calls itself: EC2's Query protocol, with the SDK's own client, retries, timeouts, and
//! signatures.

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
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
use roxmltree::{Document, Node};
use thiserror::Error;

use crate::{
    AwsError,
    config::{retry_partition, timeouts},
    error::failed,
};

/// The version of EC2's API.
const API_VERSION: &str = "2016-11-15";
/// EC2 in this account and Region.
#[derive(Debug, Clone)]
pub(crate) struct Ec2 {
    config: SdkConfig,
}

/// EC2 refused the call.
#[derive(Debug, Error)]
#[error("EC2 refused the call")]
struct Ec2Error(ErrorMetadata);

impl ProvideErrorMetadata for Ec2Error {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

impl Ec2 {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        Self { config: config.clone() }
    }

    /// Makes one call, and returns the reply's XML.
    pub(crate) async fn call<K: AsRef<str>>(
        &self,
        operation: &'static str,
        parameters: &[(K, &str)],
    ) -> Result<String, AwsError> {
        let unexpected = |words| AwsError::unexpected(operation, words);
        let region =
            self.config.region().map(AsRef::as_ref).ok_or_else(|| unexpected("no Region is configured"))?;
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let endpoint = match self.config.endpoint_url() {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("https://ec2.{region}.{domain}"),
        };
        let body = form(operation, parameters);
        let request =
            self.signed(&endpoint, region, &body).await.ok_or_else(|| unexpected("no credentials"))?;

        let mut retries = Layer::new("retries");
        retries.store_put(retry_partition());
        let mut call = Operation::builder()
            .service_name("ec2")
            .runtime_plugin(StaticRuntimePlugin::new().with_config(retries.freeze()))
            .operation_name(operation)
            .behavior_version(aws_config::BehaviorVersion::latest())
            .endpoint_url(&endpoint)
            .no_auth()
            .standard_retry(self.config.retry_config().unwrap_or(&RetryConfig::standard()))
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(TransientErrorClassifier::<Ec2Error>::new())
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
        let call = call
            .serializer(|request: Request| request.into_http())
            .deserializer(|reply: &HttpResponse| answer(reply))
            .build();
        let reply: Result<String, SdkError<Ec2Error, HttpResponse>> = call.invoke(request).await;
        reply.map_err(failed(operation))
    }

    async fn signed(&self, endpoint: &str, region: &str, body: &str) -> Option<Request> {
        let credentials = self.config.credentials_provider()?.provide_credentials().await.ok()?;
        let now = self.config.time_source().map_or_else(std::time::SystemTime::now, |time| time.now());
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("ec2")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .ok()?
            .into();
        let uri = format!("{endpoint}/");
        let headers = [("content-type", CONTENT_TYPE)];
        let signable =
            SignableRequest::new("POST", &uri, headers.into_iter(), SignableBody::Bytes(body.as_bytes()));
        let (instructions, _) = sign(signable.ok()?, &parameters).ok()?.into_parts();
        let headers =
            instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Request { uri, headers, body: body.to_owned() })
    }
}

const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

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
        request = request.header(http::header::CONTENT_TYPE, CONTENT_TYPE);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(SdkBody::from(self.body))?.try_into()?)
    }
}

/// The body of a Query protocol request.
fn form<K: AsRef<str>>(operation: &str, parameters: &[(K, &str)]) -> String {
    let start = [("Action", operation), ("Version", API_VERSION)];
    let given = parameters.iter().map(|(name, value)| (name.as_ref(), *value));
    start.into_iter().chain(given).fold(String::new(), |form, (name, value)| {
        let and = if form.is_empty() { "" } else { "&" };
        form + and + name + "=" + &escaped(value)
    })
}

/// Percent-encoded (RFC 3986).
fn escaped(value: &str) -> String {
    value.bytes().fold(String::new(), |text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text + char::from(byte).encode_utf8(&mut [0])
        } else {
            text + &format!("%{byte:02X}")
        }
    })
}

/// The reply's XML, or what went wrong.
fn answer(reply: &HttpResponse) -> Result<String, OrchestratorError<Ec2Error>> {
    let body = reply.body().bytes().unwrap_or_default();
    let xml = String::from_utf8_lossy(body).into_owned();
    if reply.status().is_success() {
        return Ok(xml);
    }
    let mut metadata = ErrorMetadata::builder();
    if let Ok(document) = Document::parse(&xml) {
        let find = |name: &str| document.descendants().find(|n| n.has_tag_name(name)).and_then(|n| n.text());
        if let Some(code) = find("Code") {
            metadata = metadata.code(code);
        }
        if let Some(message) = find("Message") {
            metadata = metadata.message(message);
        }
    }
    Err(OrchestratorError::operation(Ec2Error(metadata.build())))
}

pub(crate) fn read<T>(
    operation: &'static str,
    xml: &str,
    read: impl FnOnce(Node<'_, '_>) -> T,
) -> Result<T, AwsError> {
    let document =
        Document::parse(xml).map_err(|_| AwsError::unexpected(operation, "EC2's reply isn't XML"))?;
    Ok(read(document.root_element()))
}

pub(crate) fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|n| n.tag_name().name() == name)
}

pub(crate) fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text()
}

pub(crate) fn items<'a, 'input: 'a>(
    node: Node<'a, 'input>,
    name: &str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    let set = child(node, name);
    set.into_iter().flat_map(|set| set.children().filter(|n| n.tag_name().name() == "item"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_percent_encoded() {
        let form = form("CreateTags", &[("Tag.1.Key", "stagedb:stage/shop/dev"), ("Tag.1.Value", "a b&c=ü")]);
        let expected = "Action=CreateTags&Version=2016-11-15&Tag.1.Key=stagedb%3Astage%2Fshop%2Fdev&Tag.1.Value=\
                        a%20b%26c%3D%C3%BC";
        assert_eq!(form, expected);
    }
}
