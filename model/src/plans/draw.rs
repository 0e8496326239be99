//! Generates a plan from a seed.
//!
//! Most histories leave out some of the user actions, fault kinds, and weather, so that the remaining ones are combined
//! more often ("swarm testing"). Many histories also have a focus: changes in quick succession, canceled updates,
//! rollbacks, databases that are removed and restored, deployments, or faults in one function or one of its calls.

use crate::{
    base::{kind::Kind, random::Random},
    plans::{
        fault::{At, Fault, FaultKind},
        plan::{Action, Logical, Pause, Plan, SETS, Step, Weather},
        point::Point,
    },
};

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        draw(seed)
    }
}

/// The relative frequency of each user action, in histories that have it.
const WEIGHTS: [(What, u64); 30] = [
    (What::Save, 30),
    (What::Remove, 16),
    (What::Rebuild, 6),
    (What::DeleteStage, 3),
    (What::Look, 4),
    (What::StopInstance, 3),
    (What::StartInstance, 2),
    (What::DeleteInstance, 2),
    (What::Autoscale, 4),
    (What::RemoveTag, 2),
    (What::CancelUpdate, 6),
    (What::DeleteStack, 3),
    (What::ForeignInstance, 2),
    (What::StrayDelete, 3),
    (What::Deploy, 8),
    (What::OwnVariable, 2),
    (What::CannotCall, 8),
    (What::Attach, 10),
    (What::Restore, 12),
    (What::TestConnection, 4),
    (What::Rotate, 4),
    (What::RotateLogin, 6),
    (What::RotateNow, 3),
    (What::Schedule, 4),
    (What::OpenRule, 2),
    (What::Register, 3),
    (What::RestartTasks, 3),
    (What::RegisterJob, 2),
    (What::Services, 6),
    (What::RestoreVariables, 2),
];

/// The actions that change a database or the information about it, for histories in quick succession.
const CHANGES: [(What, u64); 14] = [
    (What::Save, 6),
    (What::Attach, 6),
    (What::Remove, 4),
    (What::TestConnection, 3),
    (What::Rotate, 5),
    (What::RotateLogin, 5),
    (What::RotateNow, 3),
    (What::Schedule, 3),
    (What::Rebuild, 3),
    (What::Restore, 2),
    (What::CancelUpdate, 3),
    (What::RestartTasks, 2),
    (What::Deploy, 4),
    (What::Services, 2),
];

/// What a team does with its services.
const DEPLOYMENTS: [(What, u64); 7] = [
    (What::Deploy, 12),
    (What::Services, 5),
    (What::RegisterJob, 2),
    (What::RestoreVariables, 1),
    (What::Rebuild, 2),
    (What::Save, 2),
    (What::Remove, 1),
];

/// The actions that start an update.
const UPDATES: [(What, u64); 5] =
    [(What::Save, 5), (What::Attach, 5), (What::Remove, 3), (What::Restore, 2), (What::Rebuild, 1)];

/// An [`Action`] without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Save,
    Remove,
    Rebuild,
    DeleteStage,
    Look,
    StopInstance,
    StartInstance,
    DeleteInstance,
    Autoscale,
    RemoveTag,
    CancelUpdate,
    DeleteStack,
    ForeignInstance,
    StrayDelete,
    Deploy,
    OwnVariable,
    CannotCall,
    Attach,
    Restore,
    TestConnection,
    Rotate,
    RotateLogin,
    RotateNow,
    Schedule,
    OpenRule,
    Register,
    RestartTasks,
    RegisterJob,
    Services,
    RestoreVariables,
}

/// The plan of a seed.
fn draw(seed: u64) -> Plan {
    let mut random = Random::of(seed, "plan", 0);
    let stages = if random.chance(200) { 2 } else { 1 };
    let focus = random.weighted(&[30, 15, 12, 12, 8, 6, 8, 9]);
    let steps = match focus {
        0 => somewhere(&mut random, stages, mixed),
        1 => somewhere(&mut random, stages, in_quick_succession),
        2 => somewhere(&mut random, stages, canceled),
        3 => somewhere(&mut random, stages, rolled_back),
        4 => somewhere(&mut random, stages, restored),
        5 => rotated(&mut random),
        SHARED => shared(&mut random),
        _ => somewhere(&mut random, stages, deployed),
    };
    let weather = Weather {
        twice: random.pick(&[0, 0, 50, 300]),
        late: random.pick(&[0, 0, 50, 300]),
        stale: random.pick(&[0, 0, 100, 500]),
        slow: random.pick(&[0, 0, 5, 30]),
        refused: random.pick(&[0, 0, 20, 100]),
    };
    let mut faults = faults(&mut random);
    if focus == SHARED && random.chance(800) {
        // If a rule is removed late, another stage may be using it by then.
        let point = Point::of(Kind::AccessResource, "RevokeSecurityGroupIngress");
        let (nth, tries) = (u32::from(small(&mut random, 2)) + 1, small(&mut random, 3) + 2);
        let kind = random.pick(&[FaultKind::Throttles, FaultKind::Fails]);
        faults.extend(point.map(|point| Fault { at: At::Of { point, nth }, tries, kind }));
    }
    Plan { seed, registered: random.chance(REGISTERED), steps, faults, weather }
}

/// How many histories in a thousand start with registered stages. What happens later varies more than the registration.
const REGISTERED: u16 = 700;

/// The index of the focus on two stages that share a database.
const SHARED: usize = 6;

/// Steps for random stages, plus one that adds a database, because a history without one is pointless.
fn somewhere(random: &mut Random, stages: u64, focus: fn(&mut Random) -> Vec<Step>) -> Vec<Step> {
    let mut steps = focus(random);
    for step in &mut steps {
        step.stage = small(random, stages);
    }
    let action = if random.chance(300) { attach(random) } else { save(random) };
    let place = if random.chance(900) { 0 } else { usize::from(small(random, steps.len() as u64)) };
    steps.insert(place, step(Pause::AtRest, action));
    steps
}

/// A random number below a small limit.
fn small(random: &mut Random, end: u64) -> u8 {
    u8::try_from(random.below(end)).unwrap()
}

fn seconds(random: &mut Random, from: u64, end: u64) -> Pause {
    Pause::Seconds(u32::try_from(random.within(from, end)).unwrap())
}

/// A random subset: each item with a probability of one half, and at least one item.
fn some<T: Copy>(random: &mut Random, all: &[T]) -> Vec<T> {
    let some: Vec<T> = all.iter().copied().filter(|_| random.chance(500)).collect();
    if some.is_empty() { vec![random.pick(all)] } else { some }
}

fn step(after: Pause, action: Action) -> Step {
    Step { after, stage: 0, action, beside: false }
}

fn drawn(random: &mut Random, from: &[(What, u64)]) -> What {
    let weights: Vec<u64> = from.iter().map(|(_, weight)| *weight).collect();
    from[random.weighted(&weights)].0
}

/// Any actions, mostly one after the other.
fn mixed(random: &mut Random) -> Vec<Step> {
    let enabled = if random.chance(300) { WEIGHTS.to_vec() } else { some(random, &WEIGHTS) };
    (0..random.within(1, 7))
        .map(|number| {
            let what = match drawn(random, &enabled) {
                // An unrelated instance exists before the stage's own, or not at all.
                What::ForeignInstance if number > 0 => What::Register,
                what => what,
            };
            let after = match random.weighted(&[75, 15, 10]) {
                // An update can only be canceled while it's running.
                _ if what == What::CancelUpdate => seconds(random, 0, 40),
                0 => Pause::AtRest,
                1 => seconds(random, 0, 20),
                _ => seconds(random, 20, 4000),
            };
            step(after, detailed(random, what))
        })
        .collect()
}

fn in_quick_succession(random: &mut Random) -> Vec<Step> {
    let enabled = some(random, &CHANGES);
    (0..random.within(2, 7))
        .map(|_| {
            let after = match random.weighted(&[3, 4, 3, 1]) {
                0 => Pause::AtRest,
                1 => seconds(random, 0, 4),
                2 => seconds(random, 4, 30),
                _ => seconds(random, 30, 900),
            };
            let what = drawn(random, &enabled);
            // Two users at the same time.
            Step { beside: random.chance(150), ..step(after, detailed(random, what)) }
        })
        .collect()
}

/// Updates, each canceled at some point, and sometimes followed immediately by another.
fn canceled(random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..random.within(1, 4) {
        if random.chance(200) {
            steps.push(step(Pause::AtRest, Action::Rotate));
        }
        let what = drawn(random, &UPDATES);
        steps.push(step(Pause::AtRest, detailed(random, what)));
        // Credentials take a second; a new database takes minutes.
        let end = random.pick(&[4, 10, 40, 900]);
        if random.chance(200) {
            steps.push(step(seconds(random, 0, end), Action::RestartTasks));
        }
        steps.push(step(seconds(random, 0, end), Action::CancelUpdate));
        if random.chance(300) {
            let what = drawn(random, &CHANGES);
            steps.push(step(seconds(random, 0, 30), detailed(random, what)));
        }
    }
    steps
}

/// Updates, most of which can't be completed.
fn rolled_back(random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..random.within(1, 4) {
        if random.chance(700) {
            steps.push(step(Pause::AtRest, Action::CannotCall(logical(random))));
        }
        if random.chance(250) {
            steps.push(step(Pause::AtRest, Action::Rotate));
        }
        let what = drawn(random, &UPDATES);
        steps.push(step(Pause::AtRest, detailed(random, what)));
        if random.chance(200) {
            steps.push(step(seconds(random, 0, 30), Action::RestartTasks));
        }
    }
    steps
}

/// Databases that are removed and created again, so that there are several snapshots to restore.
fn restored(random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..random.within(1, 4) {
        steps.push(step(Pause::AtRest, Action::Remove));
        let again = if random.chance(600) { Action::Restore } else { save(random) };
        steps.push(step(Pause::AtRest, again));
    }
    steps
}

/// The password of an attached database is rotated, then a save or rebuild follows.
fn rotated(random: &mut Random) -> Vec<Step> {
    let by_secret = |random: &mut Random| Action::Attach { typed: false, other: random.chance(500) };
    let mut steps = vec![step(Pause::AtRest, by_secret(random))];
    for _ in 0..random.within(1, 4) {
        steps.push(step(Pause::AtRest, Action::Rotate));
        if random.chance(200) {
            steps.push(step(Pause::AtRest, Action::CannotCall(logical(random))));
        }
        let again = if random.chance(700) { by_secret(random) } else { Action::Rebuild };
        steps.push(step(Pause::AtRest, again));
        if random.chance(200) {
            steps.push(step(seconds(random, 0, 10), Action::RestartTasks));
        }
    }
    steps
}

/// Two stages are attached to one database and removed from it, often at the same time. They share a rule.
fn shared(random: &mut Random) -> Vec<Step> {
    let mut steps = vec![step(Pause::AtRest, attach(random))];
    let mut stays = 0;
    for _ in 0..random.within(1, 5) {
        let beside = random.chance(800);
        // Changes to a rule keep some distance from the previous ones, so two stages only meet after a while.
        if random.chance(800) {
            steps.push(step(Pause::AtRest, Action::Look));
            steps.push(Step { stage: stays, beside, ..step(seconds(random, 16, 40), Action::Remove) });
        } else {
            steps.push(Step { stage: stays, beside, ..step(Pause::AtRest, Action::Remove) });
        }
        let after = if beside { seconds(random, 0, 3) } else { Pause::AtRest };
        stays = 1 - stays;
        steps.push(Step { stage: stays, ..step(after, attach(random)) });
    }
    steps
}

/// Services are deployed again and again, often two at once and while something else changes.
fn deployed(random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    if random.chance(700) {
        steps.push(step(Pause::AtRest, Action::Services(1 + small(random, 2))));
    }
    for _ in 0..random.within(2, 8) {
        let what = drawn(random, &DEPLOYMENTS);
        let after = match random.weighted(&[3, 4, 3]) {
            0 => Pause::AtRest,
            1 => seconds(random, 0, 3),
            _ => seconds(random, 3, 200),
        };
        steps.push(step(after, detailed(random, what)));
    }
    steps
}

fn detailed(random: &mut Random, what: What) -> Action {
    match what {
        What::Save => save(random),
        What::Remove => Action::Remove,
        What::Rebuild => Action::Rebuild,
        What::DeleteStage => Action::DeleteStage,
        What::Look => Action::Look,
        What::StopInstance => Action::StopInstance,
        What::StartInstance => Action::StartInstance,
        What::DeleteInstance => Action::DeleteInstance,
        What::Autoscale => Action::Autoscale,
        What::RemoveTag => Action::RemoveTag(small(random, 3)),
        What::CancelUpdate => Action::CancelUpdate,
        What::DeleteStack => Action::DeleteStack,
        What::ForeignInstance => Action::ForeignInstance,
        What::StrayDelete => Action::StrayDelete,
        What::Deploy => deploy(random),
        What::OwnVariable => Action::OwnVariable(random.chance(500)),
        What::CannotCall => Action::CannotCall(logical(random)),
        What::Attach => attach(random),
        What::Restore => Action::Restore,
        What::Rotate => Action::Rotate,
        What::TestConnection => Action::TestConnection,
        What::RotateLogin => Action::RotateLogin,
        What::RotateNow => Action::RotateNow,
        What::Schedule => Action::Schedule,
        What::OpenRule => Action::OpenRule,
        What::Register => Action::Register,
        What::RestartTasks => Action::RestartTasks,
        What::RegisterJob => Action::RegisterJob,
        What::Services => Action::Services(small(random, u64::from(SETS))),
        What::RestoreVariables => Action::RestoreVariables,
    }
}

fn deploy(random: &mut Random) -> Action {
    Action::Deploy { keeps: random.chance(300), worker: random.chance(400), broken: random.chance(120) }
}

fn logical(random: &mut Random) -> Logical {
    match random.weighted(&[2, 3, 1, 1, 1, 5]) {
        0 => Logical::Credentials,
        1 => Logical::Database,
        2 => Logical::Access,
        3 => Logical::Logins,
        4 => Logical::Proof,
        _ => Logical::Connection,
    }
}

fn save(random: &mut Random) -> Action {
    let class = u8::try_from(random.weighted(&[5, 4, 1])).unwrap();
    let storage = random.pick(&[20, 20, 20, 22, 30, 40, 60, 100]);
    // Most saves leave the other settings alone.
    let more = if random.chance(700) { 0 } else { small(random, 64) };
    let login = match random.weighted(&[6, 3, 1]) {
        0 => 0,
        1 => 1 << 6,
        _ => 1 << 7,
    };
    let more = more | login;
    Action::Save { class, storage, more }
}

fn attach(random: &mut Random) -> Action {
    Action::Attach { typed: random.chance(500), other: random.chance(200) }
}

fn faults(random: &mut Random) -> Vec<Fault> {
    let kinds = if random.chance(300) { FaultKind::ALL.to_vec() } else { some(random, &FaultKind::ALL) };
    let all: Vec<_> = Point::all().collect();
    match random.weighted(&[30, 30, 20, 10, 10]) {
        0 => Vec::new(),
        1 => spread(random, &kinds),
        2 => (0..random.within(1, 5)).map(|_| aimed(random, &all, &kinds)).collect(),
        3 => {
            let function = random.pick(&Kind::ALL);
            let of_function: Vec<_> = all.into_iter().filter(|point| point.function() == function).collect();
            (0..random.within(2, 9)).map(|_| aimed(random, &of_function, &kinds)).collect()
        }
        _ => {
            let one = [random.pick(&all)];
            (0..random.within(1, 5)).map(|_| aimed(random, &one, &kinds)).collect()
        }
    }
}

/// Faults anywhere, at random intervals.
fn spread(random: &mut Random, kinds: &[FaultKind]) -> Vec<Fault> {
    let every = random.pick(&[100, 40, 15, 6]);
    let mut faults = Vec::new();
    let mut call = 0;
    while faults.len() < 40 {
        call += 1 + u32::try_from(random.below(2 * every)).unwrap();
        if call > 1500 {
            break;
        }
        faults.push(Fault { at: At::Call(call), tries: tries(random), kind: random.pick(kinds) });
    }
    faults
}

/// A fault at one of these points, each equally likely, however rare its calls are.
fn aimed(random: &mut Random, points: &[Point], kinds: &[FaultKind]) -> Fault {
    let point = random.pick(points);
    let end = random.pick(&[2, 2, 2, 4, 10, 60]);
    let nth = u32::try_from(random.within(1, end)).unwrap();
    Fault { at: At::Of { point, nth }, tries: tries(random), kind: random.pick(kinds) }
}

fn tries(random: &mut Random) -> u8 {
    random.pick(&[1, 1, 1, 2, 3, 5, 25])
}
