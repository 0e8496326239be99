//! The change of one resource of a stack: by CloudFormation itself, or by the function of a custom resource, whose answer
//! CloudFormation waits for.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    base::{clock::pass, invariant::Invariant, kind::Kind},
    engine::functions::invoke_later,
    services::{
        requests::{Request, SIGNATURE_MARK},
        stacks::StackEvent,
        template::Resource,
    },
    world::{log::leaks, model::Model},
};

/// Why a resource couldn't be changed.
pub(super) enum Trouble {
    Failed(String),
    Cancelled,
}

/// A change of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Create,
    Update,
    Delete,
}

impl Change {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
        }
    }
}

/// The change of one resource in an operation of its stack.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) stack_id: &'a str,
    pub(super) logical: &'a str,
    pub(super) change: Change,
    /// The resource as it is, if it exists.
    pub(super) found: Option<&'a Resource>,
    pub(super) properties: &'a Value,
}

/// Changes a resource.
pub(super) async fn act(
    model: &Arc<Model>,
    step: &Step<'_>,
    cancel: Option<&Arc<Notify>>,
) -> Result<Resource, Trouble> {
    let resource_type = {
        let world = model.world();
        let stack = world.stacks.all.get(step.stack_id);
        stack.map(|stack| stack.template.resource_type(step.logical).to_owned()).unwrap_or_default()
    };
    if resource_type.starts_with("Custom::") {
        return custom(model, step, &resource_type, cancel).await;
    }
    pass(300).await;
    native(model, step, &resource_type).map_err(Trouble::Failed)
}

/// A resource of one of AWS's own types.
fn native(model: &Arc<Model>, step: &Step<'_>, resource_type: &str) -> Result<Resource, String> {
    let Step { stack_id, logical, change, found, properties } = *step;
    let number = model.issue();
    let now = model.now();
    let mut world = model.world();
    let stack_name = world.stacks.all.get(stack_id).map(|stack| stack.name.clone()).unwrap_or_default();
    let mut resource = found.cloned().unwrap_or_else(|| Resource {
        physical_id: format!("{stack_name}-{}-{number:06}", logical.to_lowercase()),
        properties: Value::Null,
        attributes: BTreeMap::new(),
    });
    resource.properties = properties.clone();
    match (resource_type, change) {
        ("AWS::SecretsManager::Secret", Change::Create) => {
            let name = properties["Name"].as_str().unwrap_or_default();
            let arn = world.secrets.create(name);
            resource.physical_id =
                arn.ok_or_else(|| format!("A resource with the ID {name} already exists."))?;
        }
        // CloudFormation deletes a secret without a recovery window.
        ("AWS::SecretsManager::Secret", Change::Delete) => {
            world.secrets.by_arn.remove(&resource.physical_id);
        }
        ("AWS::EC2::SecurityGroup", Change::Create) => {
            resource.physical_id = format!("sg-{number:08}");
            resource.attributes.insert("GroupId".to_owned(), resource.physical_id.clone());
        }
        // Every change replaces it.
        ("AWS::ECS::TaskDefinition", Change::Create | Change::Update) => {
            resource.physical_id = world.clients.register(properties);
        }
        ("AWS::Logs::LogGroup", Change::Create) => {
            properties["LogGroupName"].as_str().unwrap_or_default().clone_into(&mut resource.physical_id);
        }
        ("AWS::SSM::Parameter", Change::Create) => {
            properties["Name"].as_str().unwrap_or_default().clone_into(&mut resource.physical_id);
        }
        ("AWS::EC2::SecurityGroup" | "AWS::RDS::DBSubnetGroup", Change::Delete) => {
            world.rds.advance(now);
            let used = world.rds.instances.iter().find(|(_, instance)| {
                instance.subnet_group == resource.physical_id
                    || instance.security_groups.contains(&resource.physical_id)
            });
            if let Some((identifier, _)) = used {
                return Err(format!("{} is in use by {identifier}", resource.physical_id));
            }
            // Its rules go with it.
            world.ec2.rules.retain(|_, rule| rule.group != resource.physical_id);
        }
        _ => {}
    }
    Ok(resource)
}

/// A custom resource: sends the request to its function, and waits for the answer in the bucket, which may never come.
pub(super) async fn custom(
    model: &Arc<Model>,
    step: &Step<'_>,
    resource_type: &str,
    cancel: Option<&Arc<Notify>>,
) -> Result<Resource, Trouble> {
    let Step { stack_id, logical, change, properties, .. } = *step;
    let stack_name =
        model.world().stacks.all.get(stack_id).map(|stack| stack.name.clone()).unwrap_or_default();
    let refused = change != Change::Delete && cancel.is_some() && {
        let mut world = model.world();
        let before = world.cannot_call.len();
        world.cannot_call.retain(|(name, of)| (name.as_str(), *of) != (stack_name.as_str(), logical));
        world.cannot_call.len() < before
    };
    if refused {
        return Err(Trouble::Failed("Custom resource could not be invoked: AccessDenied".to_owned()));
    }
    let token = properties["ServiceToken"].as_str().unwrap_or_default();
    let Some(kind) = Kind::of_arn(token) else {
        return Err(Trouble::Failed(format!("Function not found: {token}")));
    };
    let (request_id, arrived, event) = ask(model, step, resource_type);
    invoke_later(model, kind, &event);

    let seconds = properties["ServiceTimeout"].as_str().and_then(|text| text.parse().ok()).unwrap_or(3600);
    let never = Arc::new(Notify::new());
    let cancelled = tokio::select! {
        biased;
        () = arrived.notified() => false,
        () = cancel.unwrap_or(&never).notified() => true,
        () = tokio::time::sleep(Duration::from_secs(seconds)) => false,
    };
    let answer = {
        let mut world = model.world();
        let request = world.requests.all.get_mut(&request_id);
        request.and_then(|request| {
            request.disturbed |= cancelled;
            request.over = true;
            request.cancelled = cancelled;
            request.answer.clone()
        })
    };
    if cancelled {
        return Err(Trouble::Cancelled);
    }
    let Some(answer) = answer else {
        model.violated(Invariant::Answered, format!("{} of {logical} within {seconds} s", change.name()));
        if change == Change::Create {
            // It will be deleted by a physical ID that its function never returned.
            keep_half_made(model, step, &format!("{stack_name}-{logical}-AUTOGENERATED"));
        }
        let words = "CloudFormation did not receive a response from your Custom Resource.";
        return Err(Trouble::Failed(words.to_owned()));
    };
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let data = answer["Data"].as_object().into_iter().flatten();
    let resource = Resource {
        physical_id: text("PhysicalResourceId"),
        properties: properties.clone(),
        attributes: data
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
    };
    if text("Status") == "SUCCESS" {
        return Ok(resource);
    }
    if change == Change::Create {
        keep_half_made(model, step, &resource.physical_id);
    }
    // AWS's own wording.
    Err(Trouble::Failed(format!(
        "Received response status [FAILED] from custom resource. Message returned: {} (RequestId: {request_id})",
        text("Reason")
    )))
}

/// A new request: its ID, the channel that reports its answer, and the event for its function.
fn ask(model: &Arc<Model>, step: &Step<'_>, resource_type: &str) -> (String, Arc<Notify>, Value) {
    let Step { stack_id, logical, change, found, properties } = *step;
    let request_id = format!("{:08x}-0000-4000-8000-000000000000", model.issue());
    let physical_id = found.map(|found| found.physical_id.clone());
    let arrived = Arc::new(Notify::new());
    model.world().figures.requests += 1;
    model.world().requests.all.insert(
        request_id.clone(),
        Request {
            stack_id: stack_id.to_owned(),
            logical: logical.to_owned(),
            kind: change.name(),
            physical_id: physical_id.clone(),
            answer: None,
            told: std::collections::BTreeSet::default(),
            disturbed: false,
            over: false,
            cancelled: false,
            arrived: Arc::clone(&arrived),
        },
    );
    let mut event = json!({
        "RequestType": change.name(),
        "ServiceToken": properties["ServiceToken"],
        "ResponseURL": format!(
            "https://custom-resource-response-useast1.s3.amazonaws.com/{request_id}?X-Amz-Signature={SIGNATURE_MARK}"
        ),
        "StackId": stack_id,
        "RequestId": request_id,
        "LogicalResourceId": logical,
        "ResourceType": resource_type,
        "ResourceProperties": properties,
    });
    if let Some(physical_id) = &physical_id {
        event["PhysicalResourceId"] = json!(physical_id);
    }
    if let (Change::Update, Some(found)) = (change, found) {
        event["OldResourceProperties"] = found.properties.clone();
    }
    (request_id, arrived, event)
}

/// After a failed creation: the rollback deletes whatever may exist.
fn keep_half_made(model: &Arc<Model>, step: &Step<'_>, physical_id: &str) {
    if let Some(stack) = model.world().stacks.all.get_mut(step.stack_id) {
        let resource = Resource {
            physical_id: physical_id.to_owned(),
            properties: step.properties.clone(),
            attributes: BTreeMap::new(),
        };
        stack.resources.insert(step.logical.to_owned(), resource);
    }
}

/// Records an event of a stack or of one of its resources.
pub(super) fn event(
    model: &Arc<Model>,
    id: &str,
    (logical, physical_id): (&str, &str),
    status: &str,
    reason: &str,
    properties: Option<&Value>,
) {
    let text = properties.map(Value::to_string);
    if leaks(reason) || leaks(physical_id) || text.as_deref().is_some_and(leaks) {
        model.violated(Invariant::NothingLeaks, format!("a secret in a stack's event about {logical}"));
    }
    model.note(|| format!("{logical} {status} {reason}"));
    let at = model.now();
    if let Some(stack) = model.world().stacks.all.get_mut(id) {
        let token = stack.token.as_deref();
        // Only the properties of custom resources matter.
        let text = text.filter(|_| properties.is_some_and(|all| !all["ServiceToken"].is_null()));
        let stack_id = (physical_id == id).then_some(id);
        stack.events.push(StackEvent::new(at, (logical, stack_id), status, reason, token, text.as_deref()));
    }
}
