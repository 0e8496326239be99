//! Plain HTTP to the local AWS, and the two AWS protocols that this program uses: JSON 1.1 and Query.
//!
//! Requests are signed, because the local AWS checks who makes them.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use roxmltree::Document;
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

/// The account ID of the local AWS.
pub(crate) const ACCOUNT: &str = "000000000000";
/// The access key of the account's root user, and its secret.
pub(crate) const ROOT: &str = "test";
/// The Region of the local AWS.
pub(crate) const REGION: &str = "us-east-1";

/// A client for one local AWS.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    agent: Agent,
    endpoint: String,
    /// Who makes the calls. `None`: they aren't signed.
    credentials: Option<Credentials>,
    region: String,
}

impl Http {
    pub(crate) fn new(port: u16) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_mins(2)))
            // The local AWS closes idle connections after 5 s. Don't reuse one that is about to be closed.
            .max_idle_age(Duration::from_secs(3))
            .proxy(None)
            .build()
            .into();
        let credentials = Credentials::new(ROOT, ROOT, None, None, "root user");
        let endpoint = format!("http://127.0.0.1:{port}");
        Self { agent, endpoint, credentials: Some(credentials), region: REGION.to_owned() }
    }

    /// A client for any address, which doesn't sign.
    pub(crate) fn anywhere() -> Self {
        Self { endpoint: String::new(), credentials: None, ..Self::new(0) }
    }

    /// The same client for someone else, or for nobody.
    pub(crate) fn with(&self, credentials: Option<Credentials>) -> Self {
        Self { credentials, ..self.clone() }
    }

    /// The same client with another secret for the same key.
    pub(crate) fn with_secret(&self, secret: &str) -> Self {
        let token = |credentials: &Credentials| credentials.session_token().map(str::to_owned);
        let other = |credentials: &Credentials| {
            Credentials::new(credentials.access_key_id(), secret, token(credentials), None, "test")
        };
        self.with(self.credentials.as_ref().map(other))
    }

    /// The same client in another Region.
    pub(crate) fn in_region(&self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self.clone() }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Sends a request unchanged.
    pub(crate) fn send(&self, request: Request<Vec<u8>>) -> anyhow::Result<Response<Body>> {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = if request.body().is_empty() && ["GET", "DELETE"].contains(&request.method().as_str()) {
            self.agent.run(request.map(drop))
        } else {
            self.agent.run(request)
        };
        answer.with_context(|| format!("no response to {what}"))
    }

    fn send_signed(&self, mut request: Request<Vec<u8>>, service: &str) -> anyhow::Result<Response<Body>> {
        let Some(credentials) = &self.credentials else { return self.send(request) };
        let identity = credentials.clone().into();
        let mut settings = SigningSettings::default();
        if service == "s3" {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let parameters = v4::SigningParams::builder().identity(&identity).region(&self.region).name(service);
        let parameters = parameters.time(SystemTime::now()).settings(settings).build()?.into();
        let (method, uri) = (request.method().to_string(), request.uri().to_string());
        let headers =
            request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new(&method, &uri, headers, SignableBody::Bytes(request.body()))?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        self.send(request)
    }

    /// An address at which anyone can put one object for an hour, as CloudFormation makes one for answers.
    pub(crate) fn presigned_put(&self, path: &str) -> anyhow::Result<String> {
        let identity = self.credentials.clone().context("no credentials")?.into();
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_hours(1));
        let parameters = v4::SigningParams::builder().identity(&identity).region(&self.region).name("s3");
        let parameters = parameters.time(SystemTime::now()).settings(settings).build()?.into();
        let uri = format!("{}{path}", self.endpoint);
        let signable = SignableRequest::new("PUT", &uri, std::iter::empty(), SignableBody::UnsignedPayload)?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        let mut request = Request::builder().method("PUT").uri(uri).body(Vec::<u8>::new())?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request.uri().to_string())
    }

    /// Sends a request to a path of the local AWS itself. An error status is returned as an error.
    pub(crate) fn call(&self, method: &str, path: &str, body: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.endpoint)).body(body)?;
        // Of the services called by path, only Lambda's paths begin with an API date.
        let mut response =
            self.send_signed(request, if path.starts_with("/20") { "lambda" } else { "s3" })?;
        let answer = response.body_mut().with_config().limit(u64::MAX).read_to_vec()?;
        if !response.status().is_success() {
            bail!("{method} {path}: {}: {}", response.status(), String::from_utf8_lossy(&answer));
        }
        Ok(answer)
    }

    /// Makes one call to an AWS service with the JSON 1.1 protocol. `target` is `Service_Version.Operation`.
    pub(crate) fn json(&self, target: &str, body: &Value) -> anyhow::Result<Value> {
        let request = Request::builder()
            .method("POST")
            .uri(format!("{}/", self.endpoint))
            .header("Content-Type", "application/x-amz-json-1.1")
            .header("X-Amz-Target", target)
            .body(serde_json::to_vec(body)?)?;
        let mut response = self.send_signed(request, service_of(target))?;
        let text = response.body_mut().read_to_string()?;
        let answer: Value = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text)
                .with_context(|| format!("{target}: the response isn't JSON: {text}"))?
        };
        if !response.status().is_success() {
            let code = answer.get("__type").and_then(Value::as_str).unwrap_or("error");
            let message = ["message", "Message"]
                .iter()
                .find_map(|name| answer.get(name).and_then(Value::as_str))
                .unwrap_or(&text);
            bail!("{target}: {code}: {message}");
        }
        Ok(answer)
    }

    /// Makes one call to an AWS service with the Query protocol, and returns the XML of the response.
    pub(crate) fn query(
        &self,
        service: &str,
        version: &str,
        fields: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let form: Vec<String> = [("Version", version)]
            .iter()
            .chain(fields)
            .map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)))
            .collect();
        let request = Request::builder()
            .method("POST")
            .uri(format!("{}/", self.endpoint))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form.join("&").into_bytes())?;
        let mut response = self.send_signed(request, service)?;
        let text = response.body_mut().with_config().limit(u64::MAX).read_to_string()?;
        if !response.status().is_success() {
            let said = Document::parse(&text).ok().and_then(|document| {
                let field = |name: &str| {
                    let node = document.descendants().find(|node| node.tag_name().name() == name)?;
                    node.text().map(str::to_owned)
                };
                Some(format!("{}: {}", field("Code")?, field("Message")?))
            });
            bail!("{service}: {}", said.unwrap_or(text));
        }
        Ok(text)
    }
}

fn service_of(target: &str) -> &'static str {
    let of = |prefix: &str| target.starts_with(prefix);
    if of("AmazonEC2ContainerService") {
        "ecs"
    } else if of("AWSCognito") {
        "cognito-idp"
    } else if of("AWSStepFunctions") {
        "states"
    } else if of("AWSEvents") {
        "events"
    } else if of("Logs") {
        "logs"
    } else {
        "secretsmanager"
    }
}

/// Encodes everything except unreserved characters as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::percent_encoded;

    #[test]
    fn a_form_keeps_any_text() {
        assert_eq!(percent_encoded("a-b_c.d~e"), "a-b_c.d~e");
        assert_eq!(percent_encoded("a b&c=\n\u{fc}"), "a%20b%26c%3d%0a%c3%bc");
    }
}
