//! One history: users do what the plan says, and AWS misbehaves as it may. Then AWS recovers, everything comes to rest,
//! and the invariants are checked.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use tokio::runtime::Runtime;

use crate::{
    base::{
        clock::pass,
        invariant::{Invariant, Violation},
        random::Random,
    },
    engine::{begin::begin, cloudformation, functions},
    histories::{
        invariants,
        rest::{ALL, rest},
        users::{STAGES, act, delete, look_at_rebuild},
    },
    plans::{
        plan::{Action, Pause, Plan, Step},
        plant::Plant,
    },
    world::{
        coverage::Coverage,
        log,
        model::{Figures, Model, What, World},
    },
};

/// A history with more calls or invocations is considered endless. The longest of 6,000 had 1,001.
const LIMIT: u64 = 20_000;

/// In milliseconds.
const A_DAY: u64 = 24 * 3_600_000;

/// After how many histories in a thousand the API's report of the last rebuild is checked.
const LAST_LOOKS: u16 = 300;

/// The result of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The violations, in chronological order.
    pub violations: Vec<Violation>,
    /// The statistics.
    pub figures: Figures,
    /// The places that it reached.
    pub coverage: Coverage,
    /// What happened, line by line, if a trace was requested.
    pub trace: Vec<String>,
}

/// Runs a history on this thread. No real time passes, and the same plan always has the same outcome.
///
/// # Panics
/// If the model itself has a bug.
#[must_use]
pub fn run(plan: &Plan, plant: Option<Plant>, traced: bool) -> Outcome {
    run_within(plan, plant, traced, LIMIT)
}

/// A world at rest, which histories can begin with.
#[derive(Debug)]
pub struct Prepared(World);

/// Runs a plan until everything is at rest, before anything is repaired. Within a day: the histories that follow begin the day after.
///
/// # Panics
/// If the model itself has a bug.
#[must_use]
pub fn prepare(plan: &Plan) -> Prepared {
    timeless().block_on(async {
        let model = Model::within(World::new(), plan.clone(), None, LIMIT, begin);
        steps(&model).await;
        rest(&model, &ALL).await;
        assert!(model.now() < A_DAY, "it takes more than a day");
        let world = model.world().for_another();
        functions::end();
        Prepared(world)
    })
}

/// Runs a history that begins with a world at rest, in which its stages are registered.
///
/// # Panics
/// If the model itself has a bug.
#[must_use]
pub fn run_after(prepared: &Prepared, plan: &Plan) -> Outcome {
    let plan = Plan { registered: true, ..plan.clone() };
    run_in(prepared.0.for_another(), &plan, None, false, LIMIT)
}

/// Runs a history with a limit. With more calls or invocations than the limit, it's cut off and counts as failed.
///
/// # Panics
/// If the model itself has a bug.
#[must_use]
pub fn run_within(plan: &Plan, plant: Option<Plant>, traced: bool, limit: u64) -> Outcome {
    let world = if plan.registered { registered(plan.stages(), plant) } else { World::new() };
    run_in(world, plan, plant, traced, limit)
}

fn run_in(mut world: World, plan: &Plan, plant: Option<Plant>, traced: bool, limit: u64) -> Outcome {
    log::Log::install();
    log::take_leak();
    world.trace = traced.then(Vec::new);
    timeless().block_on(async {
        let model = Model::within(world, plan.clone(), plant, limit, begin);
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
        // Breaks the cycle: the processes own the model, and the model owns them.
        functions::end();
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
    /// Worlds by the number of registered stages.
    static REGISTERED: RefCell<BTreeMap<(usize, Option<Plant>), World>> = const { RefCell::new(BTreeMap::new()) };
}

/// A world at rest, with this many registered stages. It's always the same, so it's created only once.
fn registered(stages: usize, plant: Option<Plant>) -> World {
    REGISTERED.with_borrow_mut(|worlds| {
        let make = || {
            timeless().block_on(async {
                let model = Model::within(World::new(), Plan::calm(), plant, LIMIT, begin);
                register_at_rest(&model, stages).await;
                let world = model.world();
                functions::end();
                world.for_another()
            })
        };
        worlds.entry((stages, plant)).or_insert_with(make).for_another()
    })
}

async fn live(model: &Arc<Model>) {
    steps(model).await;
    settle(model).await;
    if let Some(line) = log::take_leak() {
        model.violated(Invariant::NothingLeaks, format!("a secret in a log: {}", line.len()));
    }
    let now = model.now();
    invariants::check(&mut model.world(), now);
}

/// What users do.
async fn steps(model: &Arc<Model>) {
    let stages = model.plan.stages();
    if model.plan.registered {
        pass(A_DAY).await;
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
}

/// Registers the first stages, each with its service.
async fn register(model: &Arc<Model>, stages: usize) {
    for (stack, stage) in STAGES.into_iter().take(stages) {
        let mut world = model.world();
        let secrets = world.secrets.clone();
        world.ecs.make(&format!("{stack}-{stage}"), &secrets);
        world.ecs.make(&format!("{stack}-{stage}-worker"), &secrets);
        world.ecs.make_job(&format!("{stack}-{stage}-migrate"));
    }
    for number in 0..stages {
        act(model, number, Action::Register).await;
    }
}

/// Registers the first stages, and waits until their stacks are complete.
pub(crate) async fn register_at_rest(model: &Arc<Model>, stages: usize) {
    register(model, stages).await;
    rest(model, &ALL).await;
}

/// Whether a user has to ask for the variables of a stage: they were restored too often, ECS went back to a definition
/// without them, or a job has no event.
fn gave_up(world: &World, name: &str) -> bool {
    const WITHIN: u64 = 10 * 60_000;
    let services = [name.to_owned(), format!("{name}-worker")];
    let mut services = services.iter().filter_map(|name| world.ecs.services.get(name));
    let often = |times: &[u64]| times.windows(4).any(|four| four[3] - four[0] < 2 * WITHIN);
    services.any(|service| service.rolled_back > 0 || often(&service.lacking))
        || world.lacking_jobs.contains(&format!("{name}-migrate"))
}

/// AWS recovers, and users repair what has failed.
async fn settle(model: &Arc<Model>) {
    model.world().settled = true;
    rest(model, &ALL).await;
    // More than a day, so that snapshots, deletions, and optimizations finish.
    pass(40 * 3_600_000).await;
    {
        let figures = &mut model.world().figures;
        figures.calls_before_rest = figures.calls;
    }
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
            model.note(|| format!("---- {name} is repaired from {status}, round {round}"));
            if status == "UPDATE_ROLLBACK_FAILED" {
                cloudformation::continue_rollback(model, &id).await;
            } else {
                model.world().stacks.all.get_mut(&id).unwrap().protected = false;
                delete(model, &id);
            }
            rest(model, &ALL).await;
        }
        pass(3_600_000).await;
    }
    rest(model, &ALL).await;
    // Everything that waited for the maintenance window is applied.
    pass(9 * 24 * 3_600_000).await;
    let stages = model.plan.stages();
    for (number, (stack, stage)) in STAGES.into_iter().enumerate().take(stages) {
        if gave_up(&model.world(), &format!("{stack}-{stage}")) {
            act(model, number, Action::RestoreVariables).await;
            rest(model, &ALL).await;
        }
    }
    if Random::of(model.plan.seed, "last look", 0).chance(LAST_LOOKS) {
        for number in 0..stages {
            look_at_rebuild(model, number).await;
        }
    }
}
