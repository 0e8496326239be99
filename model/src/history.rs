//! One history: people do what the plan says, AWS does what it may, then AWS is well, everything comes to rest, and what must
//! hold is looked at.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    clock::pass,
    coverage::Coverage,
    engine,
    functions::{self, call_api},
    invariants, log,
    plan::{Action, CLASSES, Pause, Plan, Step},
    plant::Plant,
    random::Random,
    services::{
        ecs::{CLUSTER, CONTAINER, SECURITY_GROUP},
        rds::{Instance, ORDERS, ORDERS_GROUP},
        secrets::{ORDERS_SECRET, PASSWORD_MARK},
        stacks,
    },
    world::{Figures, Invariant, Model, Violation, What, World, cannot_call},
};

/// The stages of a history.
const STAGES: [(&str, &str); 2] = [("shop", "dev"), ("shop", "prod")];
/// No operation and no event takes longer than this, in days.
const PATIENCE_DAYS: u64 = 30;

/// A history with more calls, or more invocations, never ends: the longest of 6,000 had 1,001.
const LIMIT: u64 = 20_000;

/// Everything that can be under way.
const ALL: [What; 2] = [What::Work, What::Delivery];

/// How a history went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What did not hold, the first one first.
    pub violations: Vec<Violation>,
    /// What it was made of.
    pub figures: Figures,
    /// Where it was.
    pub coverage: Coverage,
    /// What happened, line by line, if that was asked for.
    pub trace: Vec<String>,
}

/// Runs a history on this thread: no real time passes, and the same plan leads to the same outcome.
///
/// # Panics
/// The model itself is broken.
#[must_use]
pub fn run(plan: &Plan, plant: Option<Plant>, traced: bool) -> Outcome {
    run_within(plan, plant, traced, LIMIT)
}

/// Runs a history that is cut off, and has failed, once it has made more calls or invocations than the limit.
///
/// # Panics
/// The model itself is broken.
#[must_use]
pub fn run_within(plan: &Plan, plant: Option<Plant>, traced: bool, limit: u64) -> Outcome {
    log::Log::install();
    log::take_leak();
    let mut world = if plan.registered { registered(plan.stages(), plant) } else { World::new() };
    world.trace = traced.then(Vec::new);
    timeless().block_on(async {
        let model = Model::within(world, plan.clone(), plant, limit);
        tokio::select! {
            biased;
            () = model.cut_off.notified() => {
                let figures = model.world().figures.clone();
                let words = format!("cut off after {} calls and {} invocations", figures.calls, figures.invocations);
                model.violated(Invariant::Ends, words);
            }
            () = live(&model) => {}
        }
        let mut world = model.world();
        // The processes know the model, and the model them.
        functions::end(&mut world.warm);
        world.figures.seconds = model.now() / 1000;
        world.figures.longest = world.figures.calls.max(world.figures.invocations);
        Outcome {
            violations: std::mem::take(&mut world.violations),
            figures: world.figures.clone(),
            coverage: std::mem::take(&mut world.recorder.coverage),
            trace: world.trace.take().unwrap_or_default(),
        }
    })
}

/// A runtime in which no real time passes.
pub(crate) fn timeless() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

thread_local! {
    /// Worlds in which so many stages are registered.
    static REGISTERED: RefCell<BTreeMap<(usize, Option<Plant>), World>> = const { RefCell::new(BTreeMap::new()) };
}

/// A world in which so many stages are registered, and at rest. It is always the same one, so it is made once.
fn registered(stages: usize, plant: Option<Plant>) -> World {
    REGISTERED.with_borrow_mut(|worlds| {
        let make = || {
            timeless().block_on(async {
                let model = Model::within(World::new(), Plan::calm(), plant, LIMIT);
                register_at_rest(&model, stages).await;
                let mut world = model.world();
                functions::end(&mut world.warm);
                world.for_another()
            })
        };
        worlds.entry((stages, plant)).or_insert_with(make).for_another()
    })
}

async fn live(model: &Arc<Model>) {
    let stages = model.plan.stages();
    if model.plan.registered {
        pass(24 * 3_600_000).await;
    } else {
        register(model, stages).await;
    }
    let mut others = Vec::new();
    for Step { after, stage, action, beside } in model.plan.steps.clone() {
        match after {
            Pause::AtRest => rest(model, &[What::Work]).await,
            Pause::Seconds(seconds) => pass(u64::from(seconds) * 1000).await,
        }
        model.note(|| format!("---- stage {stage}: {action:?}"));
        if beside {
            let (model, busy) = (Arc::clone(model), model.working());
            others.push(tokio::spawn(async move {
                let _busy = busy;
                act(&model, usize::from(stage), action).await;
            }));
        } else {
            act(model, usize::from(stage), action).await;
        }
    }
    for other in others {
        other.await.unwrap();
    }
    settle(model).await;
    if let Some(line) = log::take_leak() {
        model.violated(Invariant::NothingLeaks, format!("a secret in a log: {}", line.len()));
    }
    let now = model.now();
    invariants::check(&mut model.world(), now);
}

/// Registers the first stages, each with its service.
async fn register(model: &Arc<Model>, stages: usize) {
    for (stack, stage) in STAGES.into_iter().take(stages) {
        let mut world = model.world();
        let secrets = world.secrets.clone();
        world.ecs.make(&format!("{stack}-{stage}"), &secrets);
    }
    for number in 0..stages {
        act(model, number, Action::Register).await;
    }
}

/// Registers the first stages, and waits until their stacks are there.
pub(crate) async fn register_at_rest(model: &Arc<Model>, stages: usize) {
    register(model, stages).await;
    rest(model, &ALL).await;
}

/// Waits until nothing runs; that it never ends is a violation.
async fn rest(model: &Arc<Model>, of: &[What]) {
    let patience = Duration::from_secs(PATIENCE_DAYS * 24 * 3600);
    if tokio::time::timeout(patience, model.quiet(of)).await.is_err() {
        model.violated(Invariant::Ends, "something never came to rest");
    }
}

/// AWS is well again, and people bring back what failed meanwhile.
async fn settle(model: &Arc<Model>) {
    model.world().settled = true;
    rest(model, &ALL).await;
    // A day and more: snapshots, deletions and optimisations end.
    pass(40 * 3_600_000).await;
    for round in 0..3 {
        let now = model.now();
        let identifiers: Vec<_> = model.world().rds.instances.keys().cloned().collect();
        for identifier in identifiers {
            model.world().rds.start(&identifier, now);
        }
        pass(120_000).await;
        let failed: Vec<(String, String, &'static str)> = {
            let world = model.world();
            let all = world.stacks.all.iter();
            all.filter(|(_, s)| s.status.ends_with("_FAILED"))
                .map(|(id, s)| (id.clone(), s.name.clone(), s.status))
                .collect()
        };
        if failed.is_empty() {
            break;
        }
        for (id, name, status) in failed {
            model.note(|| format!("---- {name} is brought back from {status}, round {round}"));
            if status == "UPDATE_ROLLBACK_FAILED" {
                engine::continue_rollback(model, &id).await;
            } else {
                model.world().stacks.all.get_mut(&id).unwrap().protected = false;
                let _ = stacks::delete(model, &id);
            }
            rest(model, &ALL).await;
        }
        pass(3_600_000).await;
    }
    rest(model, &ALL).await;
    // What waited for the maintenance window has come.
    pass(9 * 24 * 3_600_000).await;
    let stages = model.plan.stages();
    if Random::of(model.plan.seed, "last look", 0).chance(LAST_LOOKS) {
        for number in 0..stages {
            look_at_rebuild(model, number).await;
        }
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
        // A plain failure of AWS's is told as 503; a 500 is a defect or a refusal that nobody expected.
        model.violated(Invariant::Handled, format!("{method} {path} -> {status} {body}"));
    }
    reply
}

#[expect(clippy::too_many_lines, reason = "one arm for each thing that a person does")]
async fn act(model: &Arc<Model>, number: usize, action: Action) {
    let (stack, stage) = STAGES[number];
    let name = format!("{stack}-{stage}");
    let identifier = format!("{name}-postgres");
    let now = model.now();
    match action {
        Action::Register => {
            let service = json!({"cluster": CLUSTER, "name": name, "container": CONTAINER});
            let body = json!({"vpcId": "vpc-0123456789abcdef0", "service": service});
            call(model, "PUT", &path(number, ""), Some(body)).await;
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
            ] {
                if more & (1 << bit) != 0 {
                    body[name] = value;
                }
            }
            save(model, number, body).await;
        }
        Action::Attach { typed, other } => {
            let password = format!("{PASSWORD_MARK}typed{:04}", model.issue());
            let credentials = if typed {
                json!({"username": "theirs", "password": password})
            } else {
                json!({"secretArn": ORDERS_SECRET})
            };
            let inside = if other { "archive" } else { "theirs" };
            let body = json!({
                "source": "attached", "identifier": ORDERS, "databaseName": inside, "credentials": credentials,
            });
            save(model, number, body).await;
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
        Action::DeleteStage => {
            call(model, "DELETE", &path(number, ""), None).await;
        }
        Action::Look => {
            call(model, "GET", "/api/stacks", None).await;
            for of in ["/database", "/runtime-variables"] {
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
        Action::CancelUpdate => engine::cancel(model, &name),
        Action::DeleteStack => {
            let id = model.world().stacks.find(&name).map(|(id, _)| id.clone());
            if let Some(id) = id {
                model.world().stacks.all.get_mut(&id).unwrap().protected = false;
                let _ = stacks::delete(model, &id);
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
                engine::stray_delete(model, &name).await;
            }
        }
        Action::Deploy { keeps } => {
            rest(model, &[What::Publication]).await;
            deploy(model, &name, |container| {
                if !keeps {
                    container["secrets"] = json!([]);
                }
                container["image"] = json!("app:2");
            });
            // With the variables in it, the containers have what others have.
            if !keeps {
                model.world().deployed_by_hand.insert(name);
            }
        }
        Action::RestartTasks => {
            let mut guard = model.world();
            let world = &mut *guard;
            world.ecs.restart(&name, &world.secrets);
        }
        Action::OwnVariable(there) => {
            // Whoever deploys in the same second as somebody else loses: ECS has no condition for that.
            rest(model, &[What::Publication]).await;
            deploy(model, &name, |container| {
                let environment = container["environment"].as_array_mut().unwrap();
                environment.retain(|pair| pair["name"] != "PG_HOST");
                if there {
                    environment.push(json!({"name": "PG_HOST", "value": "their.host"}));
                    // ECS refuses the same name in both.
                    let secrets = container["secrets"].as_array_mut().unwrap();
                    secrets.retain(|secret| secret["name"] != "PG_HOST");
                }
            });
            let mut world = model.world();
            world.deployed_by_hand.insert(name.clone());
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

/// A person saves, and now and then looks at the preview before.
async fn save(model: &Arc<Model>, number: usize, body: Value) {
    let (stack, stage) = STAGES[number];
    let name = format!("{stack}-{stage}");
    model.world().promised.remove(&name);
    // Somebody else may change what was promised, so a person who looks at a preview is alone.
    let is_alone = !model.plan.steps.iter().any(|step| step.beside);
    let before_preview = as_it_is(model, &name);
    let preview = if is_alone && model.random("preview").chance(PREVIEWS) {
        call(model, "POST", &path(number, "/database/preview"), Some(body.clone())).await
    } else {
        None
    };
    // Kept before the save, whose rebuild may begin before its answer is here.
    let before_save = as_it_is(model, &name);
    if let Some((200, promise)) = &preview {
        let changes = promise["changes"].as_array().into_iter().flatten();
        let mut interrupts = changes.filter(|change| change["effect"] == "interruption");
        // Changes that waited for the maintenance window are made with others, which the preview says in words.
        let warns = promise["warnings"].to_string().contains("maintenance window");
        let interrupts = interrupts.next().is_some() || warns;
        model.world().promised.insert(name.clone(), interrupts);
    }
    let saved = call(model, "PUT", &path(number, "/database"), Some(body)).await;
    let (Some((before, promise)), Some((after, reply))) = (preview, saved) else { return };
    // RDS and CloudFormation may have gone on between the two, and during them.
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
    // A rebuild of settings that stay, because the containers lack their variables, is no change that a preview shows.
    let is_repair = before == 200 && promise["rebuild"] == false && after == 202;
    if !agrees && !is_repair {
        let words = format!("{name}: {before} {promise}, and then {after} {reply}");
        model.violated(Invariant::Promised, words);
    }
}

/// The status of a stage's stack; and its instance, and which of its snapshots are available.
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

/// How many in a thousand saves are looked at before.
const PREVIEWS: u16 = 250;
/// After how many in a thousand histories the API is asked how the last rebuild went.
const LAST_LOOKS: u16 = 300;

/// What the API says of a rebuild is how it went.
async fn look_at_rebuild(model: &Arc<Model>, number: usize) {
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
    // Events show a moment late, and nothing may happen in between.
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
        model.violated(Invariant::Told, format!("{name} is in {status} and said to be {phase}"));
    }
    let reason = said["reason"].as_str().unwrap_or_default();
    let cause = cause.filter(|_| !status.ends_with("COMPLETE") || status.contains("ROLLBACK"));
    if cause.as_ref().is_some_and(|cause| reason.is_empty() || !cause.contains(reason)) {
        model.violated(Invariant::Told, format!("{name} failed with {cause:?}, and {reason:?} is said"));
    }
}

/// Somebody deploys a task definition that was changed by hand.
fn deploy(model: &Arc<Model>, name: &str, change: impl FnOnce(&mut Value)) {
    let now = model.now();
    let mut guard = model.world();
    let world = &mut *guard;
    let Some(service) = world.ecs.services.get(name) else { return };
    let mut definition = world.ecs.definitions[&service.definition].clone();
    change(&mut definition["containerDefinitions"][0]);
    let arn = world.ecs.register(definition);
    world.ecs.deploy(name, Some(arn), now, &world.secrets);
}
