//! The complete state of one history: every service, the clock, and the observed violations.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    base::{
        clock::Clock,
        invariant::{Invariant, Violation},
        kind::Kind,
        random::Random,
        wire::Call,
    },
    plans::{
        fault::FaultKind,
        plan::{Logical, Plan},
        plant::Plant,
    },
    services::{
        begun::Begun, clients::Clients, ec2::Ec2, ecs::Ecs, logs::Logs, parameters::Parameters, rds::Rds,
        requests::Requests, secrets::Secrets, stacks::Stacks, states::Executions,
    },
    world::coverage::Recorder,
};

/// The statistics of a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls from our functions to AWS.
    pub calls: u64,
    /// How many of them each function made.
    pub calls_of: BTreeMap<Kind, u64>,
    /// Those of all before everything came to rest.
    pub calls_before_rest: u64,
    /// Faults that hit a call, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Invocations of our functions.
    pub invocations: u64,
    /// Custom resource requests.
    pub requests: u64,
    /// Stage stack operations.
    pub operations: u64,
    /// Operations that were rolled back.
    pub rollbacks: u64,
    /// Databases created and restored.
    pub databases: u64,
    /// Final snapshots.
    pub snapshots: u64,
    /// The time that passed in the model, in seconds.
    pub seconds: u64,
    /// The number of calls or invocations, whichever is larger, in the longest history.
    pub longest: u64,
}

impl Figures {
    /// Adds the statistics of another history.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.calls_before_rest += other.calls_before_rest;
        for (function, calls) in &other.calls_of {
            *self.calls_of.entry(*function).or_default() += calls;
        }
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
    pub(crate) logs: Logs,
    pub(crate) parameters: Parameters,
    pub(crate) ecs: Ecs,
    pub(crate) clients: Clients,
    pub(crate) stacks: Stacks,
    pub(crate) executions: Executions,
    pub(crate) requests: Requests,
    under_way: BTreeMap<What, u64>,
    /// From now on, AWS is healthy and nothing is repeated.
    pub(crate) settled: bool,
    pub(crate) cannot_call: BTreeSet<Logical2>,
    /// The identifiers of instances that someone broke in the console. The invariants for owned databases don't apply.
    pub(crate) spoilt: BTreeSet<String>,
    /// The services to which someone added a variable with one of our names.
    pub(crate) own_variables: BTreeSet<String>,
    /// The set of services that each stage was last asked to be registered with.
    pub(crate) sets: BTreeMap<String, u8>,
    /// The families that a team registered a revision of, without the variables.
    pub(crate) lacking_jobs: BTreeSet<String>,
    /// The passwords of the database that can be attached, each with the time since which it was valid.
    pub(crate) rotations: Vec<(u64, String)>,
    /// The passwords that users typed, by the stage stack's name and the generation that they started.
    pub(crate) typed: BTreeMap<(String, String), String>,
    /// By the stage stack's name: whether the preview of the save in progress announced an interruption.
    pub(crate) promised: BTreeMap<String, bool>,
    /// Rules that users added.
    pub(crate) rules_by_hand: BTreeSet<String>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) figures: Figures,
    pub(crate) issued: u64,
    pub(crate) recorder: Recorder,
    /// The description of a stack when an event about it was sent, for a planted bug that relies on the event.
    pub(crate) snapshots: BTreeMap<String, String>,
    pub(crate) trace: Option<Vec<String>>,
}

impl World {
    /// The initial state of every history: nothing is registered.
    pub(crate) fn new() -> Self {
        let mut world = Self::default();
        world.rds.make_orders();
        world.rotations.push((0, world.secrets.rotate()));
        world
    }

    /// The tasks that `ListTasks` shows: those of a service, or clients.
    pub(crate) fn listed_tasks(&self, call: &Call, now: u64) -> Vec<String> {
        let is_stopping = call.text("desiredStatus") == Some("STOPPED");
        match (call.text("serviceName"), call.text("family")) {
            (Some(service), _) => self.ecs.tasks_of(service, is_stopping, now),
            // Each service has a family of its own name.
            (None, Some(family)) => {
                let clients = if is_stopping { Vec::new() } else { self.clients.pending(family) };
                [clients, self.ecs.tasks_of(family, is_stopping, now)].concat()
            }
            (None, None) => Vec::new(),
        }
    }

    /// A copy of this world for another history, with its own call counts and processes.
    pub(crate) fn for_another(&self) -> Self {
        Self {
            rds: self.rds.clone(),
            ec2: self.ec2.clone(),
            secrets: self.secrets.clone(),
            logs: self.logs.clone(),
            parameters: self.parameters.clone(),
            ecs: self.ecs.clone(),
            clients: self.clients.clone(),
            stacks: self.stacks.clone(),
            executions: self.executions.clone(),
            requests: self.requests.clone(),
            cannot_call: self.cannot_call.clone(),
            spoilt: self.spoilt.clone(),
            own_variables: self.own_variables.clone(),
            sets: self.sets.clone(),
            lacking_jobs: self.lacking_jobs.clone(),
            rotations: self.rotations.clone(),
            typed: self.typed.clone(),
            rules_by_hand: self.rules_by_hand.clone(),
            violations: self.violations.clone(),
            issued: self.issued,
            ..Self::default()
        }
    }
}

/// The stage's stack and the resource.
pub(crate) type Logical2 = (String, &'static str);

/// Runs the operations that calls have started: the CloudFormation engine and the state machine, which are in a higher
/// layer.
pub(crate) type Begin = fn(&Arc<Model>, Begun);

/// The world of one history, shared by everything that happens in it.
#[derive(Debug)]
pub(crate) struct Model {
    world: Mutex<World>,
    pub(crate) clock: Clock,
    pub(crate) plan: Plan,
    pub(crate) plant: Option<Plant>,
    /// Runs the operation that a call has started.
    pub(crate) begin: Begin,
    quiet: Notify,
    limit: u64,
    /// Notified when the limit is exceeded.
    pub(crate) cut_off: Notify,
}

impl Model {
    /// A history in this world, with a limit for the number of calls and for the number of invocations.
    pub(crate) fn within(
        world: World,
        plan: Plan,
        plant: Option<Plant>,
        limit: u64,
        begin: Begin,
    ) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(world),
            clock: Clock::start(),
            plan,
            plant,
            begin,
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

    /// A history with more calls or invocations than the limit is considered endless.
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

    /// Adds a line to the trace, if it's enabled.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        let mut world = self.world();
        if let Some(trace) = &mut world.trace {
            let now = self.clock.now();
            trace.push(format!("{:>9}.{:03} {}", now / 1000, now % 1000, line()));
        }
    }

    /// A new number that was never issued before.
    pub(crate) fn issue(&self) -> u64 {
        let mut world = self.world();
        world.issued += 1;
        world.issued
    }

    pub(crate) fn random(&self, matter: &str) -> Random {
        Random::of(self.plan.seed, matter, self.issue())
    }

    /// Until this is dropped, an operation on a stack is in progress.
    pub(crate) fn working(self: &Arc<Self>) -> Busy {
        self.begin(What::Work)
    }

    /// Until this is dropped, an event is being delivered.
    pub(crate) fn delivering(self: &Arc<Self>) -> Busy {
        self.begin(What::Delivery)
    }

    /// Until this is dropped, containers may receive their variables.
    pub(crate) fn publishing(self: &Arc<Self>) -> Busy {
        self.begin(What::Publication)
    }

    fn begin(self: &Arc<Self>, what: What) -> Busy {
        *self.world().under_way.entry(what).or_default() += 1;
        Busy { model: Arc::clone(self), what }
    }

    /// Waits until none of these is in progress.
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

/// What can be in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// A stack operation, or an execution.
    Work,
    /// An event, or a custom resource request.
    Delivery,
    /// An invocation that updates the containers' variables.
    Publication,
}

/// Something is in progress while this exists.
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
