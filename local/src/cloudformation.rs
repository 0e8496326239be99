//! The parts of CloudFormation needed to deploy a template and read a stack.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use roxmltree::{Document, Node};

use crate::artifacts::{self, BUCKET};
use crate::http::Http;
use crate::wait;

/// AWS's limit for `TemplateBody`, in bytes. A larger template is passed by URL.
const LARGEST_BODY: usize = 51_200;

/// One stack, as returned by `DescribeStacks`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stack {
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) outputs: BTreeMap<String, String>,
}

impl Stack {
    /// An output that the template must have.
    pub(crate) fn output(&self, name: &str) -> anyhow::Result<&str> {
        let value = self.outputs.get(name).map(String::as_str);
        value.with_context(|| format!("the template has no output {name}"))
    }
}

/// Creates a stack and waits until it is complete.
pub(crate) fn create(
    http: &Http,
    name: &str,
    template: &str,
    parameters: &[(&str, &str)],
    limit: Duration,
) -> anyhow::Result<Stack> {
    let mut fields = vec![
        ("Action", "CreateStack"),
        ("StackName", name),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
        ("Capabilities.member.2", "CAPABILITY_NAMED_IAM"),
        ("Capabilities.member.3", "CAPABILITY_AUTO_EXPAND"),
    ];
    let names: Vec<_> = (1..=parameters.len())
        .map(|n| {
            (format!("Parameters.member.{n}.ParameterKey"), format!("Parameters.member.{n}.ParameterValue"))
        })
        .collect();
    for ((key, value), (name, given)) in names.iter().zip(parameters) {
        fields.extend([(key.as_str(), *name), (value.as_str(), *given)]);
    }
    let url;
    if template.len() > LARGEST_BODY {
        let key = format!("{name}.yaml");
        artifacts::upload(http, &key, template.as_bytes().to_vec())?;
        url = format!("{}/{BUCKET}/{key}", http.endpoint());
        fields.push(("TemplateURL", &url));
    } else {
        fields.push(("TemplateBody", template));
    }
    query(http, &fields)?;
    let stack = wait::until(&format!("stack {name}"), limit, || {
        let stack = describe(http, name)?;
        Ok((!stack.status.ends_with("_IN_PROGRESS")).then_some(stack))
    })?;
    if stack.status != "CREATE_COMPLETE" {
        let mut reasons = failures(http, name)?;
        if reasons.is_empty() {
            reasons.extend(stack.reason);
        }
        bail!("stack {name} ended as {}: {}", stack.status, reasons.join("; "));
    }
    Ok(stack)
}

/// Reads one stack.
pub(crate) fn describe(http: &Http, name: &str) -> anyhow::Result<Stack> {
    let xml = query(http, &[("Action", "DescribeStacks"), ("StackName", name)])?;
    parse_stack(&xml)?.with_context(|| format!("stack {name} doesn't exist"))
}

/// A stack's failures with their reasons, oldest first.
fn failures(http: &Http, name: &str) -> anyhow::Result<Vec<String>> {
    let xml = query(http, &[("Action", "DescribeStackEvents"), ("StackName", name)])?;
    let document = Document::parse(&xml).context("CloudFormation's response isn't XML")?;
    let events = members(document.root(), "StackEvents");
    let mut failures: Vec<String> = events
        .filter(|event| text(*event, "ResourceStatus").is_some_and(|status| status.ends_with("_FAILED")))
        .filter_map(|event| {
            let reason = text(event, "ResourceStatusReason")?;
            Some(format!("{}: {reason}", text(event, "LogicalResourceId")?))
        })
        .collect();
    failures.reverse();
    Ok(failures)
}

fn query(http: &Http, fields: &[(&str, &str)]) -> anyhow::Result<String> {
    http.query("cloudformation", "2010-05-15", fields)
}

fn parse_stack(xml: &str) -> anyhow::Result<Option<Stack>> {
    let document = Document::parse(xml).context("CloudFormation's response isn't XML")?;
    let Some(stack) = members(document.root(), "Stacks").next() else {
        return Ok(None);
    };
    let pairs = |list: &str, key: &str, value: &str| {
        members(stack, list)
            .filter_map(|item| {
                Some((text(item, key)?.to_owned(), text(item, value).unwrap_or_default().to_owned()))
            })
            .collect()
    };
    Ok(Some(Stack {
        status: text(stack, "StackStatus").context("the stack has no status")?.to_owned(),
        reason: text(stack, "StackStatusReason").map(str::to_owned),
        parameters: pairs("Parameters", "ParameterKey", "ParameterValue"),
        outputs: pairs("Outputs", "OutputKey", "OutputValue"),
    }))
}

fn members<'a>(node: Node<'a, 'a>, list: &str) -> impl Iterator<Item = Node<'a, 'a>> + use<'a> {
    let list = node.descendants().find(|node| node.tag_name().name() == list);
    list.into_iter().flat_map(|list| list.children()).filter(|node| node.tag_name().name() == "member")
}

fn text<'a>(node: Node<'a, 'a>, name: &str) -> Option<&'a str> {
    node.children().find(|child| child.tag_name().name() == name)?.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_read_from_xml() {
        let xml = r#"<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>
            <Stacks><member><StackName>stagedb</StackName><StackStatus>CREATE_COMPLETE</StackStatus>
            <Parameters><member><ParameterKey>Stage</ParameterKey><ParameterValue>dev</ParameterValue></member></Parameters>
            <Outputs><member><OutputKey>ApiUrl</OutputKey><OutputValue>http://a?b=1&amp;c=2</OutputValue></member>
            <member><OutputKey>Empty</OutputKey><OutputValue></OutputValue></member></Outputs>
            </member></Stacks></DescribeStacksResult></DescribeStacksResponse>"#;
        let stack = parse_stack(xml).unwrap().unwrap();
        assert_eq!(stack.status, "CREATE_COMPLETE");
        assert_eq!(stack.reason, None);
        assert_eq!(stack.parameters["Stage"], "dev");
        assert_eq!(stack.output("ApiUrl").unwrap(), "http://a?b=1&c=2");
        assert_eq!(stack.output("Empty").unwrap(), "");
        assert_eq!(stack.output("Nope").unwrap_err().to_string(), "the template has no output Nope");
    }

    #[test]
    fn no_stack_is_no_error() {
        let xml = "<DescribeStacksResponse><DescribeStacksResult><Stacks></Stacks></DescribeStacksResult></DescribeStacksResponse>";
        assert_eq!(parse_stack(xml).unwrap(), None);
    }
}
