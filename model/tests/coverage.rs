//! The coverage of histories: every call is a point that faults can be aimed at, and an aimed fault hits.

#![recursion_limit = "256"]

use model::{At, Fault, FaultKind, Plan, run};

#[test]
fn every_call_is_among_the_points() {
    for seed in 0..300 {
        let unlisted = run(&Plan::of(seed), None, false).coverage.unlisted;
        assert!(unlisted.is_empty(), "add to model/src/plans/point.rs: {unlisted:?} (history {seed})");
    }
}

#[test]
fn a_fault_that_is_aimed_at_a_place_hits_there() {
    for seed in 0..8 {
        let plan = Plan::of(seed);
        let coverage = run(&plan, None, false).coverage;
        for ((place, fault), nth) in coverage.cells {
            if fault.is_some() {
                continue;
            }
            let kind = FaultKind::LosesReply;
            let mut aimed = plan.clone();
            aimed.faults.push(Fault { at: At::Of { point: place.point(), nth }, tries: 1, kind });
            let cells = run(&aimed, None, false).coverage.cells;
            assert!(cells.contains_key(&(place, Some(kind))), "{place}, number {nth} of history {seed}");
        }
    }
}
