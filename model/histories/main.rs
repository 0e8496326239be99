//! `cargo histories`: runs many histories, and reports violated invariants.
#![expect(clippy::print_stdout, reason = "the user reads it")]
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
use model::{Fault, Invariant, Plant, kept, run, shrink};

use crate::{
    job::{Job, Jobs},
    pool::{Settings, Totals, Why, run_all},
};

/// With `--steer`: the number of random histories before each batch of aimed ones.
const BATCH: u64 = 2000;
/// With `--steer`: the number of histories aimed at rarely reached places.
const AIMED: usize = 1000;

/// Run the real functions in a model of AWS, one history with faults per seed.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "one flag of the command line each")]
struct Arguments {
    /// The number of histories.
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run the seeds in this file: one per line, comments after #.
    #[arg(long, value_name = "FILE", group = "what")]
    seeds: Option<PathBuf>,
    /// Run the plans saved in model/plans.
    #[arg(long, group = "what")]
    kept: bool,
    /// Replay one seed, and print everything that happened.
    #[arg(long, group = "what")]
    seed: Option<u64>,
    /// Replay the plan in this file, and print everything that happened.
    #[arg(long, value_name = "FILE", group = "what")]
    plan: Option<PathBuf>,
    /// Add a fault to the seed's own faults, as `FUNCTION OPERATION NTH KIND TRIES`.
    #[arg(long, requires = "seed")]
    fault: Vec<Fault>,
    /// Save the seed's plan, as generated, in model/plans.
    #[arg(long, requires = "seed")]
    keep: bool,
    /// Pick a random first seed, and print it.
    #[arg(long, conflicts_with_all = ["what", "from"])]
    fresh: bool,
    /// Write how often each place was reached with each fault to this file.
    #[arg(long, value_name = "FILE")]
    coverage: Option<PathBuf>,
    /// After every 2,000 histories, run 1,000 with faults aimed at the least-visited places.
    #[arg(long, conflicts_with = "what")]
    steer: bool,
    /// Plant this bug in the functions, to check that the invariants find it.
    #[arg(long)]
    plant: Option<String>,
    /// The number of threads. By default, one per processor.
    #[arg(long)]
    workers: Option<usize>,
    /// Replay failed histories as generated, without looking for a shorter one.
    #[arg(long)]
    whole: bool,
    /// Stop after this many failures.
    #[arg(long, default_value_t = 20)]
    failures: usize,
    /// The time limit for one history, in seconds.
    #[arg(long, default_value_t = 60)]
    patience: u64,
}

impl Arguments {
    fn settings(&self) -> anyhow::Result<Settings> {
        let plant = match &self.plant {
            Some(name) => Some(Plant::named(name).ok_or_else(|| {
                let names: Vec<_> = Plant::ALL.into_iter().map(Plant::name).collect();
                anyhow::anyhow!("unknown bug `{name}`; use one of: {}", names.join(", "))
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

#[expect(clippy::print_stderr, reason = "the user reads it")]
fn main() -> ExitCode {
    carry_out().unwrap_or_else(|error| {
        // Without `anyhow`'s backtrace: usually, the user just mistyped something.
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
            println!("saved; to replay it: cargo histories --plan {}", kept::shown(&path));
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
        // Report every failure.
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

/// A random first seed: the standard library's hashers start with randomness from the operating system.
fn fresh() -> u64 {
    RandomState::new().build_hasher().finish() % 1_000_000_000_000
}

/// Runs a range of seeds. With `--steer`, also runs histories aimed at the least-visited places in between.
fn run_range(arguments: &Arguments, settings: Settings, totals: &mut Totals) {
    let from = if arguments.fresh { fresh() } else { arguments.from };
    let end = from.saturating_add(arguments.count);
    if arguments.fresh {
        println!(
            "seeds {from} to {}; to run them again: --from {from} --count {}",
            end.saturating_sub(1),
            arguments.count
        );
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

/// Prints the statistics, and which histories failed.
fn report(totals: &Totals, took: Duration, settings: Settings) {
    let figures = &totals.figures;
    println!(
        "{} histories in {:.1} s, {} days in the model",
        totals.done,
        took.as_secs_f64(),
        figures.seconds / 86_400
    );
    println!(
        "{} calls to AWS, {} invocations, {} stack operations with {} requests, {} rollbacks, {} databases created, {} \
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
        println!("no violations");
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

/// Prints the shortest history that fails the same way as this one.
fn replay(job: Job, settings: Settings, whole: bool) -> ExitCode {
    let command = job.replay(settings.plant);
    let plan = job.plan();
    // First on its own thread, because it may never return or may panic in the model.
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
        println!("no violations: {command}");
        return ExitCode::SUCCESS;
    }
    for violation in &outcome.violations {
        println!("VIOLATED {violation}");
    }
    println!("replay: {command}");
    ExitCode::FAILURE
}
