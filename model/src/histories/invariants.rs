//! The invariants that must hold once everything has come to rest.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    base::invariant::{Invariant, Violation},
    services::{
        ecs::{CONTAINER, SECURITY_GROUP},
        rds::{Instance, ORDERS, ORDERS_GROUP},
        stacks::Stack,
    },
    world::model::World,
};

const VARIABLES: [(&str, &str); 5] = [
    ("PG_HOST", "host"),
    ("PG_PORT", "port"),
    ("PG_DATABASE", "dbname"),
    ("PG_USER", "username"),
    ("PG_CREDENTIALS_SECRET", "password"),
];

/// Records every violation.
pub(crate) fn check(world: &mut World, now: u64) {
    world.rds.advance(now);
    let mut found = Vec::new();
    let mut wrong = |invariant: Invariant, words: String| found.push(Violation { invariant, words, at: now });
    for (id, stack) in &world.stacks.all {
        // A database that someone destroyed in the console can't be repaired.
        if !world.spoilt.contains(&format!("{}-postgres", stack.name)) {
            ends(id, stack, &mut wrong);
        }
        if stack.status != "DELETE_COMPLETE" {
            owned(world, id, stack, &mut wrong);
            attached(world, stack, &mut wrong);
        }
        variables(world, id, stack, &mut wrong);
    }
    for (identifier, instance) in &world.rds.instances {
        let owner = instance.tags.get("stagedb:stage-stack-id");
        let Some(owner) = owner.filter(|_| !instance.foreign && !world.spoilt.contains(identifier)) else {
            continue;
        };
        let wanted = world
            .stacks
            .all
            .get(owner)
            .is_some_and(|stack| stack.status != "DELETE_COMPLETE" && stack.source() == "created");
        if !wanted && instance.status != "deleting" {
            let words = format!("{identifier} is left over, with the status {}", instance.status);
            wrong(Invariant::Owned, words);
        }
    }
    access(world, &mut wrong);
    if world.rds.instances.get(ORDERS) != Some(&Instance::orders()) {
        wrong(Invariant::ForeignUntouched, format!("{ORDERS} was changed"));
    }
    for gone in world.rds.gone.iter().filter(|gone| !gone.by_hand) {
        let kept =
            world.rds.snapshots.values().any(|s| s.instance.data == gone.data && s.available_at <= now);
        let lives = world.rds.instances.values().any(|instance| instance.data == gone.data);
        if !kept && !lives {
            wrong(Invariant::DataKept, format!("the data of {} is lost", gone.identifier));
        }
    }
    for (name, execution) in &world.executions.all {
        if execution.status == "RUNNING" {
            wrong(Invariant::Ends, format!("the execution {name} is still running"));
        }
    }
    for start in &world.ecs.incomplete {
        wrong(Invariant::LogsIn, start.clone());
    }
    world.violations.extend(found);
}

fn parameter<'a>(stack: &'a Stack, name: &str) -> &'a str {
    stack.parameters.get(name).map_or("", String::as_str)
}

fn ends(id: &str, stack: &Stack, wrong: &mut impl FnMut(Invariant, String)) {
    // To repair a failed registration, users register again.
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
    if text.into_iter().any(|text| crate::world::log::leaks(text)) {
        wrong(Invariant::NothingLeaks, "a secret in the parameters or outputs of a stack".to_owned());
    }
}

/// If a stage stack owns an instance, the instance must match the stack, and the secret must match the instance.
fn owned(world: &World, id: &str, stack: &Stack, wrong: &mut impl FnMut(Invariant, String)) {
    let identifier = format!("{}-postgres", stack.name);
    if stack.source() != "created" || world.spoilt.contains(&identifier) || stack.status.ends_with("FAILED") {
        return;
    }
    let tag = |instance: &Instance, key: &str| instance.tags.get(key).cloned().unwrap_or_default();
    let Some(instance) = world.rds.instances.get(&identifier) else {
        return wrong(Invariant::Owned, format!("{identifier} doesn't exist, but its stack says it does"));
    };
    if tag(instance, "stagedb:stage-stack-id") != id
        || tag(instance, "stagedb:generation") != parameter(stack, "Generation")
    {
        return wrong(Invariant::Owned, format!("{identifier} isn't the one in its stack"));
    }
    if let Some(snapshot) = world.rds.snapshots.get(parameter(stack, "FromSnapshot"))
        && snapshot.instance.data != instance.data
    {
        wrong(Invariant::DataKept, format!("{identifier} doesn't have the data of its snapshot"));
    }
    let storage: u32 = parameter(stack, "StorageGiB").parse().unwrap_or_default();
    let is_usable = ["available", "storage-optimization"].contains(&instance.status.as_str());
    for (what, holds) in [
        ("the status", is_usable),
        ("the class", instance.class == parameter(stack, "InstanceClass")),
        ("the storage", instance.storage >= storage),
        ("the deletion protection", instance.protected),
    ] {
        if !holds {
            let words = format!(
                "{what} doesn't match the stack: {identifier} {} {} {} GiB",
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
            wrong(Invariant::SecretAgrees, format!("{key} in the secret doesn't match {identifier}"));
        }
    }
}

/// The secret of an attached stage must contain the database's address, and either the credentials that the user typed
/// or those that were in the other secret at the time of the last rebuild or later.
fn attached(world: &World, stack: &Stack, wrong: &mut impl FnMut(Invariant, String)) {
    if stack.source() != "attached" || stack.status.ends_with("FAILED") {
        return;
    }
    let name = &stack.name;
    let secret = stack.outputs.get("SecretArn").and_then(|arn| world.secrets.by_arn.get(arn));
    let Some(value) = secret.and_then(crate::services::secrets::Secret::current) else {
        return wrong(Invariant::SecretAgrees, format!("{name} is attached, but has no secret"));
    };
    let host = Instance::orders().endpoint(ORDERS).unwrap_or_default();
    for (key, expected) in [
        ("username", "theirs"),
        ("host", &host),
        ("dbname", parameter(stack, "DatabaseName")),
        ("engine", "postgres"),
        ("dbInstanceIdentifier", ORDERS),
    ] {
        if value[key] != *expected {
            let words = format!("{key} in the secret of {name} is {} instead of {expected}", value[key]);
            wrong(Invariant::SecretAgrees, words);
        }
    }
    let password = value["password"].as_str().unwrap_or_default();
    let is_right = if parameter(stack, "CredentialsSecretArn") == "none" {
        let key = (name.clone(), parameter(stack, "Generation").to_owned());
        world.typed.get(&key).is_some_and(|typed| typed == password)
    } else {
        // After a rollback, the previous ones are fine too.
        let since = if stack.status == "UPDATE_COMPLETE" { stack.updated.unwrap_or_default() } else { 0 };
        let newer = |at: usize| world.rotations.get(at + 1).is_none_or(|(until, _)| *until >= since);
        let mut all = world.rotations.iter().enumerate();
        all.any(|(at, (_, one))| newer(at) && one == password)
    };
    if !is_right {
        wrong(Invariant::SecretAgrees, format!("the password in the secret of {name} is wrong"));
    }
}

/// The service of an attached stage must have access, and a rule that isn't needed must not exist, unless a user added
/// it.
fn access(world: &World, wrong: &mut impl FnMut(Invariant, String)) {
    let rules = &world.ec2.rules;
    let live = world.stacks.all.values().filter(|stack| stack.status != "DELETE_COMPLETE");
    let live: Vec<_> = live.filter(|stack| !stack.status.ends_with("FAILED")).collect();
    let claim =
        |stack: &Stack| format!("stagedb:stage/{}/{}", parameter(stack, "Stack"), parameter(stack, "Stage"));
    for stack in live.iter().filter(|stack| stack.source() == "attached") {
        let is_let_in = rules.values().any(|rule| {
            rule.group == ORDERS_GROUP
                && rule.source == SECURITY_GROUP
                && rule.tags.get(&claim(stack)).map(String::as_str) == Some(ORDERS)
        });
        if !is_let_in {
            wrong(Invariant::Access, format!("{} cannot connect to {ORDERS}", stack.name));
        }
    }
    for (id, rule) in rules {
        let mut claims = rule.tags.keys().filter(|key| key.starts_with("stagedb:stage/")).peekable();
        if claims.peek().is_none() && !world.rules_by_hand.contains(id) {
            wrong(Invariant::Access, format!("the rule {id} is left over"));
        }
        for key in claims {
            if !world.stacks.all.values().any(|stack| {
                claim(stack) == *key && stack.source() == "attached" && stack.status != "DELETE_COMPLETE"
            }) {
                wrong(Invariant::Access, format!("{id} is claimed by {key}, which no longer needs it"));
            }
        }
    }
    if let Some(id) = world.rules_by_hand.iter().find(|id| !rules.contains_key(*id)) {
        wrong(Invariant::ForeignUntouched, format!("the rule {id}, which a user added, was deleted"));
    }
}

/// Running containers must be able to log in, with two exceptions. If someone has rotated the database's password since
/// the last operation started, containers can't log in before the next rebuild. And if a user has set one of our
/// variables, containers keep it, and the rebuild reports this.
fn logs_in(world: &World, stack: &Stack, wrong: &mut impl FnMut(Invariant, String)) {
    let name = &stack.name;
    if world.own_variables.contains(name) {
        return;
    }
    let began = stack.updated.unwrap_or(stack.created);
    let actual = match stack.source() {
        "created" => {
            let instance = world.rds.instances.get(&format!("{name}-postgres"));
            instance.map(|instance| instance.password.clone())
        }
        "attached"
            if parameter(stack, "CredentialsSecretArn") != "none" && stack.status == "UPDATE_COMPLETE" =>
        {
            world.rotations.last().filter(|(at, _)| *at < began).map(|(_, password)| password.clone())
        }
        _ => None,
    };
    let has = world.ecs.services.get(name).and_then(|service| service.variables.get("PG_CREDENTIALS_SECRET"));
    if let (Some(actual), Some(Some(has))) = (actual, has)
        && *has != actual
    {
        wrong(
            Invariant::LogsIn,
            format!("the containers of {name} have a password that the database rejects"),
        );
    }
}

/// The containers must have the variables of the stack's last complete state, and all other variables must be
/// unchanged.
fn variables(world: &World, id: &str, stack: &Stack, wrong: &mut impl FnMut(Invariant, String)) {
    let complete = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "DELETE_COMPLETE"];
    if !complete.contains(&stack.status) {
        return;
    }
    // A stage that was registered again has a new stack.
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
        wrong(Invariant::VariablesAgree, format!("{} lost its own variables", stack.name));
    }
    let own = world.own_variables.contains(&stack.name);
    if own != environment.contains_key("PG_HOST") {
        let words =
            format!("the user's PG_HOST of {} was {}", stack.name, if own { "removed" } else { "added" });
        return wrong(Invariant::VariablesAgree, words);
    }
    if !world.spoilt.contains(&format!("{}-postgres", stack.name)) {
        logs_in(world, stack, wrong);
    }
    let arn = stack.outputs.get("SecretArn").cloned().unwrap_or_default();
    let published = stack.source() != "none" && stack.status != "DELETE_COMPLETE";
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
            let words = format!("{name} of {} is {ours:?} instead of {expected:?}", stack.name);
            return wrong(Invariant::VariablesAgree, words);
        }
        // The containers read the secret when they started.
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
            let words = format!(
                "the containers of {} started with a {name} that differs from the secret",
                stack.name
            );
            return wrong(Invariant::VariablesAgree, words);
        }
    }
}
