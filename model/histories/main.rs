//! `cargo histories`: runs many histories and says what did not hold.
#![expect(clippy::print_stdout, reason = "a person reads it")]
#![recursion_limit = "256"]

mod coverage;
mod job;
mod pool;

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Parser;
use mimalloc::MiMalloc;
use model::{Fault, Invariant, Plant, kept, run, shrink};

use crate::{
    job::{Job, Jobs},
    pool::{Settings, Totals, Why, run_all},
};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How many histories are drawn before some go where few have been.
const BATCH: u64 = 2000;
/// How many of those there are then.
const AIMED: usize = 1000;

/// Runs the real functions in a model of AWS, one history per seed, with faults.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many histories.
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Runs the seeds in this file: one in a line, and comments after #.
    #[arg(long, value_name = "FILE", group = "what")]
    seeds: Option<PathBuf>,
    /// Runs the plans that are kept in model/plans.
    #[arg(long, group = "what")]
    kept: bool,
    /// Replays one seed, and prints what happened.
    #[arg(long, group = "what")]
    seed: Option<u64>,
    /// Replays the plan in this file, and prints what happened.
    #[arg(long, value_name = "FILE", group = "what")]
    plan: Option<PathBuf>,
    /// A fault more than the seed has, as `FUNCTION OPERATION NTH KIND TRIES`.
    #[arg(long, requires = "seed")]
    fault: Vec<Fault>,
    /// Keeps the plan of the seed, as it was drawn, in model/plans.
    #[arg(long, requires = "seed")]
    keep: bool,
    /// Draws the first seed, and says which it is.
    #[arg(long, conflicts_with_all = ["what", "from"])]
    fresh: bool,
    /// Writes how often each place was reached with each fault.
    #[arg(long, value_name = "FILE")]
    coverage: Option<PathBuf>,
    /// After every 2,000 histories, runs 1,000 with a fault where the fewest have been.
    #[arg(long, conflicts_with = "what")]
    steer: bool,
    /// Plants a bug, and expects that it is found.
    #[arg(long)]
    plant: Option<String>,
    /// How many threads.
    #[arg(long)]
    workers: Option<usize>,
    /// Replays what failed as it was drawn, without looking for a shorter history.
    #[arg(long)]
    whole: bool,
    /// Ends after this many have failed.
    #[arg(long, default_value_t = 20)]
    failures: usize,
    /// How many seconds one history may take.
    #[arg(long, default_value_t = 60)]
    patience: u64,
}

impl Arguments {
    fn settings(&self) -> anyhow::Result<Settings> {
        let plant = match &self.plant {
            Some(name) => Some(Plant::named(name).ok_or_else(|| {
                let names: Vec<_> = Plant::ALL.into_iter().map(Plant::name).collect();
                anyhow::anyhow!("no such bug; there are {}", names.join(", "))
            })?),
            None => None,
        };
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let workers = self.workers.unwrap_or_else(cores).max(1);
        Ok(Settings {
            plant,
            workers,
            patience: Duration::from_secs(self.patience),
            failures: self.failures.max(1),
        })
    }
}

#[expect(clippy::print_stderr, reason = "a person reads it")]
fn main() -> ExitCode {
    carry_out().unwrap_or_else(|error| {
        // Without the stack that `anyhow` shows: the person has mistyped something.
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn carry_out() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let settings = arguments.settings()?;
    if let Some(seed) = arguments.seed {
        let job = match arguments.fault.as_slice() {
            [] => Job::Seed(seed),
            faults => Job::Aimed(seed, faults.to_vec()),
        };
        if arguments.keep {
            let path = kept::keep(&job.plan(), &kept::directory())?;
            println!("kept: cargo histories --plan {}", kept::shown(&path));
            return Ok(ExitCode::SUCCESS);
        }
        return Ok(replay(job, settings, arguments.whole));
    }
    if let Some(path) = &arguments.plan {
        let path = kept::found(path);
        let plan = kept::read_plan(&path)?;
        return Ok(replay(Job::File(path, plan), settings, arguments.whole));
    }
    let began = Instant::now();
    let mut totals = Totals::default();
    if arguments.kept {
        let read = |path: PathBuf| kept::read_plan(&path).map(|plan| Job::File(path, plan));
        let jobs = kept::files()?.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        // Each of them is of interest.
        run_all(Jobs::List(jobs), Settings { failures: usize::MAX, ..settings }, &mut totals);
        report(&totals, began.elapsed(), settings);
        return Ok(if totals.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if let Some(path) = &arguments.seeds {
        let seeds = kept::read_seeds(&kept::found(path))?;
        run_all(Jobs::List(seeds.into_iter().map(Job::Seed).collect()), settings, &mut totals);
    } else {
        run_range(&arguments, settings, &mut totals);
    }
    report(&totals, began.elapsed(), settings);
    println!("{}", totals.reached.table());
    if let Some(path) = &arguments.coverage {
        let path = kept::typed(path);
        fs::write(&path, totals.reached.cells()).with_context(|| path.display().to_string())?;
    }
    if totals.failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let first = totals.failed.into_iter().find(|failed| matches!(failed.why, Why::Violated(_)));
    if let Some(first) = first {
        replay(first.job, settings, arguments.whole);
    }
    Ok(ExitCode::FAILURE)
}

/// A first seed that nobody knows: the standard library's hashers begin with what the operating system draws.
fn fresh() -> u64 {
    RandomState::new().build_hasher().finish() % 1_000_000_000_000
}

/// Runs the seeds of a range, and in between, if that is wanted, histories that go where few have been.
fn run_range(arguments: &Arguments, settings: Settings, totals: &mut Totals) {
    let from = if arguments.fresh { fresh() } else { arguments.from };
    let end = from.saturating_add(arguments.count);
    if arguments.fresh {
        println!("seeds {from} to {}: --from {from} --count {}", end.saturating_sub(1), arguments.count);
    }
    let batch = if arguments.steer { BATCH } else { u64::MAX };
    let mut next = from;
    while next < end && totals.failed.len() < settings.failures {
        let count = batch.min(end - next);
        run_all(Jobs::Range { from: next, count }, settings, totals);
        next += count;
        if arguments.steer && totals.failed.len() < settings.failures {
            run_all(Jobs::List(totals.reached.rarest(AIMED)), settings, totals);
        }
    }
}

/// Prints what they were made of, and which of them failed.
fn report(totals: &Totals, took: Duration, settings: Settings) {
    let figures = &totals.figures;
    println!(
        "{} histories in {:.1} s, {} of the model's days",
        totals.done,
        took.as_secs_f64(),
        figures.seconds / 86_400
    );
    println!(
        "{} calls to AWS, {} invocations, {} operations of stacks with {} requests, {} rolled back, {} databases made, {} \
         final snapshots; the longest history has {} calls or invocations",
        figures.calls,
        figures.invocations,
        figures.operations,
        figures.requests,
        figures.rollbacks,
        figures.databases,
        figures.snapshots,
        figures.longest
    );
    let faults: Vec<_> =
        figures.faults.iter().map(|(kind, count)| format!("{} {count}", kind.name())).collect();
    println!("faults: {}", faults.join(", "));
    if totals.failed.is_empty() {
        println!("everything held");
    }
    let mut failed: Vec<_> = totals.failed.iter().collect();
    failed.sort_by_key(|failed| reason(&failed.why));
    for failed in failed {
        println!("FAILED {}: {}", reason(&failed.why), failed.job.replay(settings.plant));
    }
}

fn reason(why: &Why) -> &'static str {
    match why {
        Why::Violated(violation) => violation.invariant.name(),
        Why::Panicked => "the model itself panicked",
        Why::Stuck => Invariant::Ends.name(),
    }
}

/// Prints the shortest history that fails as this one does.
fn replay(job: Job, settings: Settings, whole: bool) -> ExitCode {
    let command = job.replay(settings.plant);
    let plan = job.plan();
    // On a thread of its own first: it may be one that does not come back, or breaks the model.
    let mut totals = Totals::default();
    run_all(Jobs::List(vec![job]), Settings { workers: 1, ..settings }, &mut totals);
    let violation = match totals.failed.pop().map(|failed| failed.why) {
        None => None,
        Some(Why::Violated(violation)) => Some(violation),
        Some(why @ (Why::Panicked | Why::Stuck)) => {
            println!("{plan}");
            println!("FAILED {}: {command}", reason(&why));
            return ExitCode::FAILURE;
        }
    };
    let plan = match &violation {
        Some(violation) if !whole => shrink(&plan, settings.plant, violation.invariant).0,
        _ => plan,
    };
    let outcome = run(&plan, settings.plant, true);
    for line in &outcome.trace {
        println!("{line}");
    }
    println!("{plan}");
    if outcome.violations.is_empty() {
        println!("everything held: {command}");
        return ExitCode::SUCCESS;
    }
    for violation in &outcome.violations {
        println!("VIOLATED {violation}");
    }
    println!("replay: {command}");
    ExitCode::FAILURE
}
