//! `cargo histories`: runs many histories and says what did not hold.
#![expect(clippy::print_stdout, reason = "a person reads it")]
#![recursion_limit = "256"]

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use clap::Parser;
use model::{Figures, Invariant, Plan, Plant, run, shrink};

/// Runs the real functions in a model of AWS, one history per seed, with faults.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many histories.
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Replays one seed, and prints what happened.
    #[arg(long)]
    seed: Option<u64>,
    /// Plants a bug, and expects that it is found.
    #[arg(long)]
    plant: Option<String>,
    /// How many threads.
    #[arg(long)]
    workers: Option<usize>,
    /// Replays the seed as it was drawn, without looking for a shorter history.
    #[arg(long)]
    whole: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let plant = match &arguments.plant {
        Some(name) => Some(Plant::named(name).ok_or_else(|| {
            let names: Vec<_> = Plant::ALL.into_iter().map(Plant::name).collect();
            anyhow::anyhow!("no such bug; there are {}", names.join(", "))
        })?),
        None => None,
    };
    if let Some(seed) = arguments.seed {
        return Ok(replay(&Plan::of(seed), plant, arguments.whole));
    }
    let began = Instant::now();
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from + arguments.count;
    let workers =
        arguments.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let work = || {
        let mut figures = Figures::default();
        let mut failed: Vec<(u64, Invariant)> = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end || failed.len() >= 20 {
                return (figures, failed);
            }
            let outcome = run(&Plan::of(seed), plant, false);
            figures.add(&outcome.figures);
            if let Some(violation) = outcome.violations.first() {
                failed.push((seed, violation.invariant));
            }
        }
    };
    let (figures, mut failed) = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut all = (Figures::default(), Vec::new());
        for handle in handles {
            if let Ok((figures, failed)) = handle.join() {
                all.0.add(&figures);
                all.1.extend(failed);
            }
        }
        all
    });
    failed.sort_unstable();
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} histories in {seconds:.1} s, {} of the model's days",
        arguments.count,
        figures.seconds / 86_400
    );
    println!(
        "{} calls to AWS, {} invocations, {} operations of stacks with {} requests, {} rolled back, {} databases made, {} \
         final snapshots",
        figures.calls,
        figures.invocations,
        figures.operations,
        figures.requests,
        figures.rollbacks,
        figures.databases,
        figures.snapshots
    );
    let faults: Vec<_> =
        figures.faults.iter().map(|(kind, count)| format!("{} {count}", kind.name())).collect();
    println!("faults: {}", faults.join(", "));
    let Some((seed, _)) = failed.first() else {
        println!("everything held");
        return Ok(ExitCode::SUCCESS);
    };
    let mut by: Vec<(Invariant, Vec<u64>)> = Vec::new();
    for (seed, invariant) in &failed {
        match by.iter_mut().find(|(known, _)| known == invariant) {
            Some((_, seeds)) => seeds.push(*seed),
            None => by.push((*invariant, vec![*seed])),
        }
    }
    for (invariant, seeds) in &by {
        println!("FAILED {}: seeds {seeds:?}", invariant.name());
    }
    Ok(replay(&Plan::of(*seed), plant, arguments.whole))
}

/// Prints the shortest history that fails as this seed does.
fn replay(plan: &Plan, plant: Option<Plant>, whole: bool) -> ExitCode {
    let seed = plan.seed;
    let outcome = run(plan, plant, whole);
    let Some(first) = outcome.violations.first() else {
        println!("seed {seed}: everything held");
        for line in &outcome.trace {
            println!("{line}");
        }
        return ExitCode::SUCCESS;
    };
    let plan = if whole { plan.clone() } else { shrink(plan, plant, first.invariant).0 };
    let outcome = run(&plan, plant, true);
    for line in &outcome.trace {
        println!("{line}");
    }
    println!("{plan}");
    for violation in &outcome.violations {
        println!("VIOLATED {violation}");
    }
    let planted = plant.map(|plant| format!(" --plant {}", plant.name())).unwrap_or_default();
    println!("replay: cargo histories --seed {seed}{planted}");
    ExitCode::FAILURE
}
