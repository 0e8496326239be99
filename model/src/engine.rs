//! CloudFormation's engine: creates, updates, rolls back with the properties of before, cleans up, deletes, and waits for
//! custom resources no longer than their `ServiceTimeout`.
//!
//! Resources are worked on one after the other, each after those it needs. That CloudFormation works on independent ones at
//! the same time does not matter here: the custom resources of a stage stack depend on each other.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    clock::pass,
    events,
    functions::{Kind, invoke_later},
    log::leaks,
    requests::{Request, SIGNATURE_MARK},
    services::stacks::{Resource, StackEvent},
    template::Template,
    world::{Invariant, Model},
};

/// What an update replaced, to go back to.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    pub(crate) template: Arc<Template>,
    pub(crate) template_text: String,
    pub(crate) parameters: BTreeMap<String, String>,
    /// The resources that were begun to be changed, in this order; a rollback goes over them.
    pub(crate) touched: Vec<String>,
}

/// Why a resource could not be brought where it should be.
enum Trouble {
    Failed(String),
    Cancelled,
}

/// A change of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Create,
    Update,
    Delete,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
        }
    }
}

fn status(model: &Arc<Model>, id: &str, status: &'static str, reason: &str) {
    if let Some(stack) = model.world().stacks.all.get_mut(id) {
        stack.status = status;
    }
    let name = model.world().stacks.all.get(id).map(|stack| stack.name.clone()).unwrap_or_default();
    event(model, id, (&name, id), status, reason, None);
    events::stack_changed(model, id, status);
}

fn event(
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
        // Only those of custom resources are of interest.
        let text = text.filter(|_| properties.is_some_and(|all| !all["ServiceToken"].is_null()));
        let stack_id = (physical_id == id).then_some(id);
        stack.events.push(StackEvent::new(at, (logical, stack_id), status, reason, token, text.as_deref()));
    }
}

fn order(model: &Arc<Model>, id: &str) -> Vec<String> {
    model.world().stacks.all.get(id).map(|stack| stack.template.order.clone()).unwrap_or_default()
}

pub(crate) async fn create(model: &Arc<Model>, id: &str) {
    let _busy = model.working();
    model.world().figures.operations += 1;
    status(model, id, "CREATE_IN_PROGRESS", "");
    let mut failed = None;
    for logical in order(model, id) {
        match change(model, id, &logical, None).await {
            Ok(()) => {}
            Err(Trouble::Failed(reason)) => {
                failed = Some(reason);
                break;
            }
            Err(Trouble::Cancelled) => break,
        }
    }
    if failed.is_none() {
        match complete(model, id) {
            Ok(()) => return status(model, id, "CREATE_COMPLETE", ""),
            Err(reason) => failed = Some(reason),
        }
    }
    model.world().figures.rollbacks += 1;
    status(model, id, "ROLLBACK_IN_PROGRESS", failed.as_deref().unwrap_or_default());
    let end = if delete_all(model, id).await { "ROLLBACK_COMPLETE" } else { "ROLLBACK_FAILED" };
    status(model, id, end, "");
}

pub(crate) async fn update(model: &Arc<Model>, id: &str) {
    let _busy = model.working();
    model.world().figures.operations += 1;
    status(model, id, "UPDATE_IN_PROGRESS", "");
    let cancel = model.world().stacks.all.get(id).map(|stack| Arc::clone(&stack.cancel));
    let cancel = cancel.unwrap_or_default();
    let mut failed = None;
    for logical in order(model, id) {
        match change(model, id, &logical, Some(&cancel)).await {
            Ok(()) => {}
            Err(Trouble::Failed(reason)) => {
                failed = Some(reason);
                break;
            }
            Err(Trouble::Cancelled) => {
                failed = Some("User Initiated".to_owned());
                break;
            }
        }
    }
    if failed.is_none() {
        failed = complete(model, id).err();
    }
    let Some(reason) = failed else {
        status(model, id, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "");
        pass(500).await;
        if let Some(stack) = model.world().stacks.all.get_mut(id) {
            stack.before = None;
        }
        return status(model, id, "UPDATE_COMPLETE", "");
    };
    model.world().figures.rollbacks += 1;
    status(model, id, "UPDATE_ROLLBACK_IN_PROGRESS", &reason);
    roll_back(model, id).await;
}

/// Brings every resource that was touched back, in the order of their needs. Works on after a rollback that failed, too.
pub(crate) async fn continue_rollback(model: &Arc<Model>, id: &str) {
    let _busy = model.working();
    status(model, id, "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated");
    roll_back(model, id).await;
}

async fn roll_back(model: &Arc<Model>, id: &str) {
    let touched = {
        let mut world = model.world();
        let Some(stack) = world.stacks.all.get_mut(id) else { return };
        let Some(before) = &stack.before else { return };
        stack.parameters = before.parameters.clone();
        stack.template = Arc::clone(&before.template);
        stack.template_text.clone_from(&before.template_text);
        before.touched.clone()
    };
    for logical in touched {
        if let Err(Trouble::Failed(reason)) = change_again(model, id, &logical).await {
            return status(model, id, "UPDATE_ROLLBACK_FAILED", &reason);
        }
        if let Some(before) = model.world().stacks.all.get_mut(id).and_then(|stack| stack.before.as_mut()) {
            before.touched.retain(|name| *name != logical);
        }
    }
    if let Err(reason) = complete(model, id) {
        return status(model, id, "UPDATE_ROLLBACK_FAILED", &reason);
    }
    status(model, id, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "");
    pass(500).await;
    if let Some(stack) = model.world().stacks.all.get_mut(id) {
        stack.before = None;
    }
    status(model, id, "UPDATE_ROLLBACK_COMPLETE", "");
}

pub(crate) async fn delete(model: &Arc<Model>, id: &str) {
    let _busy = model.working();
    model.world().figures.operations += 1;
    if let Some(stack) = model.world().stacks.all.get_mut(id) {
        stack.cause = None;
    }
    status(model, id, "DELETE_IN_PROGRESS", "");
    let end = if delete_all(model, id).await { "DELETE_COMPLETE" } else { "DELETE_FAILED" };
    status(model, id, end, "");
}

/// Whether every resource is gone.
async fn delete_all(model: &Arc<Model>, id: &str) -> bool {
    for logical in order(model, id).into_iter().rev() {
        let found = model.world().stacks.all.get(id).and_then(|stack| stack.resources.get(&logical).cloned());
        let Some(found) = found else { continue };
        let ids = (logical.as_str(), found.physical_id.as_str());
        event(model, id, ids, "DELETE_IN_PROGRESS", "", Some(&found.properties));
        if let Err(Trouble::Failed(reason)) =
            act(model, id, &logical, Change::Delete, Some(&found), &found.properties, None).await
        {
            event(model, id, ids, "DELETE_FAILED", &reason, None);
            if let Some(stack) = model.world().stacks.all.get_mut(id) {
                stack.cause.get_or_insert(reason);
            }
            return false;
        }
        event(model, id, ids, "DELETE_COMPLETE", "", None);
        if let Some(stack) = model.world().stacks.all.get_mut(id) {
            stack.resources.remove(&logical);
        }
    }
    true
}

/// Reads the outputs, as the last thing of an operation.
fn complete(model: &Arc<Model>, id: &str) -> Result<(), String> {
    let mut world = model.world();
    let Some(stack) = world.stacks.all.get_mut(id) else { return Ok(()) };
    stack.outputs = stack.template.outputs(&stack.scope())?;
    Ok(())
}

/// Brings a resource where the template and the parameters want it, if it is elsewhere.
async fn change(
    model: &Arc<Model>,
    id: &str,
    logical: &str,
    cancel: Option<&Arc<Notify>>,
) -> Result<(), Trouble> {
    let (properties, found) = wanted(model, id, logical)?;
    let (change, verb) = match &found {
        None => (Change::Create, "CREATE"),
        Some(found) if found.properties == properties => return Ok(()),
        Some(_) => (Change::Update, "UPDATE"),
    };
    if change == Change::Update
        && let Some(before) = model.world().stacks.all.get_mut(id).and_then(|stack| stack.before.as_mut())
    {
        before.touched.push(logical.to_owned());
    }
    transition(model, id, logical, (change, verb), found.as_ref(), &properties, cancel).await
}

/// Brings a resource back, whether its change succeeded, failed or was abandoned.
async fn change_again(model: &Arc<Model>, id: &str, logical: &str) -> Result<(), Trouble> {
    let (properties, found) = wanted(model, id, logical)?;
    transition(model, id, logical, (Change::Update, "UPDATE"), found.as_ref(), &properties, None).await
}

fn wanted(model: &Arc<Model>, id: &str, logical: &str) -> Result<(Value, Option<Resource>), Trouble> {
    let world = model.world();
    let stack = world.stacks.all.get(id).ok_or_else(|| Trouble::Failed("the stack is gone".to_owned()))?;
    let properties = stack.template.properties(logical, &stack.scope()).map_err(Trouble::Failed)?;
    Ok((properties, stack.resources.get(logical).cloned()))
}

async fn transition(
    model: &Arc<Model>,
    id: &str,
    logical: &str,
    (change, verb): (Change, &str),
    found: Option<&Resource>,
    properties: &Value,
    cancel: Option<&Arc<Notify>>,
) -> Result<(), Trouble> {
    let physical_id = found.map(|found| found.physical_id.clone()).unwrap_or_default();
    event(model, id, (logical, &physical_id), &format!("{verb}_IN_PROGRESS"), "", Some(properties));
    let result = act(model, id, logical, change, found, properties, cancel).await;
    match result {
        Ok(done) => {
            event(model, id, (logical, &done.physical_id), &format!("{verb}_COMPLETE"), "", None);
            if let Some(stack) = model.world().stacks.all.get_mut(id) {
                stack.resources.insert(logical.to_owned(), done);
            }
            Ok(())
        }
        Err(trouble) => {
            let reason = match &trouble {
                Trouble::Failed(reason) => reason.clone(),
                Trouble::Cancelled => "Resource update cancelled".to_owned(),
            };
            if let (Trouble::Failed(reason), Some(stack)) = (&trouble, model.world().stacks.all.get_mut(id)) {
                stack.cause.get_or_insert_with(|| reason.clone());
            }
            event(model, id, (logical, &physical_id), &format!("{verb}_FAILED"), &reason, None);
            // What is asked for next has these as the properties of before.
            if cancel.is_some()
                && let Some(found) =
                    model.world().stacks.all.get_mut(id).and_then(|s| s.resources.get_mut(logical))
            {
                found.properties = properties.clone();
            }
            Err(trouble)
        }
    }
}

async fn act(
    model: &Arc<Model>,
    id: &str,
    logical: &str,
    change: Change,
    found: Option<&Resource>,
    properties: &Value,
    cancel: Option<&Arc<Notify>>,
) -> Result<Resource, Trouble> {
    let resource_type = model
        .world()
        .stacks
        .all
        .get(id)
        .map(|s| s.template.resource_type(logical).to_owned())
        .unwrap_or_default();
    if resource_type.starts_with("Custom::") {
        return custom(model, id, logical, &resource_type, change, found, properties, cancel).await;
    }
    pass(300).await;
    native(model, id, logical, &resource_type, change, found, properties).map_err(Trouble::Failed)
}

/// A resource of CloudFormation's own.
fn native(
    model: &Arc<Model>,
    id: &str,
    logical: &str,
    resource_type: &str,
    change: Change,
    found: Option<&Resource>,
    properties: &Value,
) -> Result<Resource, String> {
    let number = model.issue();
    let now = model.now();
    let mut world = model.world();
    let stack_name = world.stacks.all.get(id).map(|stack| stack.name.clone()).unwrap_or_default();
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
        ("AWS::EC2::SecurityGroup" | "AWS::RDS::DBSubnetGroup", Change::Delete) => {
            world.rds.advance(now);
            let used = world.rds.instances.iter().find(|(_, instance)| {
                instance.subnet_group == resource.physical_id
                    || instance.security_groups.contains(&resource.physical_id)
            });
            if let Some((identifier, _)) = used {
                return Err(format!("{} is in use by {identifier}", resource.physical_id));
            }
        }
        _ => {}
    }
    Ok(resource)
}

/// A custom resource: the request goes to its function, and the answer comes through the bucket, or does not.
#[expect(clippy::too_many_arguments, reason = "a request says all of this")]
async fn custom(
    model: &Arc<Model>,
    id: &str,
    logical: &str,
    resource_type: &str,
    change: Change,
    found: Option<&Resource>,
    properties: &Value,
    cancel: Option<&Arc<Notify>>,
) -> Result<Resource, Trouble> {
    let stack_name = model.world().stacks.all.get(id).map(|stack| stack.name.clone()).unwrap_or_default();
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
    let (request_id, arrived, event) = ask(model, id, logical, resource_type, change, found, properties);
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
            // It is deleted by an id that its function never gave.
            keep_half_made(model, id, logical, &format!("{stack_name}-{logical}-AUTOGENERATED"), properties);
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
        keep_half_made(model, id, logical, &resource.physical_id, properties);
    }
    // As AWS wraps it.
    Err(Trouble::Failed(format!(
        "Received response status [FAILED] from custom resource. Message returned: {} (RequestId: {request_id})",
        text("Reason")
    )))
}

/// A new request: its id, what tells that its answer arrived, and the event for its function.
fn ask(
    model: &Arc<Model>,
    id: &str,
    logical: &str,
    resource_type: &str,
    change: Change,
    found: Option<&Resource>,
    properties: &Value,
) -> (String, Arc<Notify>, Value) {
    let request_id = format!("{:08x}-0000-4000-8000-000000000000", model.issue());
    let physical_id = found.map(|found| found.physical_id.clone());
    let arrived = Arc::new(Notify::new());
    model.world().figures.requests += 1;
    model.world().requests.all.insert(
        request_id.clone(),
        Request {
            stack_id: id.to_owned(),
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
        "StackId": id,
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

/// A creation failed: the rollback deletes what may be there.
fn keep_half_made(model: &Arc<Model>, id: &str, logical: &str, physical_id: &str, properties: &Value) {
    if let Some(stack) = model.world().stacks.all.get_mut(id) {
        let resource = Resource {
            physical_id: physical_id.to_owned(),
            properties: properties.clone(),
            attributes: BTreeMap::new(),
        };
        stack.resources.insert(logical.to_owned(), resource);
    }
}

/// CloudFormation deletes a resource by an id that was never given to it, as it does in the cleanup after a replacement.
pub(crate) async fn stray_delete(model: &Arc<Model>, stack_name: &str) {
    let _busy = model.working();
    let found = {
        let world = model.world();
        let Some((id, stack)) = world.stacks.find(stack_name) else { return };
        let Some(resource) = stack.resources.get("Database") else { return };
        (id.clone(), Resource { physical_id: "an-id-that-was-never-given".to_owned(), ..resource.clone() })
    };
    let (id, resource) = found;
    let properties = resource.properties.clone();
    let ids = ("Database", resource.physical_id.as_str());
    event(model, &id, ids, "DELETE_IN_PROGRESS", "", Some(&properties));
    let cleaned = custom(
        model,
        &id,
        "Database",
        "Custom::PostgresDatabase",
        Change::Delete,
        Some(&resource),
        &properties,
        None,
    )
    .await;
    match cleaned {
        Err(Trouble::Failed(reason)) => event(model, &id, ids, "DELETE_FAILED", &reason, None),
        Ok(_) | Err(Trouble::Cancelled) => event(model, &id, ids, "DELETE_COMPLETE", "", None),
    }
}

/// A person cancels the update that runs.
pub(crate) fn cancel(model: &Arc<Model>, stack_name: &str) {
    let world = model.world();
    if let Some((_, stack)) = world.stacks.find(stack_name).filter(|(_, s)| s.status == "UPDATE_IN_PROGRESS")
    {
        stack.cancel.notify_one();
    }
}
