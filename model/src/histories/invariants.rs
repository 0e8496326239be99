//! The invariants that must hold once everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use database::{AppLogin, Filter, Pages};
use serde_json::Value;

use crate::{
    base::invariant::{Invariant, Violation},
    services::{
        ecs::CONTAINER,
        rds::{Instance, ORDERS, ORDERS_GROUP, Owner, logins},
        secrets::Secret,
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
    recorded(world, &mut wrong);
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

/// The history of each stage shows every record once, and no secret. That every change has one is checked when it starts.
fn recorded(world: &World, wrong: &mut impl FnMut(Invariant, String)) {
    for (stream, lines) in &world.logs.streams {
        let mut pages = Pages::new(None, Filter::default(), usize::MAX);
        pages.take(lines.iter().rev().map(|(at, line)| (*at, line.as_str())));
        let mut ids = BTreeSet::new();
        for found in pages.finish(false).0 {
            if !ids.insert(found.record.id.clone()) {
                wrong(Invariant::Recorded, format!("{stream} has {} twice", found.record.id));
            }
        }
        if lines.iter().any(|(_, line)| crate::world::log::leaks(line)) {
            wrong(Invariant::NothingLeaks, format!("a secret in the history of {stream}"));
        }
    }
}

/// When the stage's last rebuild was asked for.
fn rebuilt(stack: &Stack) -> u64 {
    stack.rebuilt.unwrap_or(stack.created)
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
        || tag(instance, "stagedb:generation") != stack.parameter("Generation")
    {
        return wrong(Invariant::Owned, format!("{identifier} isn't the one in its stack"));
    }
    if let Some(snapshot) = world.rds.snapshots.get(stack.parameter("FromSnapshot"))
        && snapshot.instance.data != instance.data
    {
        wrong(Invariant::DataKept, format!("{identifier} doesn't have the data of its snapshot"));
    }
    let storage: u32 = stack.parameter("StorageGiB").parse().unwrap_or_default();
    let is_usable = ["available", "storage-optimization"].contains(&instance.status.as_str());
    for (what, holds) in [
        ("the status", is_usable),
        ("the class", instance.class == stack.parameter("InstanceClass")),
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
    logins_are_settled(world, stack, instance, secret, wrong);
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    if !logins::accepts(instance, text("username"), text("password")) {
        wrong(Invariant::SecretAgrees, format!("{identifier} refuses the credentials in the secret"));
    }
    let host = instance.endpoint(&identifier).unwrap_or_default();
    let user = stack.login().and_then(|login| login.published());
    for (key, expected) in [
        ("username", user.map_or(instance.username.as_str(), |user| user.user())),
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

/// How the name of the last execution that waits for the same rebuild's leftovers ends.
const LAST_ROUND: &str = "-23";

/// At rest, the login that is published is the only one that is enabled, and the objects belong to those who log in. Unless a
/// client couldn't run: then the secret says what is left to disable.
fn logins_are_settled(
    world: &World,
    stack: &Stack,
    instance: &Instance,
    secret: Option<&Secret>,
    wrong: &mut impl FnMut(Invariant, String),
) {
    let login = stack.login();
    let published = login.as_ref().and_then(|login| login.published());
    let labels = secret.map(Secret::labels).unwrap_or_default();
    let of_stack = format!(":stack/{}/", stack.name);
    let settling = world
        .executions
        .all
        .iter()
        .filter(|(name, execution)| name.starts_with("settle-") && execution.input.contains(&of_stack));
    // The last of the executions that wait for each other gives up, for example because someone stopped the instance for a day.
    let was_hindered = settling
        .into_iter()
        .any(|(name, execution)| execution.status != "SUCCEEDED" || name.ends_with(LAST_ROUND));
    // A snapshot keeps its logins if it's restored without the app login by a stage that knows none.
    let is_foreign = login.is_none() && stack.parameter("FromSnapshot") != "none";
    for (user, enabled) in &instance.logins {
        let is_labelled = labels.contains(format!("login-{}", enabled.since).as_str());
        let is_known = if is_labelled { was_hindered } else { is_foreign };
        if published.map(AppLogin::user) != Some(user) && !is_known {
            wrong(Invariant::Settled, format!("{user} of {} is still enabled", stack.name));
        }
    }
    if (instance.owner == Owner::App) != published.is_some() && !was_hindered && !is_foreign {
        wrong(Invariant::Settled, format!("the objects of {} don't belong to those who log in", stack.name));
    }
    if let Some(login) = login.filter(|login| !login.is_master) {
        master_is_rotated(world, stack, instance, &login.staging_label(), was_hindered, wrong);
    }
}

/// At rest, the master user's password is the one in its secret, and as new as the login. Unless RDS or a client hindered that: then
/// the secret has the next one, too.
fn master_is_rotated(
    world: &World,
    stack: &Stack,
    instance: &Instance,
    label: &str,
    was_hindered: bool,
    wrong: &mut impl FnMut(Invariant, String),
) {
    let arn = stack.outputs.get("MasterSecretArn");
    let secret = arn.and_then(|arn| world.secrets.by_arn.get(arn));
    let labelled = |label: &str| {
        let mut versions = secret.into_iter().flat_map(|secret| secret.versions.values());
        versions.find(|version| version.labels.contains(label))
    };
    let has_password = |label: &str| {
        let value = labelled(label).and_then(|version| serde_json::from_str::<Value>(&version.value).ok());
        value.is_some_and(|value| value["password"] == instance.password)
    };
    let current = format!("generation-{}", stack.parameter("Generation"));
    if !(has_password(&current) || was_hindered && has_password("stagedb-next")) {
        wrong(
            Invariant::SecretAgrees,
            format!("the master user of {} has a password that isn't in its secret", stack.name),
        );
    }
    if !has_password(label) && !was_hindered {
        wrong(Invariant::Settled, format!("the master user of {} has an old password", stack.name));
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
        ("dbname", stack.parameter("DatabaseName")),
        ("engine", "postgres"),
        ("dbInstanceIdentifier", ORDERS),
    ] {
        if value[key] != *expected {
            let words = format!("{key} in the secret of {name} is {} instead of {expected}", value[key]);
            wrong(Invariant::SecretAgrees, words);
        }
    }
    let password = value["password"].as_str().unwrap_or_default();
    let is_right = if stack.parameter("CredentialsSecretArn") == "none" {
        let key = (name.clone(), stack.parameter("Generation").to_owned());
        world.typed.get(&key).is_some_and(|typed| typed == password)
    } else {
        // After a rollback, the previous ones are fine too.
        let since = if stack.status == "UPDATE_COMPLETE" { rebuilt(stack) } else { 0 };
        let newer = |at: usize| world.rotations.get(at + 1).is_none_or(|(until, _)| *until >= since);
        let mut all = world.rotations.iter().enumerate();
        all.any(|(at, (_, one))| newer(at) && one == password)
    };
    if !is_right {
        wrong(Invariant::SecretAgrees, format!("the password in the secret of {name} is wrong"));
    }
}

/// The services of a stage with a database must have access, and a rule that isn't needed must not exist, unless a user
/// added it.
fn access(world: &World, wrong: &mut impl FnMut(Invariant, String)) {
    let rules = &world.ec2.rules;
    let live = world.stacks.all.values().filter(|stack| stack.status != "DELETE_COMPLETE");
    let live: Vec<_> = live.filter(|stack| !stack.status.ends_with("FAILED")).collect();
    let claim =
        |stack: &Stack| format!("stagedb:stage/{}/{}", stack.parameter("Stack"), stack.parameter("Stage"));
    for stack in live.iter().filter(|stack| stack.source() != "none") {
        let created = format!("{}-postgres", stack.name);
        let own_group = stack.resources.get("DatabaseSecurityGroup").map_or("", |group| &group.physical_id);
        let (identifier, group) = match stack.source() {
            "attached" => (ORDERS, ORDERS_GROUP),
            _ if world.spoilt.contains(&created) => continue,
            _ => (created.as_str(), own_group),
        };
        for source in stack.parameter("ServiceSecurityGroupIds").split(',') {
            let is_let_in = rules.values().any(|rule| {
                rule.group == group
                    && rule.source == source
                    && rule.tags.get(&claim(stack)).map(String::as_str) == Some(identifier)
            });
            if !is_let_in {
                wrong(
                    Invariant::Access,
                    format!("{source} of {} cannot connect to {identifier}", stack.name),
                );
            }
        }
    }
    for (id, rule) in rules {
        let mut claims = rule.tags.keys().filter(|key| key.starts_with("stagedb:stage/")).peekable();
        if claims.peek().is_none() && !world.rules_by_hand.contains(id) {
            wrong(Invariant::Access, format!("the rule {id} is left over"));
        }
        for key in claims {
            // A test that failed couldn't close what it opened.
            let test = key.rsplit('/').next().filter(|name| name.starts_with("test-"));
            let test = test.and_then(|name| world.executions.all.get(name));
            if test.is_some_and(|execution| execution.status != "SUCCEEDED") {
                continue;
            }
            let needs = |stack: &Stack| {
                claim(stack) == *key
                    && stack.source() != "none"
                    && stack.status != "DELETE_COMPLETE"
                    && (stack.status.ends_with("FAILED")
                        || stack
                            .parameter("ServiceSecurityGroupIds")
                            .split(',')
                            .any(|group| group == rule.source))
            };
            if !world.stacks.all.values().any(needs) {
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
fn logs_in(world: &World, stack: &Stack, service: &str, wrong: &mut impl FnMut(Invariant, String)) {
    let name = &stack.name;
    if world.own_variables.contains(service) {
        return;
    }
    let began = rebuilt(stack);
    let found = world.ecs.services.get(service);
    let has = |variable: &str| found.and_then(|found| found.variables.get(variable)).cloned().flatten();
    let instance = world.rds.instances.get(&format!("{name}-postgres"));
    if let (Some(instance), Some(user), Some(password)) =
        (instance, has("PG_USER"), has("PG_CREDENTIALS_SECRET"))
        && stack.source() == "created"
        && !logins::accepts(instance, &user, &password)
    {
        wrong(
            Invariant::LogsIn,
            format!("the containers of {service} have a password that the database rejects"),
        );
    }
    let actual = match stack.source() {
        "attached"
            if stack.parameter("CredentialsSecretArn") != "none" && stack.status == "UPDATE_COMPLETE" =>
        {
            world.rotations.last().filter(|(at, _)| *at < began).map(|(_, password)| password.clone())
        }
        _ => None,
    };
    if let (Some(actual), Some(has)) = (actual, has("PG_CREDENTIALS_SECRET"))
        && has != actual
    {
        wrong(
            Invariant::LogsIn,
            format!("the containers of {service} have a password that the database rejects"),
        );
    }
}

/// The containers of every service must have the variables of the stack's last complete state, and all other variables
/// and the image must be unchanged. So must the latest revision of a job. A service that isn't registered has none.
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
    let published = stack.source() != "none" && stack.status != "DELETE_COMPLETE";
    for name in [stack.name.clone(), format!("{}-worker", stack.name)] {
        let is_registered = stack
            .parameter("Services")
            .split(',')
            .any(|listed| listed.split('/').nth(1) == Some(&name) && stack.status != "DELETE_COMPLETE");
        of_service(world, stack, &name, published && is_registered, wrong);
        if published && is_registered && !world.spoilt.contains(&format!("{}-postgres", stack.name)) {
            logs_in(world, stack, &name, wrong);
        }
    }
    let family = format!("{}-migrate", stack.name);
    let is_registered = stack.parameter("Jobs").starts_with(&family);
    if let Some(latest) = world.ecs.latest(&family) {
        let has = references(&latest["containerDefinitions"][0]);
        let expected = expected(stack, published && is_registered);
        if has != expected {
            wrong(Invariant::VariablesAgree, format!("the job {family} has {has:?} instead of {expected:?}"));
        }
    }
}

/// The references in a container definition, by the name of the variable.
fn references(container: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let secrets = container["secrets"].as_array().into_iter().flatten();
    secrets.map(|secret| (text(&secret["name"]), text(&secret["valueFrom"]))).collect()
}

/// The references that a container should have.
fn expected(stack: &Stack, published: bool) -> BTreeMap<String, String> {
    let arn = stack.outputs.get("SecretArn").cloned().unwrap_or_default();
    let reference = |(name, key): (&str, &str)| (name.to_owned(), format!("{arn}:{key}::"));
    if published { VARIABLES.into_iter().map(reference).collect() } else { BTreeMap::new() }
}

fn of_service(
    world: &World,
    stack: &Stack,
    name: &str,
    published: bool,
    wrong: &mut impl FnMut(Invariant, String),
) {
    let Some(service) = world.ecs.services.get(name) else { return };
    let container = &world.ecs.definitions[service.definition()]["containerDefinitions"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let environment: BTreeMap<String, String> = container["environment"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|pair| (text(&pair["name"]), text(&pair["value"])))
        .collect();
    if environment.get("DEBUG").map(String::as_str) != Some("0") || container["name"] != CONTAINER {
        wrong(Invariant::VariablesAgree, format!("{name} lost its own variables"));
    }
    if container["image"] != *service.image {
        let words = format!("{name} runs {} instead of {}", container["image"], service.image);
        wrong(Invariant::ImagesKept, words);
    }
    let own = world.own_variables.contains(name);
    if own != environment.contains_key("PG_HOST") {
        let words = format!("the user's PG_HOST of {name} was {}", if own { "removed" } else { "added" });
        return wrong(Invariant::VariablesAgree, words);
    }
    // What a team put into its own definition is left alone.
    if own || (!published && service.team_refers) {
        return;
    }
    let (has, expected) = (references(container), expected(stack, published));
    if has != expected {
        let words = format!("{name} has {has:?} instead of {expected:?}");
        let is_foreign = !published && !has.is_empty() && !service.tags.contains_key("stagedb:stage");
        let invariant = if is_foreign { Invariant::ForeignUntouched } else { Invariant::VariablesAgree };
        return wrong(invariant, words);
    }
    if !published || world.spoilt.contains(&format!("{}-postgres", stack.name)) {
        return;
    }
    // The containers read the secret when they started.
    let arn = stack.outputs.get("SecretArn").cloned().unwrap_or_default();
    let secret = world.secrets.by_arn.get(&arn).and_then(crate::services::secrets::Secret::current);
    let secret = secret.unwrap_or_default();
    for (variable, key) in VARIABLES {
        let now =
            secret.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        if service.variables.get(variable).cloned().flatten() != now {
            let words =
                format!("the containers of {name} started with a {variable} that differs from the secret");
            return wrong(Invariant::VariablesAgree, words);
        }
    }
}
