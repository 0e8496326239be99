//! Plain HTTP to the local AWS, and the two AWS protocols that this program uses: JSON 1.1 and Query.
//!
//! Requests aren't signed, because the local AWS doesn't check signatures. It only reads the account, Region, and
//! service from the header.

use std::time::Duration;

use anyhow::{Context as _, bail};
use roxmltree::Document;
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

/// The account ID of the local AWS, which is also its access key.
pub(crate) const ACCOUNT: &str = "000000000000";
/// The Region of the local AWS.
pub(crate) const REGION: &str = "us-east-1";

/// A client for one local AWS.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    agent: Agent,
    endpoint: String,
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
        Self { agent, endpoint: format!("http://127.0.0.1:{port}") }
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

    /// Sends a request to a path of the local AWS itself. An error status is returned as an error.
    pub(crate) fn call(&self, method: &str, path: &str, body: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            // Of the services called by path, only Lambda's paths begin with an API date.
            .header("Authorization", authorization(if path.starts_with("/20") { "lambda" } else { "s3" }))
            .body(body)?;
        let mut response = self.send(request)?;
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
            .header("Authorization", authorization(service_of(target)))
            .header("Content-Type", "application/x-amz-json-1.1")
            .header("X-Amz-Target", target)
            .body(serde_json::to_vec(body)?)?;
        let mut response = self.send(request)?;
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
            .header("Authorization", authorization(service))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form.join("&").into_bytes())?;
        let mut response = self.send(request)?;
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

/// The header that tells the local AWS the account, Region, and service of a request.
fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
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
