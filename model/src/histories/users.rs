//! What users do: through the API, in the AWS console, and with their own deployments.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    base::{invariant::Invariant, kind::Kind},
    engine::{
        begin::begin,
        cloudformation, deployments,
        functions::{call_api, invoke_later},
    },
    plans::plan::{Action, CLASSES},
    services::{
        ecs::{BROKEN, CLUSTER, CONTAINER, SECURITY_GROUP},
        rds::{Instance, ORDERS, ORDERS_GROUP},
        secrets::{ORDERS_SECRET, PASSWORD_MARK},
    },
    world::model::{Model, cannot_call},
};

/// The stages of a history.
pub(super) const STAGES: [(&str, &str); 2] = [("shop", "dev"), ("shop", "prod")];

#[expect(clippy::too_many_lines, reason = "one arm for each user action")]
pub(super) async fn act(model: &Arc<Model>, number: usize, action: Action) {
    let (stack, stage) = STAGES[number];
    let name = format!("{stack}-{stage}");
    let identifier = format!("{name}-postgres");
    let now = model.now();
    match action {
        Action::Register => {
            let which = model.world().sets.get(&name).copied().unwrap_or_default();
            call(model, "PUT", &path(number, ""), Some(registration(&name, which))).await;
        }
        Action::Services(which) => {
            model.world().sets.insert(name.clone(), which);
            call(model, "PUT", &path(number, ""), Some(registration(&name, which))).await;
        }
        Action::RestoreVariables => {
            call(model, "POST", &path(number, "/runtime-variables"), None).await;
        }
        Action::RegisterJob => {
            let mut world = model.world();
            let family = format!("{name}-migrate");
            let Some(mut definition) = world.ecs.latest(&family).cloned() else { return };
            definition["containerDefinitions"][0]["secrets"] = json!([]);
            world.ecs.register(definition, now);
            world.lacking_jobs.insert(family);
        }
        Action::Save { class, storage, more } => {
            let mut body = json!({
                "source": "created", "instanceClass": CLASSES[usize::from(class)], "storageGiB": storage, "databaseName": "app",
            });
            for (bit, name, value) in [
                (0, "multiAz", json!(true)),
                (1, "backupRetentionDays", json!(14)),
                (2, "maxStorageGiB", json!(500)),
                (3, "apply", json!("maintenance-window")),
                (4, "engineVersion", json!("17.6")),
                (5, "engineVersion", json!("18")),
                (5, "confirm", json!(identifier)),
                (6, "appLogin", json!(true)),
                (6, "rotationDays", json!(30)),
                (7, "appLogin", json!(false)),
                (7, "rotationDays", json!(0)),
            ] {
                if more & (1 << bit) != 0 {
                    body[name] = value;
                }
            }
            save(model, number, body).await;
        }
        Action::Attach { typed, other } => {
            let body = attachment(model, typed, other);
            save(model, number, body).await;
        }
        Action::TestConnection => {
            let body = attachment(model, true, false);
            call(model, "POST", &path(number, "/database/connection-test"), Some(body)).await;
        }
        Action::Restore => {
            let newest = {
                let world = model.world();
                let of_stage = world.rds.snapshots.iter().filter(|(_, s)| s.identifier == identifier);
                let newest = of_stage.max_by_key(|(_, snapshot)| snapshot.taken_at);
                newest.map(|(id, snapshot)| (id.clone(), snapshot.instance.storage))
            };
            let Some((id, storage)) = newest else { return };
            let body = json!({
                "source": "created", "instanceClass": CLASSES[0], "storageGiB": storage, "fromSnapshot": id,
            });
            save(model, number, body).await;
        }
        Action::Remove => {
            let is_attached = model.world().stacks.find(&name).is_some_and(|(_, s)| s.source() == "attached");
            let confirm = if is_attached { ORDERS } else { &identifier };
            call(model, "DELETE", &path(number, "/database"), Some(json!({"confirm": confirm}))).await;
        }
        Action::Rebuild => {
            model.world().promised.remove(&name);
            call(model, "POST", &path(number, "/rebuild"), None).await;
        }
        Action::RotateLogin => {
            model.world().promised.remove(&name);
            call(model, "POST", &path(number, "/database/rotation"), None).await;
        }
        Action::RotateNow => {
            model.world().promised.remove(&name);
            let body = json!({"immediately": true});
            call(model, "POST", &path(number, "/database/rotation"), Some(body)).await;
        }
        Action::Schedule => {
            for (stack, stage) in STAGES {
                model.world().promised.remove(&format!("{stack}-{stage}"));
            }
            let at = model.clock.date() + time::Duration::days(31);
            let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
            invoke_later(model, Kind::SettingsApi, &json!({"scheduledAt": at}));
        }
        Action::DeleteStage => {
            call(model, "DELETE", &path(number, ""), None).await;
        }
        Action::Look => {
            call(model, "GET", "/api/stacks", None).await;
            call(model, "GET", "/api/services", None).await;
            for of in ["", "/database", "/runtime-variables", "/runtime-variables/snippets", "/history"] {
                call(model, "GET", &path(number, of), None).await;
            }
            look_at_rebuild(model, number).await;
        }
        Action::StopInstance => {
            model.world().rds.stop(&identifier, now);
        }
        Action::StartInstance => {
            model.world().rds.start(&identifier, now);
        }
        Action::DeleteInstance => {
            let mut world = model.world();
            if world.rds.delete_by_hand(&identifier, now) {
                world.spoilt.insert(identifier);
            }
        }
        Action::Autoscale => model.world().rds.autoscale(&identifier, now),
        Action::RemoveTag(number) => {
            let keys = ["stagedb:stage-stack-id", "stagedb:logical-id", "stagedb:generation"];
            let mut world = model.world();
            if let Some(instance) = world.rds.instances.get_mut(&identifier) {
                instance.tags.remove(keys[usize::from(number)]);
                world.spoilt.insert(identifier);
            }
        }
        Action::CancelUpdate => cloudformation::cancel(model, &name),
        Action::DeleteStack => {
            let id = model.world().stacks.find(&name).map(|(id, _)| id.clone());
            if let Some(id) = id {
                model.world().stacks.all.get_mut(&id).unwrap().protected = false;
                delete(model, &id);
            }
        }
        Action::ForeignInstance => {
            let mut world = model.world();
            if world.rds.make_foreign(&identifier, now) {
                world.spoilt.insert(identifier);
            }
        }
        Action::StrayDelete => {
            let busy = model.world().stacks.find(&name).is_none_or(|(_, stack)| stack.is_busy());
            if !busy {
                cloudformation::stray_delete(model, &name).await;
            }
        }
        Action::Deploy { keeps, worker, broken } => {
            let name = if worker { format!("{name}-worker") } else { name };
            let image = format!("app:{}{}", model.issue(), if broken { BROKEN } else { "" });
            deploy(model, &name, |container| {
                if !keeps {
                    container["secrets"] = json!([]);
                }
                container["image"] = json!(image);
            });
        }
        Action::RestartTasks => {
            let mut guard = model.world();
            let world = &mut *guard;
            world.ecs.restart(&name, &world.secrets);
        }
        Action::OwnVariable(there) => {
            deploy(model, &name, |container| {
                let environment = container["environment"].as_array_mut().unwrap();
                environment.retain(|pair| pair["name"] != "PG_HOST");
                if there {
                    environment.push(json!({"name": "PG_HOST", "value": "their.host"}));
                    // ECS rejects the same name in both lists.
                    let secrets = container["secrets"].as_array_mut().unwrap();
                    secrets.retain(|secret| secret["name"] != "PG_HOST");
                }
            });
            let mut world = model.world();
            if there {
                world.own_variables.insert(name);
            } else {
                world.own_variables.remove(&name);
            }
        }
        Action::Rotate => {
            let mut world = model.world();
            let password = world.secrets.rotate();
            world.rotations.push((now, password));
        }
        Action::OpenRule => {
            let mut world = model.world();
            if let Some(id) = world.ec2.make(ORDERS_GROUP, SECURITY_GROUP) {
                world.rules_by_hand.insert(id);
            }
        }
        Action::CannotCall(logical) => {
            model.world().cannot_call.insert(cannot_call(&name, logical));
        }
    }
}

/// A user saves, and sometimes looks at the preview first.
async fn save(model: &Arc<Model>, number: usize, body: Value) {
    let (stack, stage) = STAGES[number];
    let name = format!("{stack}-{stage}");
    model.world().promised.remove(&name);
    // Another user, or the schedule, could change what was promised, so previews are only used by a single user.
    let is_alone = !model.plan.steps.iter().any(|step| step.beside || step.action == Action::Schedule);
    let before_preview = as_it_is(model, &name);
    let preview = if is_alone && model.random("preview").chance(PREVIEWS) {
        call(model, "POST", &path(number, "/database/preview"), Some(body.clone())).await
    } else {
        None
    };
    // Recorded before the save, because its rebuild may start before the response arrives.
    let before_save = as_it_is(model, &name);
    if let Some((200, promise)) = &preview {
        let changes = promise["changes"].as_array().into_iter().flatten();
        let mut interrupts = changes.filter(|change| change["effect"] == "interruption");
        // Changes that wait for the maintenance window are applied together with others. The preview warns about this.
        let warns = promise["warnings"].to_string().contains("maintenance window");
        let interrupts = interrupts.next().is_some() || warns;
        model.world().promised.insert(name.clone(), interrupts);
    }
    let saved = call(model, "PUT", &path(number, "/database"), Some(body)).await;
    let (Some((before, promise)), Some((after, reply))) = (preview, saved) else { return };
    // RDS and CloudFormation may have made progress between the two calls, and during them.
    let is_at_rest = before_save.0.is_some_and(|status| status.ends_with("_COMPLETE"));
    if [before, after].contains(&503)
        || !is_at_rest
        || before_preview != before_save
        || before_save.1 != as_it_is(model, &name).1
    {
        return;
    }
    let agrees = match before {
        200 => {
            promise["settings"] == reply["settings"]
                && after == if promise["rebuild"] == true { 202 } else { 200 }
        }
        refused => refused == after && promise["detail"] == reply["detail"],
    };
    // A preview doesn't show a rebuild with unchanged settings that only restores missing variables.
    let is_repair = before == 200 && promise["rebuild"] == false && after == 202;
    if !agrees && !is_repair {
        let words = format!("{name}: {before} {promise}, but then {after} {reply}");
        model.violated(Invariant::Promised, words);
    }
}

/// The status of a stage's stack, its instance, and the available snapshots.
fn as_it_is(model: &Arc<Model>, name: &str) -> (Option<&'static str>, (Option<Instance>, Vec<String>)) {
    let now = model.now();
    let identifier = format!("{name}-postgres");
    let mut world = model.world();
    world.rds.advance(now);
    let available = world.rds.snapshots.iter().filter(|(_, snapshot)| snapshot.available_at <= now);
    let available = available.map(|(id, _)| id.clone()).collect();
    let status = world.stacks.find(name).map(|(_, stack)| stack.status);
    (status, (world.rds.instances.get(&identifier).cloned(), available))
}

/// How many saves in a thousand are preceded by a preview.
const PREVIEWS: u16 = 250;
/// Checks that the API reports a rebuild accurately.
pub(super) async fn look_at_rebuild(model: &Arc<Model>, number: usize) {
    let (stack, stage) = STAGES[number];
    let name = format!("{stack}-{stage}");
    let look = || {
        let world = model.world();
        let (_, stack) = world.stacks.find(&name)?;
        Some((stack.status, stack.cause.clone(), stack.events.len(), stack.events.last()?.at))
    };
    let before = look();
    let Some((200, said)) = call(model, "GET", &path(number, "/rebuild"), None).await else { return };
    let Some((status, cause, _, changed)) = before.clone() else { return };
    // Events appear with a delay, and nothing may happen in between.
    if before != look() || model.now() - changed < 10_000 {
        return;
    }
    let phases: &[&str] = match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" => &["redeploying", "complete", "failed"],
        "UPDATE_ROLLBACK_COMPLETE" => &["rolled-back"],
        status if status.ends_with("_IN_PROGRESS") => &["updating"],
        _ => &["failed"],
    };
    let phase = said["phase"].as_str().unwrap_or_default();
    if !phases.contains(&phase) {
        model.violated(Invariant::Told, format!("{name} is in {status}, but reported as {phase}"));
    }
    let reason = said["reason"].as_str().unwrap_or_default();
    let cause = cause.filter(|_| !status.ends_with("COMPLETE") || status.contains("ROLLBACK"));
    if cause.as_ref().is_some_and(|cause| reason.is_empty() || !cause.contains(reason)) {
        model.violated(Invariant::Told, format!("{name} failed with {cause:?}, but {reason:?} is reported"));
    }
}

/// Someone deploys a manually changed task definition.
fn deploy(model: &Arc<Model>, name: &str, change: impl FnOnce(&mut Value)) {
    let now = model.now();
    let mut guard = model.world();
    let world = &mut *guard;
    let Some(service) = world.ecs.services.get_mut(name) else { return };
    let mut definition = world.ecs.definitions[service.definition()].clone();
    let container = &mut definition["containerDefinitions"][0];
    change(container);
    let refers = container["secrets"].as_array().is_some_and(|secrets| !secrets.is_empty());
    container["image"].as_str().unwrap_or_default().clone_into(&mut service.image);
    service.team_refers = refers;
    if !refers {
        service.lacking.push(now);
    }
    let arn = world.ecs.register(definition, now);
    let number = world.ecs.deploy(name, Some(arn), now, &world.secrets);
    drop(guard);
    if let Some(number) = number {
        deployments::started(model, name, number);
    }
}

/// The body of a registration with one of the sets of services.
fn registration(name: &str, which: u8) -> Value {
    let service = |name: String| json!({"cluster": CLUSTER, "name": name, "container": CONTAINER});
    let (web, worker) = (service(name.to_owned()), service(format!("{name}-worker")));
    let job = json!({"family": format!("{name}-migrate"), "container": CONTAINER});
    match which {
        0 => json!({"services": [web]}),
        1 => json!({"services": [web, worker]}),
        2 => json!({"services": [web, worker], "jobs": [job]}),
        _ => json!({"services": [worker]}),
    }
}

/// Someone deletes a stack in the console.
pub(super) fn delete(model: &Arc<Model>, id: &str) {
    let begun = model.world().stacks.delete(id);
    if let Ok(Some(begun)) = begun {
        begin(model, begun);
    }
}

fn path(number: usize, of: &str) -> String {
    let (stack, stage) = STAGES[number];
    format!("/api/stacks/{stack}/stages/{stage}{of}")
}

async fn call(model: &Arc<Model>, method: &str, path: &str, body: Option<Value>) -> Option<(i64, Value)> {
    let reply = call_api(model, method, path, body.as_ref()).await;
    if let Some((status, body)) = &reply
        && ![200, 202, 404, 409, 422, 503].contains(status)
    {
        // A plain failure of AWS is reported as 503. A 500 is a bug or an unexpected rejection.
        model.violated(Invariant::Handled, format!("{method} {path} -> {status} {body}"));
    }
    reply
}

/// The database that can be attached, with credentials that the user types or that are in its secret.
fn attachment(model: &Model, typed: bool, other: bool) -> Value {
    let password = format!("{PASSWORD_MARK}typed{:04}", model.issue());
    let credentials = if typed {
        json!({"username": "theirs", "password": password})
    } else {
        json!({"secretArn": ORDERS_SECRET})
    };
    let inside = if other { "archive" } else { "theirs" };
    json!({"source": "attached", "identifier": ORDERS, "databaseName": inside, "credentials": credentials})
}
