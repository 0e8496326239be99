//! EC2: the inbound rules of security groups.
//!
//! The SDK's crate for EC2 takes more than 7 GB of memory and several minutes to compile, and stagedb needs only five
//! calls. So it makes these calls itself: EC2's Query protocol, with the SDK's own client, retries, timeouts, and
//! signatures.

use std::collections::BTreeMap;

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
use database::IngressRule;
use roxmltree::{Document, Node};
use thiserror::Error;

use crate::{
    AwsError,
    config::{retry_partition, timeouts},
    error::failed,
};

/// The version of EC2's API.
const API_VERSION: &str = "2016-11-15";
/// The maximum number of rules on a page (EC2 API, `DescribeSecurityGroupRules`).
const PAGE: &str = "1000";

/// The security groups in this account and Region.
#[derive(Debug, Clone)]
pub struct SecurityGroups {
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

impl SecurityGroups {
    /// Security groups in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { config: config.clone() }
    }

    /// The inbound rules of at most 200 security groups. A group that doesn't exist has none.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn rules_of(&self, groups: &[&str]) -> Result<Vec<IngressRule>, AwsError> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        self.rules("group-id", groups).await
    }

    /// The inbound rules that have a tag with this key and any value.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn rules_tagged(&self, key: &str) -> Result<Vec<IngressRule>, AwsError> {
        // EC2 can filter these rules only by `group-id`, `security-group-rule-id`, and `tag:<key>`.
        self.rules(&format!("tag:{key}"), &["*"]).await
    }

    async fn rules(&self, filter: &str, values: &[&str]) -> Result<Vec<IngressRule>, AwsError> {
        let mut rules = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut parameters = vec![("Filter.1.Name".to_owned(), filter), ("MaxResults".to_owned(), PAGE)];
            let values = values.iter().zip(1..).map(|(value, n)| (format!("Filter.1.Value.{n}"), *value));
            parameters.extend(values);
            if let Some(token) = &token {
                parameters.push(("NextToken".to_owned(), token));
            }
            let reply = match self.call("DescribeSecurityGroupRules", &parameters).await {
                Err(error) if error.code == "InvalidGroup.NotFound" => return Ok(rules),
                reply => reply?,
            };
            token = read("DescribeSecurityGroupRules", &reply, |root| {
                rules.extend(items(root, "securityGroupRuleSet").filter_map(rule));
                text(root, "nextToken").filter(|token| !token.is_empty()).map(str::to_owned)
            })?;
            if token.is_none() {
                return Ok(rules);
            }
        }
    }

    /// Lets the members of one group connect to the members of another on one TCP port, with a rule that has these
    /// tags. If the rule already exists, this succeeds.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn authorize(
        &self,
        group: &str,
        port: u16,
        source_group: &str,
        description: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), AwsError> {
        let port = port.to_string();
        let mut parameters = vec![
            ("GroupId".to_owned(), group),
            ("IpPermissions.1.IpProtocol".to_owned(), "tcp"),
            ("IpPermissions.1.FromPort".to_owned(), port.as_str()),
            ("IpPermissions.1.ToPort".to_owned(), port.as_str()),
            ("IpPermissions.1.Groups.1.GroupId".to_owned(), source_group),
            ("IpPermissions.1.Groups.1.Description".to_owned(), description),
            ("TagSpecification.1.ResourceType".to_owned(), "security-group-rule"),
        ];
        parameters.extend(tag_parameters("TagSpecification.1.Tag", tags));
        match self.call("AuthorizeSecurityGroupIngress", &parameters).await {
            Err(error) if error.code == "InvalidPermission.Duplicate" => Ok(()),
            reply => reply.map(|_| ()),
        }
    }

    /// Removes a rule. If it doesn't exist, this succeeds.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn revoke(&self, group: &str, rule: &str) -> Result<(), AwsError> {
        let parameters = [("GroupId", group), ("SecurityGroupRuleId.1", rule)];
        match self.call("RevokeSecurityGroupIngress", &parameters).await {
            Err(error)
                if matches!(
                    error.code.as_str(),
                    "InvalidSecurityGroupRuleId.NotFound" | "InvalidGroup.NotFound"
                ) =>
            {
                Ok(())
            }
            reply => reply.map(|_| ()),
        }
    }

    /// Adds tags to a rule. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn tag(&self, rule: &str, tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
        let mut parameters = vec![("ResourceId.1".to_owned(), rule)];
        parameters.extend(tag_parameters("Tag", tags));
        self.call("CreateTags", &parameters).await.map(|_| ())
    }

    /// Removes tags from a rule. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn untag(&self, rule: &str, keys: &[String]) -> Result<(), AwsError> {
        let mut parameters = vec![("ResourceId.1".to_owned(), rule)];
        parameters.extend(keys.iter().zip(1..).map(|(key, n)| (format!("Tag.{n}.Key"), key.as_str())));
        match self.call("DeleteTags", &parameters).await {
            Err(error) if error.code == "InvalidSecurityGroupRuleId.NotFound" => Ok(()),
            reply => reply.map(|_| ()),
        }
    }

    async fn call<K: AsRef<str>>(
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

fn tag_parameters<'a>(
    prefix: &'a str,
    tags: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = (String, &'a str)> {
    tags.iter().zip(1..).flat_map(move |((key, value), number)| {
        [
            (format!("{prefix}.{number}.Key"), key.as_str()),
            (format!("{prefix}.{number}.Value"), value.as_str()),
        ]
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

fn read<T>(operation: &'static str, xml: &str, read: impl FnOnce(Node<'_, '_>) -> T) -> Result<T, AwsError> {
    let document =
        Document::parse(xml).map_err(|_| AwsError::unexpected(operation, "EC2's reply isn't XML"))?;
    Ok(read(document.root_element()))
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|n| n.tag_name().name() == name)
}

fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text()
}

fn items<'a, 'input: 'a>(node: Node<'a, 'input>, name: &str) -> impl Iterator<Item = Node<'a, 'input>> {
    let set = child(node, name);
    set.into_iter().flat_map(|set| set.children().filter(|n| n.tag_name().name() == "item"))
}

/// An inbound rule; `None` for an outbound one.
fn rule(node: Node<'_, '_>) -> Option<IngressRule> {
    if text(node, "isEgress") != Some("false") {
        return None;
    }
    let port = |name| text(node, name).and_then(|port| port.parse().ok()).unwrap_or(-1);
    let tag =
        |tag: Node<'_, '_>| Some((text(tag, "key")?.to_owned(), text(tag, "value").unwrap_or("").to_owned()));
    Some(IngressRule {
        id: text(node, "securityGroupRuleId")?.to_owned(),
        group: text(node, "groupId")?.to_owned(),
        protocol: text(node, "ipProtocol")?.to_owned(),
        from_port: port("fromPort"),
        to_port: port("toPort"),
        source_group: child(node, "referencedGroupInfo").and_then(|g| text(g, "groupId")).map(str::to_owned),
        tags: items(node, "tagSet").filter_map(tag).collect(),
    })
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

    #[test]
    fn rules_are_read_as_ec2_writes_them() {
        let xml = r#"<DescribeSecurityGroupRulesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
            <securityGroupRuleSet>
              <item>
                <groupId>sg-1</groupId><isEgress>false</isEgress><ipProtocol>tcp</ipProtocol>
                <fromPort>5432</fromPort><toPort>5432</toPort><securityGroupRuleId>sgr-1</securityGroupRuleId>
                <referencedGroupInfo><groupId>sg-2</groupId><userId>123456789012</userId></referencedGroupInfo>
                <tagSet><item><key>stagedb:made</key><value>true</value></item></tagSet>
              </item>
              <item>
                <groupId>sg-1</groupId><isEgress>true</isEgress><ipProtocol>-1</ipProtocol>
                <cidrIpv4>0.0.0.0/0</cidrIpv4><securityGroupRuleId>sgr-2</securityGroupRuleId>
              </item>
            </securityGroupRuleSet></DescribeSecurityGroupRulesResponse>"#;
        let rules: Vec<_> =
            read("-", xml, |root| items(root, "securityGroupRuleSet").filter_map(rule).collect()).unwrap();
        let [rule] = rules.as_slice() else { panic!("one inbound rule: {rules:?}") };
        assert_eq!(
            (rule.id.as_str(), rule.from_port, rule.source_group.as_deref()),
            ("sgr-1", 5432, Some("sg-2"))
        );
        assert_eq!(rule.tags.get("stagedb:made").map(String::as_str), Some("true"));
    }
}
