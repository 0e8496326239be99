//! Calls to EC2, in its Query protocol.

use aws_config::SdkConfig;
use aws_smithy_types::error::metadata::ErrorMetadata;
use roxmltree::{Document, Node};

use crate::{AwsError, raw::Raw};

/// The version of EC2's API.
const API_VERSION: &str = "2016-11-15";

/// EC2 in this account and Region.
#[derive(Debug, Clone)]
pub(crate) struct Ec2(Raw);

impl Ec2 {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        Self(Raw::new(config, "ec2", "application/x-www-form-urlencoded", error))
    }

    /// Makes one call, and returns the reply's XML.
    pub(crate) async fn call<K: AsRef<str>>(
        &self,
        operation: &'static str,
        parameters: &[(K, &str)],
    ) -> Result<String, AwsError> {
        self.0.call(operation, None, form(operation, parameters)).await
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

/// The code and the message of an error.
fn error(xml: &str) -> ErrorMetadata {
    let mut metadata = ErrorMetadata::builder();
    if let Ok(document) = Document::parse(xml) {
        let find = |name: &str| document.descendants().find(|n| n.has_tag_name(name)).and_then(|n| n.text());
        if let Some(code) = find("Code") {
            metadata = metadata.code(code);
        }
        if let Some(message) = find("Message") {
            metadata = metadata.message(message);
        }
    }
    metadata.build()
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
