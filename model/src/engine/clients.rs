//! A client task: it starts after a while, and connects to the database that its secret names.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use crate::{
    base::{
        clock::pass,
        invariant::{Invariant, Violation},
    },
    services::{
        clients::{State, Task},
        rds::logins,
        stacks::{Stack, StackEvent},
    },
    world::model::{Model, World},
};

/// What `psql` says if nothing answers.
const TIMEOUT: &str = "timeout expired";
/// ECS's reason when a container has ended.
const EXITED: &str = "Essential container in task exited";

pub(crate) async fn run(model: &Arc<Model>, arn: &str) {
    let _busy = model.working();
    let mut random = model.random("client");
    pass(random.within(2_000, 50_000)).await;
    let trouble = !model.world().settled && random.chance(model.plan.weather.refused);
    let trouble = if trouble { random.below(5) } else { u64::MAX };
    let mut world = model.world();
    let Some(task) = world.clients.tasks.get(arn).filter(|task| task.state == State::Pending).cloned() else {
        return;
    };
    let secret = world.clients.definitions.get(&task.definition).cloned();
    let is_measuring = task.command == database::downtime_command();
    let value = secret.and_then(|(secret, label)| {
        let secret = world.secrets.by_arn.get(&secret)?;
        let label = if label.is_empty() { "AWSCURRENT" } else { &label };
        let version = secret.versions.values().find(|version| version.labels.contains(label))?;
        Some(version.value.clone())
    });
    if let Some(words) = value.as_deref().and_then(|value| outdated(&world, value)) {
        let violation = Violation { invariant: Invariant::SecretAgrees, words, at: model.now() };
        world.violations.push(violation);
    }
    let state = match (trouble, value) {
        // It stays pending until someone stops it.
        (0, _) => return,
        (1, _) => State::Stopped { reason: "CannotPullContainerError: i/o timeout", exit_code: None },
        (2, _) => State::Stopped { reason: EXITED, exit_code: Some(137) },
        (3, _) => State::Stopped { reason: EXITED, exit_code: Some(2) },
        (4, _) => State::Forgotten,
        (_, None) => State::Stopped {
            reason: "ResourceInitializationError: unable to pull secrets: ResourceNotFoundException",
            exit_code: None,
        },
        // It runs until someone stops it.
        (_, Some(value)) if is_measuring => {
            let is_up = connect(&mut world, &value, &task.security_group, model.now()).is_ok();
            let seconds = model.clock.date().unix_timestamp();
            write(&mut world, arn, format!("{} {seconds}", if is_up { "up" } else { "down" }));
            return;
        }
        (_, Some(value)) => match work(model, &mut world, &task, &value) {
            Ok(()) => State::Stopped { reason: EXITED, exit_code: Some(0) },
            Err(words) => {
                if let Some(words) = cut_off(&world, &value).filter(|_| words == TIMEOUT) {
                    let violation = Violation { invariant: Invariant::Access, words, at: model.now() };
                    world.violations.push(violation);
                }
                write(&mut world, arn, format!("psql: error: connection to server failed: {words}"));
                State::Stopped { reason: EXITED, exit_code: Some(2) }
            }
        },
    };
    if let Some(task) = world.clients.tasks.get_mut(arn) {
        task.state = state.clone();
    }
    drop(world);
    model.note(|| format!("client {arn}: {state:?}"));
}

/// Writes to the log of a task.
fn write(world: &mut World, arn: &str, line: String) {
    let stream = format!("client/client/{}", arn.rsplit('/').next().unwrap_or_default());
    world.logs.streams.insert(stream, vec![(0, line)]);
}

/// Once a rebuild has let its services in, nobody else shuts them out.
fn cut_off(world: &World, value: &str) -> Option<String> {
    let stack = world.stacks.all.values().filter(|stack| stack.status == "UPDATE_IN_PROGRESS");
    let stack =
        stack.filter(|stack| stack.source() == "attached").find(|stack| proves(world, stack, value))?;
    let began = |event: &StackEvent| event.logical == stack.name && event.status == "UPDATE_IN_PROGRESS";
    let of_update = stack.events.iter().rev().take_while(|event| !began(event));
    let mut of_access = of_update.filter(|event| event.logical == "Access");
    let is_let_in = of_access.next().is_some_and(|event| event.status.ends_with("_COMPLETE"));
    is_let_in.then(|| format!("the client of {} cannot connect although it was let in", stack.name))
}

/// Whether this is what the stage's clients read.
fn proves(world: &World, stack: &Stack, value: &str) -> bool {
    let secret = stack.resources.get("Secret").and_then(|found| world.secrets.by_arn.get(&found.physical_id));
    let mut versions = secret.into_iter().flat_map(|secret| secret.versions.values());
    versions.any(|version| version.labels.contains("stagedb-proof") && version.value == value)
}

/// A rebuild copies credentials that are in another secret, so what its client reads is as new as the rebuild.
fn outdated(world: &World, text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    let (since, newest) = world.rotations.last()?;
    let password = value["password"].as_str()?;
    let mut copied = world.rotations.iter().map(|(_, copied)| copied);
    if password == newest || !copied.any(|copied| copied == password) {
        return None;
    }
    let mut stacks = world.stacks.all.values().filter(|stack| stack.status == "UPDATE_IN_PROGRESS");
    let stack = stacks.find(|stack| proves(world, stack, text))?;
    let is_older = stack.rebuilt.is_some_and(|rebuilt| *since < rebuilt);
    is_older.then(|| format!("the client of {} gets a password from before the rebuild", stack.name))
}

/// Does what the client's command says.
fn work(model: &Model, world: &mut World, task: &Task, value: &str) -> Result<(), &'static str> {
    let (command, now) = (&task.command, model.now());
    // Either password of the master user may be the server's.
    let next = (*command != database::connect_command()).then(|| with_next_password(value)).flatten();
    match (connect(world, value, &task.security_group, now), next) {
        (Err(_), Some(next)) => connect(world, &next, &task.security_group, now)?,
        (connected, _) => connected?,
    }
    if *command == database::connect_command() {
        world.clients.proved.insert(value.to_owned());
        return Ok(());
    }
    let value: Value = serde_json::from_str(value).unwrap_or_default();
    let identifier = value["dbInstanceIdentifier"].as_str().unwrap_or_default().to_owned();
    let before = running(world, &identifier, now);
    let instance = world.rds.instances.get_mut(&identifier).ok_or("FATAL:  the database is gone")?;
    if *command == database::logins_command() {
        logins::set_up(instance, &value)?;
    } else {
        logins::settle(instance, &value);
    }
    let after = running(world, &identifier, now);
    // Containers from before the data was removed and restored may still have a password of that time.
    let is_kept = value["obsolete"] != "all" && value["sessions"] == "none";
    for service in before.difference(&after).filter(|_| is_kept) {
        let words = format!("a container of {service} can't log in anymore");
        world.violations.push(Violation { invariant: Invariant::LogsIn, words, at: now });
    }
    Ok(())
}

/// The value with the master user's next password, if there is one.
fn with_next_password(value: &str) -> Option<String> {
    let mut value: Value = serde_json::from_str(value).ok()?;
    let next = value["nextPassword"].as_str().filter(|next| *next != "none")?.to_owned();
    value["password"] = next.into();
    Some(value.to_string())
}

/// The services of the stage with this database whose running containers can log in, one entry for each deployment.
fn running(world: &World, identifier: &str, now: u64) -> BTreeSet<String> {
    let (Some(instance), Some(name)) =
        (world.rds.instances.get(identifier), identifier.strip_suffix("-postgres"))
    else {
        return BTreeSet::new();
    };
    let services = world.ecs.services.iter().filter(|(service, _)| service.starts_with(name));
    let mut running = BTreeSet::new();
    for (service, found) in services {
        for deployment in found.running(now) {
            let variable = |name: &str| deployment.variables.get(name).cloned().flatten().unwrap_or_default();
            if logins::accepts(instance, &variable("PG_USER"), &variable("PG_CREDENTIALS_SECRET")) {
                running.insert(format!("{service} (deployment {})", deployment.number));
            }
        }
    }
    running
}

/// Connects as `psql` would.
fn connect(world: &mut World, value: &str, source: &str, now: u64) -> Result<(), &'static str> {
    let value: Value = serde_json::from_str(value).unwrap_or_default();
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    world.rds.advance(now);
    let identifier = text("dbInstanceIdentifier");
    let Some(instance) = world.rds.instances.get(identifier) else {
        return Err("could not translate host name to address");
    };
    if instance.endpoint(identifier).as_deref() != Some(text("host")) {
        return Err("could not translate host name to address");
    }
    let is_let_in =
        |group: &String| world.ec2.rules.values().any(|rule| rule.group == *group && rule.source == source);
    if !instance.security_groups.iter().any(is_let_in) {
        return Err(TIMEOUT);
    }
    // Users type credentials of the other database that are right.
    let is_typed = instance.foreign && world.typed.values().any(|typed| typed == text("password"));
    let rotated = world.rotations.last().map(|(_, password)| password.as_str());
    if instance.foreign && text("password") != rotated.unwrap_or_default() && !is_typed {
        return Err("FATAL:  password authentication failed for user \"theirs\"");
    }
    if !instance.foreign && !logins::accepts(instance, text("username"), text("password")) {
        return Err("FATAL:  password authentication failed for user");
    }
    if instance.database_name != text("dbname") && !instance.foreign {
        return Err("FATAL:  database \"x\" does not exist");
    }
    Ok(())
}
