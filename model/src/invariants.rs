//! What must hold once everything has come to rest.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    services::{ecs::CONTAINER, rds::Instance, stacks::Stack},
    world::{Invariant, Violation, World},
};

const VARIABLES: [(&str, &str); 5] = [
    ("PG_HOST", "host"),
    ("PG_PORT", "port"),
    ("PG_DATABASE", "dbname"),
    ("PG_USER", "username"),
    ("PG_CREDENTIALS_SECRET", "password"),
];

/// Everything that does not hold.
pub(crate) fn check(world: &mut World, now: u64) {
    world.rds.advance(now);
    let mut found = Vec::new();
    let mut wrong = |invariant: Invariant, words: String| found.push(Violation { invariant, words, at: now });
    for (id, stack) in &world.stacks.all {
        // What somebody has destroyed in the console cannot be brought back.
        if !world.spoilt.contains(&format!("{}-postgres", stack.name)) {
            ends(id, stack, &mut wrong);
        }
        if stack.status != "DELETE_COMPLETE" {
            owned(world, id, stack, &mut wrong);
        }
        variables(world, id, stack, &mut wrong);
    }
    for (identifier, instance) in &world.rds.instances {
        let owner = instance.tags.get("stagedb:stage-stack-id");
        let Some(owner) = owner.filter(|_| !instance.foreign && !world.spoilt.contains(identifier)) else {
            continue;
        };
        let wanted = world.stacks.all.get(owner).is_some_and(|stack| {
            stack.status != "DELETE_COMPLETE" && parameter(stack, "Source") == "created"
        });
        if !wanted && instance.status != "deleting" {
            let words = format!("{identifier} is left over, in the status {}", instance.status);
            wrong(Invariant::Owned, words);
        }
    }
    for gone in world.rds.gone.iter().filter(|gone| !gone.by_hand) {
        let kept =
            world.rds.snapshots.values().any(|s| s.instance.data == gone.data && s.available_at <= now);
        let lives = world.rds.instances.values().any(|instance| instance.data == gone.data);
        if !kept && !lives {
            wrong(Invariant::DataKept, format!("the data of {} is nowhere", gone.identifier));
        }
    }
    for (name, execution) in &world.executions.all {
        if execution.status == "RUNNING" {
            wrong(Invariant::Ends, format!("the execution {name} still runs"));
        }
    }
    world.violations.extend(found);
}

fn parameter<'a>(stack: &'a Stack, name: &str) -> &'a str {
    stack.parameters.get(name).map_or("", String::as_str)
}

fn ends(id: &str, stack: &Stack, wrong: &mut impl FnMut(Invariant, String)) {
    // A registration that failed is made again by registering again.
    let fine = [
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "DELETE_COMPLETE",
        "ROLLBACK_COMPLETE",
    ];
    if !fine.contains(&stack.status) {
        let reason = stack.events.iter().rev().find(|event| event.status.ends_with("_FAILED"));
        let reason = reason.map(|event| format!("{}: {}", event.logical, event.reason)).unwrap_or_default();
        wrong(Invariant::Ends, format!("{id} is in {}: {reason}", stack.status));
    }
    let text = stack.parameters.values().chain(stack.outputs.values());
    if text.into_iter().any(|text| crate::log::leaks(text)) {
        wrong(Invariant::NothingLeaks, "a secret in the parameters or outputs of a stack".to_owned());
    }
}

/// The instance of a stage stack that owns one is as the stack says, and the secret is its.
fn owned(world: &World, id: &str, stack: &Stack, wrong: &mut impl FnMut(Invariant, String)) {
    let identifier = format!("{}-postgres", stack.name);
    if parameter(stack, "Source") != "created"
        || world.spoilt.contains(&identifier)
        || stack.status.ends_with("FAILED")
    {
        return;
    }
    let tag = |instance: &Instance, key: &str| instance.tags.get(key).cloned().unwrap_or_default();
    let Some(instance) = world.rds.instances.get(&identifier) else {
        return wrong(Invariant::Owned, format!("{identifier} is gone, and its stack says it is there"));
    };
    if tag(instance, "stagedb:stage-stack-id") != id
        || tag(instance, "stagedb:generation") != parameter(stack, "Generation")
    {
        return wrong(Invariant::Owned, format!("{identifier} is not the one that its stack says is there"));
    }
    let storage: u32 = parameter(stack, "StorageGiB").parse().unwrap_or_default();
    let is_usable = ["available", "storage-optimization"].contains(&instance.status.as_str());
    for (what, holds) in [
        ("its status", is_usable),
        ("its class", instance.class == parameter(stack, "InstanceClass")),
        ("its storage", instance.storage >= storage),
        ("its protection", instance.protected),
    ] {
        if !holds {
            let words = format!(
                "{what} is not what the stack says: {identifier} {} {} {} GiB",
                instance.status, instance.class, instance.storage
            );
            wrong(Invariant::Owned, words);
        }
    }
    let secret = stack.outputs.get("SecretArn").and_then(|arn| world.secrets.by_arn.get(arn));
    let Some(value) = secret.and_then(crate::services::secrets::Secret::current) else {
        return wrong(Invariant::SecretAgrees, format!("{identifier} has no secret"));
    };
    let host = instance.endpoint(&identifier).unwrap_or_default();
    for (key, expected) in [
        ("password", instance.password.as_str()),
        ("username", &instance.username),
        ("host", &host),
        ("dbname", &instance.database_name),
        ("engine", "postgres"),
        ("dbInstanceIdentifier", &identifier),
    ] {
        if value[key] != *expected {
            wrong(Invariant::SecretAgrees, format!("{key} of the secret is not that of {identifier}"));
        }
    }
}

/// The containers have the variables of the stack's last complete state, and those of others are as they were.
fn variables(world: &World, id: &str, stack: &Stack, wrong: &mut impl FnMut(Invariant, String)) {
    let complete = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "DELETE_COMPLETE"];
    if !complete.contains(&stack.status) {
        return;
    }
    // A stage that was registered anew has another stack.
    let newer = |(other, newer): (&String, &Stack)| {
        other != id && newer.name == stack.name && newer.created > stack.created
    };
    if world.stacks.all.iter().any(newer) {
        return;
    }
    let Some(service) = world.ecs.services.get(&stack.name) else { return };
    let container = &world.ecs.definitions[&service.definition]["containerDefinitions"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let has: BTreeMap<String, String> = container["secrets"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|secret| (text(&secret["name"]), text(&secret["valueFrom"])))
        .collect();
    let environment: BTreeMap<String, String> = container["environment"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|pair| (text(&pair["name"]), text(&pair["value"])))
        .collect();
    if environment.get("DEBUG").map(String::as_str) != Some("0") || container["name"] != CONTAINER {
        wrong(Invariant::VariablesAgree, format!("{} lost what was its own", stack.name));
    }
    let own = world.own_variables.contains(&stack.name);
    if own != environment.contains_key("PG_HOST") {
        let words =
            format!("somebody else's PG_HOST of {} was {}", stack.name, if own { "taken" } else { "made" });
        return wrong(Invariant::VariablesAgree, words);
    }
    let arn = stack.outputs.get("SecretArn").cloned().unwrap_or_default();
    let published = parameter(stack, "Source") == "created" && stack.status != "DELETE_COMPLETE";
    if world.deployed_by_hand.contains(&stack.name) {
        return;
    }
    for (name, key) in VARIABLES {
        let expected = (published && !own).then(|| format!("{arn}:{key}::"));
        let ours = has.get(name).filter(|from| published || from.contains(":secret:"));
        if published && own {
            continue;
        }
        if ours != expected.as_ref() {
            let words = format!("{name} of {} is {ours:?} and should be {expected:?}", stack.name);
            return wrong(Invariant::VariablesAgree, words);
        }
        // The containers read the secret as they started.
        let now = world
            .secrets
            .by_arn
            .get(&arn)
            .and_then(crate::services::secrets::Secret::current)
            .unwrap_or_default();
        let now = now.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let identifier = format!("{}-postgres", stack.name);
        if expected.is_some()
            && !world.spoilt.contains(&identifier)
            && service.variables.get(name).cloned().flatten() != now
        {
            let words =
                format!("the containers of {} started with another {name} than the secret has", stack.name);
            return wrong(Invariant::VariablesAgree, words);
        }
    }
}
