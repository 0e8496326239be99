//! Every planted bug is found, by an invariant that names it, within the histories that CI runs.

#![recursion_limit = "256"]

use model::{Plan, Plant, run};

/// How many histories CI runs.
const BUDGET: u64 = 20_000;

#[test]
fn every_planted_bug_is_found_within_the_budget() {
    for plant in Plant::ALL {
        let finds = |seed: &u64| {
            let outcome = run(&Plan::of(*seed), Some(plant), false);
            outcome
                .violations
                .first()
                .is_some_and(|violation| plant.found_by().contains(&violation.invariant))
        };
        let Some(seed) = (0..BUDGET).find(finds) else { panic!("{} is not found", plant.name()) };
        println!("{} is found by history {seed}", plant.name());
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..40 {
        let plan = Plan::of(seed);
        assert_eq!(run(&plan, None, true), run(&plan, None, true), "{seed}");
    }
}
