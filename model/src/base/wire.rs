//! What the SDK sends and reads: the Query protocol (RDS, CloudFormation), and JSON 1.0 and 1.1 (the others).

use std::{collections::BTreeMap, fmt::Write};

use aws_smithy_runtime_api::{
    client::orchestrator::{HttpRequest, HttpResponse},
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// A call as sent by the SDK.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) service: Service,
    pub(crate) operation: String,
    pub(crate) body: Body,
}

/// The service that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    CloudFormation,
    Rds,
    Ec2,
    SecretsManager,
    Ecs,
    EventBridge,
    StepFunctions,
    Logs,
    Parameters,
    /// The bucket that receives the answers of custom resources.
    Answers,
}

/// The content of a call.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Query(BTreeMap<String, String>),
    Json(Value),
    Answer { url: String, text: String, content_type: Option<String> },
}

/// An error from AWS.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

/// A successful response from AWS: the content of a Query result, or a JSON object.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Xml(String),
    Json(Value),
}

impl Call {
    /// `None` if the model doesn't know the call.
    pub(crate) fn read(request: &HttpRequest) -> Option<Self> {
        let text = std::str::from_utf8(request.body().bytes().unwrap_or_default()).ok()?;
        let uri = request.uri();
        // AWS services receive every call as a POST request.
        if uri.contains("custom-resource-response") || request.method() == "PUT" {
            let content_type = request.headers().get("content-type").map(str::to_owned);
            let body = Body::Answer { url: uri.to_owned(), text: text.to_owned(), content_type };
            let operation = if request.method() == "PUT" { "Answer" } else { "NotAnAnswer" };
            return Some(Self { service: Service::Answers, operation: operation.to_owned(), body });
        }
        if let Some(target) = request.headers().get("x-amz-target") {
            let (service, operation) = target.split_once('.')?;
            let service = match service {
                "secretsmanager" => Service::SecretsManager,
                "AmazonEC2ContainerServiceV20141113" => Service::Ecs,
                "AWSEvents" => Service::EventBridge,
                "AWSStepFunctions" => Service::StepFunctions,
                "Logs_20140328" => Service::Logs,
                "AmazonSSM" => Service::Parameters,
                _ => return None,
            };
            let body = Body::Json(serde_json::from_str(text).ok()?);
            return Some(Self { service, operation: operation.to_owned(), body });
        }
        let service = match uri {
            uri if uri.contains("//cloudformation.") => Service::CloudFormation,
            uri if uri.contains("//rds.") => Service::Rds,
            uri if uri.contains("//ec2.") => Service::Ec2,
            _ => return None,
        };
        let mut fields: BTreeMap<String, String> =
            form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        let operation = fields.remove("Action")?;
        Some(Self { service, operation, body: Body::Query(fields) })
    }

    /// A field of a Query call, or a string in a JSON call.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match &self.body {
            Body::Query(fields) => fields.get(name).map(String::as_str),
            Body::Json(value) => value.get(name).and_then(Value::as_str),
            Body::Answer { .. } => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        match &self.body {
            Body::Query(fields) => fields.get(name).is_some_and(|value| value == "true"),
            Body::Json(value) => value.get(name).and_then(Value::as_bool).unwrap_or_default(),
            Body::Answer { .. } => false,
        }
    }

    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.text(name)?.parse().ok()
    }

    pub(crate) fn json(&self) -> &Value {
        match &self.body {
            Body::Json(value) => value,
            Body::Query(_) | Body::Answer { .. } => &Value::Null,
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: String) {
        match &mut self.body {
            Body::Query(fields) => {
                fields.insert(name.to_owned(), value);
            }
            Body::Json(object) => object[name] = Value::String(value),
            Body::Answer { .. } => {}
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        match &mut self.body {
            Body::Query(fields) => {
                fields.remove(name);
            }
            Body::Json(Value::Object(object)) => {
                object.remove(name);
            }
            Body::Json(_) | Body::Answer { .. } => {}
        }
    }

    /// The items of a Query list, such as `VpcSecurityGroupIds.VpcSecurityGroupId.1`.
    pub(crate) fn list(&self, prefix: &str) -> Vec<String> {
        (1..).map_while(|number| self.text(&format!("{prefix}.{number}")).map(str::to_owned)).collect()
    }

    /// The pairs of a Query list, such as `Tags.Tag.1.Key` and `Tags.Tag.1.Value`.
    pub(crate) fn pairs(&self, prefix: &str, key: &str, value: &str) -> BTreeMap<String, String> {
        let pair = |number: usize| {
            let key = self.text(&format!("{prefix}.{number}.{key}"))?;
            let value = self.text(&format!("{prefix}.{number}.{value}")).unwrap_or_default();
            Some((key.to_owned(), value.to_owned()))
        };
        (1..).map_while(pair).collect()
    }
}

/// The response to a call.
pub(crate) fn response(call: &Call, result: Result<Reply, Failure>) -> HttpResponse {
    let (status, body) = match (call.service, result) {
        (Service::Answers, result) => (result.map_or_else(|failure| failure.status, |_| 200), String::new()),
        (_, Ok(Reply::Json(value))) => (200, value.to_string()),
        (Service::Ec2, Ok(Reply::Xml(inside))) => (200, within(&call.operation, &["Response"], &inside)),
        (Service::Ec2, Err(failure)) => {
            let mut text = "<Response><Errors><Error>".to_owned();
            element(&mut text, "Code", failure.code);
            element(&mut text, "Message", &failure.message);
            text.push_str("</Error></Errors><RequestID>1</RequestID></Response>");
            (failure.status, text)
        }
        (_, Ok(Reply::Xml(inside))) => (200, within(&call.operation, &["Response", "Result"], &inside)),
        (Service::CloudFormation | Service::Rds, Err(failure)) => {
            let mut text = "<ErrorResponse><Error>".to_owned();
            element(&mut text, "Code", failure.code);
            element(&mut text, "Message", &failure.message);
            text.push_str("</Error><RequestId>1</RequestId></ErrorResponse>");
            (failure.status, text)
        }
        (_, Err(failure)) => {
            (failure.status, json!({"__type": failure.code, "message": failure.message}).to_string())
        }
    };
    let status = StatusCode::try_from(status).unwrap();
    HttpResponse::new(status, SdkBody::from(body))
}

/// Wraps the content of a reply in elements named after the operation, outermost first. Replies are long, so the
/// content is copied only once.
fn within(operation: &str, suffixes: &[&str], inside: &str) -> String {
    let tags = suffixes.iter().map(|suffix| 2 * (operation.len() + suffix.len()) + "<></>".len());
    let mut xml = String::with_capacity(inside.len() + tags.sum::<usize>());
    for suffix in suffixes {
        let _ = write!(xml, "<{operation}{suffix}>");
    }
    xml.push_str(inside);
    for suffix in suffixes.iter().rev() {
        let _ = write!(xml, "</{operation}{suffix}>");
    }
    xml
}

/// Writes `<name>text</name>`.
pub(crate) fn element(xml: &mut String, name: &str, text: &str) {
    let open = |xml: &mut String, begin: &str| {
        xml.push_str(begin);
        xml.push_str(name);
        xml.push('>');
    };
    open(xml, "<");
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once(['&', '<', '>']) {
        xml.push_str(plain);
        xml.push_str(match rest.as_bytes()[plain.len()] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            _ => "&gt;",
        });
        rest = after;
    }
    xml.push_str(rest);
    open(xml, "</");
}
