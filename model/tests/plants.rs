//! Every planted bug is found, by an invariant that names it, within the histories that CI runs.

#![recursion_limit = "256"]

use std::hash::{BuildHasher, Hasher, RandomState};

use model::{At, Fault, FaultKind, Plan, Plant, run};

/// Within how many histories each has to be found, wherever they begin.
fn budget(plant: Plant) -> u64 {
    match plant {
        // What people do in quick succession, and what goes wrong in the last moment: rarer than the others.
        Plant::RebuildsWithoutAToken
        | Plant::KeepsContainersAfterARollback
        | Plant::PublishesTooEarly
        | Plant::WorksOutOfTurn
        | Plant::ChangesTheClass => 5_000,
        // Two stages within a second, and a call that is throttled meanwhile; a test of the pure crate goes through every order.
        Plant::LeavesAtOnce => 12_000,
        _ => 2_000,
    }
}

/// Where the histories begin: another place each time, so that no plant is found by luck for ever.
fn beginning() -> u64 {
    RandomState::new().build_hasher().finish() >> 24
}

#[test]
fn every_planted_bug_is_found_within_its_budget_of_fresh_histories() {
    let first = beginning();
    println!("from the seed {first} on");
    let mut missed = Vec::new();
    for plant in Plant::ALL {
        let finds = |seed: &u64| {
            let outcome = run(&Plan::of(*seed), Some(plant), false);
            let first = outcome.violations.first();
            first.is_some_and(|violation| plant.found_by().contains(&violation.invariant))
        };
        match (first..first + budget(plant)).find(finds) {
            Some(seed) => println!("{} is found by history {}", plant.name(), seed - first),
            None => missed.push(plant.name()),
        }
    }
    assert!(missed.is_empty(), "not found from the seed {first} on: {missed:?}");
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..40 {
        let plan = Plan::of(seed);
        assert_eq!(run(&plan, None, true), run(&plan, None, true), "{seed}");
    }
}

#[test]
fn a_history_is_the_same_after_any_other() {
    // Most calls are tried again, so what clients have in common would be used up.
    let bad = |seed| {
        let fails = |call| Fault { at: At::Call(call), tries: 1, kind: FaultKind::Fails };
        Plan { faults: (0..4000).filter(|call| call % 3 > 0).map(fails).collect(), ..Plan::of(seed) }
    };
    let all = || (0..40).map(|seed| run(&bad(seed), None, true)).collect::<Vec<_>>();
    let alone = all();
    for (seed, outcome) in all().into_iter().enumerate() {
        assert!(outcome == alone[seed], "history {seed} went another way");
    }
}
