//! The CloudFormation engine: creates, updates, rolls back to the previous properties, cleans up, deletes, and waits
//! for custom resources for at most their `ServiceTimeout`.
//!
//! It processes resources one after the other, each after its dependencies. CloudFormation processes independent
//! resources at the same time, but that doesn't matter here: the custom resources of a stage stack depend on each
//! other.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    base::clock::pass,
    engine::{
        events,
        resource::{Change, Step, Trouble, act, custom, event},
    },
    services::template::Resource,
    world::model::Model,
};

fn status(model: &Arc<Model>, id: &str, status: &'static str, reason: &str) {
    if let Some(stack) = model.world().stacks.all.get_mut(id) {
        stack.status = status;
    }
    let name = model.world().stacks.all.get(id).map(|stack| stack.name.clone()).unwrap_or_default();
    event(model, id, (&name, id), status, reason, None);
    events::stack_changed(model, id, status);
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

/// Rolls back every resource that was touched, in dependency order. Also continues after a failed rollback.
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
        stack.rebuilt = before.rebuilt;
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

/// Deletes all resources. Returns whether every one of them was deleted.
async fn delete_all(model: &Arc<Model>, id: &str) -> bool {
    for logical in order(model, id).into_iter().rev() {
        let found = model.world().stacks.all.get(id).and_then(|stack| stack.resources.get(&logical).cloned());
        let Some(found) = found else { continue };
        let ids = (logical.as_str(), found.physical_id.as_str());
        event(model, id, ids, "DELETE_IN_PROGRESS", "", Some(&found.properties));
        let step = Step {
            stack_id: id,
            logical: &logical,
            change: Change::Delete,
            found: Some(&found),
            properties: &found.properties,
        };
        if let Err(Trouble::Failed(reason)) = act(model, &step, None).await {
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

/// Reads the outputs, at the end of an operation.
fn complete(model: &Arc<Model>, id: &str) -> Result<(), String> {
    let mut world = model.world();
    let Some(stack) = world.stacks.all.get_mut(id) else { return Ok(()) };
    stack.outputs = stack.template.outputs(&stack.scope())?;
    Ok(())
}

/// Changes a resource to match the template and the parameters, if it differs.
async fn change(
    model: &Arc<Model>,
    id: &str,
    logical: &str,
    cancel: Option<&Arc<Notify>>,
) -> Result<(), Trouble> {
    let (properties, found) = wanted(model, id, logical)?;
    let change = match &found {
        None => Change::Create,
        Some(found) if found.properties == properties => return Ok(()),
        Some(_) => Change::Update,
    };
    if change == Change::Update
        && let Some(before) = model.world().stacks.all.get_mut(id).and_then(|stack| stack.before.as_mut())
    {
        before.touched.push(logical.to_owned());
    }
    let step = Step { stack_id: id, logical, change, found: found.as_ref(), properties: &properties };
    transition(model, &step, cancel).await
}

/// Rolls back a resource, whether its change succeeded, failed, or was abandoned.
async fn change_again(model: &Arc<Model>, id: &str, logical: &str) -> Result<(), Trouble> {
    let (properties, found) = wanted(model, id, logical)?;
    let found = found.as_ref();
    let step = Step { stack_id: id, logical, change: Change::Update, found, properties: &properties };
    transition(model, &step, None).await
}

fn wanted(model: &Arc<Model>, id: &str, logical: &str) -> Result<(Value, Option<Resource>), Trouble> {
    let world = model.world();
    let stack = world.stacks.all.get(id).ok_or_else(|| Trouble::Failed("the stack is gone".to_owned()))?;
    let properties = stack.template.properties(logical, &stack.scope()).map_err(Trouble::Failed)?;
    Ok((properties, stack.resources.get(logical).cloned()))
}

async fn transition(
    model: &Arc<Model>,
    step: &Step<'_>,
    cancel: Option<&Arc<Notify>>,
) -> Result<(), Trouble> {
    let Step { stack_id: id, logical, change, found, properties } = *step;
    let verb = change.name().to_uppercase();
    let physical_id = found.map(|found| found.physical_id.clone()).unwrap_or_default();
    event(model, id, (logical, &physical_id), &format!("{verb}_IN_PROGRESS"), "", Some(properties));
    match act(model, step, cancel).await {
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
            // The next request has these as its old properties.
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

/// Deletes a resource by a physical ID that was never returned, as CloudFormation does in the cleanup after a
/// replacement.
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
    let step = Step {
        stack_id: &id,
        logical: "Database",
        change: Change::Delete,
        found: Some(&resource),
        properties: &properties,
    };
    match custom(model, &step, "Custom::PostgresDatabase", None).await {
        Err(Trouble::Failed(reason)) => event(model, &id, ids, "DELETE_FAILED", &reason, None),
        Ok(_) | Err(Trouble::Cancelled) => event(model, &id, ids, "DELETE_COMPLETE", "", None),
    }
}

/// A user cancels the running update.
pub(crate) fn cancel(model: &Arc<Model>, stack_name: &str) {
    let world = model.world();
    if let Some((_, stack)) = world.stacks.find(stack_name).filter(|(_, s)| s.status == "UPDATE_IN_PROGRESS")
    {
        stack.cancel.notify_one();
    }
}
