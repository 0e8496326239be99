//! Everything of one history: the state of every service, the clock, and what was seen to go wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    clock::Clock,
    coverage::Recorder,
    functions::{Kind, Warm},
    plan::{FaultKind, Logical, Plan},
    plant::Plant,
    random::Random,
    requests::Requests,
    services::{ec2::Ec2, ecs::Ecs, rds::Rds, secrets::Secrets, stacks::Stacks, states::Executions},
};

/// What must always hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Each request of a custom resource gets an answer before its timeout.
    Answered,
    /// No process answers a request twice, and an answer does not contradict one that arrived before.
    AnsweredOnce,
    /// Each answer is valid by CloudFormation's rules.
    ValidAnswer,
    /// At rest, the created databases are exactly those that stage stacks own, as these say.
    Owned,
    /// No database that was ever available vanishes without an available final snapshot.
    DataKept,
    /// A database that is not ours sees no write.
    ForeignUntouched,
    /// A service can connect to what its stage is attached to, and only as long.
    Access,
    /// The secret's password is the database's.
    SecretAgrees,
    /// The containers' variables are those of the last complete state.
    VariablesAgree,
    /// Containers that start find every value, and at rest those that run can log in.
    LogsIn,
    /// A save does what its preview said.
    Promised,
    /// What the API says of a rebuild is how it went, and a failure's reason is its first cause.
    Told,
    /// Storage is never asked to shrink.
    NeverShrinks,
    /// No secret in an answer, a log, an event or anything that the API says.
    NothingLeaks,
    /// Every operation ends, and one that failed can be brought back once AWS is well.
    Ends,
    /// No function panics, and no event is given up.
    Handled,
    /// The functions call only what the model knows, as AWS would take it.
    KnownCalls,
}

impl Invariant {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "each request is answered in time",
            Self::AnsweredOnce => "each request is answered once",
            Self::ValidAnswer => "each answer is valid",
            Self::Owned => "the created databases are those that stage stacks own",
            Self::DataKept => "no data vanishes without a final snapshot",
            Self::ForeignUntouched => "what is not ours sees no write",
            Self::Access => "a service is let in as long as its stage is attached",
            Self::SecretAgrees => "the secret is the database's",
            Self::VariablesAgree => "the variables are those of the last complete state",
            Self::LogsIn => "containers can log in",
            Self::Promised => "a save does what its preview said",
            Self::Told => "a rebuild is told as it went",
            Self::NeverShrinks => "storage never shrinks",
            Self::NothingLeaks => "nothing leaks",
            Self::Ends => "every operation ends",
            Self::Handled => "every event is handled",
            Self::KnownCalls => "every call is one that AWS knows",
        }
    }
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// What was seen.
    pub words: String,
    /// When, in milliseconds since the beginning.
    pub at: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at {} s): {}", self.invariant.name(), self.at / 1000, self.words)
    }
}

/// What a history was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls of our functions to AWS.
    pub calls: u64,
    /// Faults that hit a call, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Invocations of our functions.
    pub invocations: u64,
    /// Requests of custom resources.
    pub requests: u64,
    /// Operations of stage stacks.
    pub operations: u64,
    /// Operations that rolled back.
    pub rollbacks: u64,
    /// Databases created and restored.
    pub databases: u64,
    /// Final snapshots.
    pub snapshots: u64,
    /// Model time that passed, in seconds.
    pub seconds: u64,
    /// The calls or the invocations, whichever are more, of the longest history.
    pub longest: u64,
}

impl Figures {
    /// Adds another history's.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        for (kind, count) in &other.faults {
            *self.faults.entry(*kind).or_default() += count;
        }
        self.invocations += other.invocations;
        self.requests += other.requests;
        self.operations += other.operations;
        self.rollbacks += other.rollbacks;
        self.databases += other.databases;
        self.snapshots += other.snapshots;
        self.seconds += other.seconds;
        self.longest = self.longest.max(other.longest);
    }
}

/// The state of the world.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) rds: Rds,
    pub(crate) ec2: Ec2,
    pub(crate) secrets: Secrets,
    pub(crate) ecs: Ecs,
    pub(crate) stacks: Stacks,
    pub(crate) executions: Executions,
    pub(crate) requests: Requests,
    pub(crate) warm: BTreeMap<Kind, Vec<Warm>>,
    under_way: BTreeMap<What, u64>,
    /// From here on AWS is well and nothing is repeated.
    pub(crate) settled: bool,
    pub(crate) cannot_call: BTreeSet<Logical2>,
    /// Identifiers whose instance somebody spoilt in the console: what is said of owned databases does not hold for them.
    pub(crate) spoilt: BTreeSet<String>,
    /// Services in whose containers somebody put a variable of ours.
    pub(crate) own_variables: BTreeSet<String>,
    /// Services that somebody deployed by hand since their variables were last published.
    pub(crate) deployed_by_hand: BTreeSet<String>,
    /// The passwords of the database that can be attached, and since when each was its.
    pub(crate) rotations: Vec<(u64, String)>,
    /// The passwords that people typed, by the stage stack's name and the generation that they began.
    pub(crate) typed: BTreeMap<(String, String), String>,
    /// By the stage stack's name, whether the preview of the save that is worked on told of an interruption.
    pub(crate) promised: BTreeMap<String, bool>,
    /// Rules that people made.
    pub(crate) rules_by_hand: BTreeSet<String>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) figures: Figures,
    pub(crate) issued: u64,
    pub(crate) recorder: Recorder,
    /// How a stack was described when an event about it was sent, for a planted bug that believes the event.
    pub(crate) snapshots: BTreeMap<String, String>,
    pub(crate) trace: Option<Vec<String>>,
}

impl World {
    /// Where every history begins: nobody has registered anything.
    pub(crate) fn new() -> Self {
        let mut world = Self::default();
        world.rds.make_orders();
        world.rotations.push((0, world.secrets.rotate()));
        world
    }

    /// The same world for another history, which counts its own calls and has its own processes.
    pub(crate) fn for_another(&self) -> Self {
        Self {
            rds: self.rds.clone(),
            ec2: self.ec2.clone(),
            secrets: self.secrets.clone(),
            ecs: self.ecs.clone(),
            stacks: self.stacks.clone(),
            executions: self.executions.clone(),
            requests: self.requests.clone(),
            rotations: self.rotations.clone(),
            violations: self.violations.clone(),
            issued: self.issued,
            ..Self::default()
        }
    }
}

/// The stage's stack and the resource.
pub(crate) type Logical2 = (String, &'static str);

/// One history's world, shared by everything that happens in it.
#[derive(Debug)]
pub(crate) struct Model {
    world: Mutex<World>,
    pub(crate) clock: Clock,
    pub(crate) plan: Plan,
    pub(crate) plant: Option<Plant>,
    quiet: Notify,
    limit: u64,
    /// Said once the limit is passed.
    pub(crate) cut_off: Notify,
}

impl Model {
    pub(crate) fn new(plan: Plan, plant: Option<Plant>, traced: bool) -> Arc<Self> {
        let world = World { trace: traced.then(Vec::new), ..World::new() };
        Self::within(world, plan, plant, u64::MAX)
    }

    /// A history in a world, of no more calls, and no more invocations, than the limit.
    pub(crate) fn within(world: World, plan: Plan, plant: Option<Plant>, limit: u64) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(world),
            clock: Clock::start(),
            plan,
            plant,
            quiet: Notify::new(),
            limit,
            cut_off: Notify::new(),
        })
    }

    /// Counts an invocation.
    pub(crate) fn invoked(&self) {
        self.world().figures.invocations += 1;
        self.cut_off_if_endless();
    }

    /// A history with more calls or invocations than the limit is one that never ends.
    pub(crate) fn cut_off_if_endless(&self) {
        let figures = &self.world().figures;
        if figures.calls.max(figures.invocations) > self.limit {
            self.cut_off.notify_one();
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    pub(crate) fn violated(&self, invariant: Invariant, words: impl Into<String>) {
        let at = self.now();
        self.world().violations.push(Violation { invariant, words: words.into(), at });
    }

    /// Writes a line of the history, if somebody wants to read it.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        let mut world = self.world();
        if let Some(trace) = &mut world.trace {
            let now = self.clock.now();
            trace.push(format!("{:>9}.{:03} {}", now / 1000, now % 1000, line()));
        }
    }

    /// A number that was never issued before.
    pub(crate) fn issue(&self) -> u64 {
        let mut world = self.world();
        world.issued += 1;
        world.issued
    }

    pub(crate) fn random(&self, matter: &str) -> Random {
        Random::of(self.plan.seed, matter, self.issue())
    }

    /// Until this is dropped, something works on a stack.
    pub(crate) fn working(self: &Arc<Self>) -> Busy {
        self.begin(What::Work)
    }

    /// Until this is dropped, an event is under way.
    pub(crate) fn delivering(self: &Arc<Self>) -> Busy {
        self.begin(What::Delivery)
    }

    /// Until this is dropped, containers may get their variables.
    pub(crate) fn publishing(self: &Arc<Self>) -> Busy {
        self.begin(What::Publication)
    }

    fn begin(self: &Arc<Self>, what: What) -> Busy {
        *self.world().under_way.entry(what).or_default() += 1;
        Busy { model: Arc::clone(self), what }
    }

    /// Waits until none of these is under way.
    pub(crate) async fn quiet(&self, of: &[What]) {
        loop {
            let changed = self.quiet.notified();
            if of.iter().all(|what| self.world().under_way.get(what).is_none_or(|count| *count == 0)) {
                return;
            }
            changed.await;
        }
    }
}

/// What can be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// An operation of a stack, or an execution.
    Work,
    /// An event, or a request of a custom resource.
    Delivery,
    /// An invocation that gives containers their variables.
    Publication,
}

/// Something is under way while this exists.
#[derive(Debug)]
pub(crate) struct Busy {
    model: Arc<Model>,
    what: What,
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(count) = self.model.world().under_way.get_mut(&self.what) {
            *count -= 1;
        }
        self.model.quiet.notify_waiters();
    }
}

pub(crate) fn cannot_call(stack: &str, logical: Logical) -> Logical2 {
    (stack.to_owned(), logical.name())
}
