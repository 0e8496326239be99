//! A history that doesn't end is cut off, and counts as failed.

#![recursion_limit = "256"]

use model::{Invariant, Plan, run, run_within};

#[test]
fn a_history_of_too_many_calls_is_cut_off() {
    for limit in [0, 1, 10, 30] {
        let outcome = run_within(&Plan::of(1), None, false, limit);
        let last = outcome.violations.last().expect("it was cut off");
        assert_eq!(last.invariant, Invariant::Ends);
        let figures = &outcome.figures;
        let words = format!("cut off after {} calls and {} invocations", figures.calls, figures.invocations);
        assert_eq!(last.words, words);
        // Whatever was running at the same moment may have continued.
        let most = figures.calls.max(figures.invocations);
        assert!((limit + 1..limit + 5).contains(&most), "{most} with a limit of {limit}");
    }
}

#[test]
fn a_history_is_cut_off_at_the_same_place_every_time() {
    let plan = Plan::of(1);
    assert_eq!(run_within(&plan, None, true, 30), run_within(&plan, None, true, 30));
}

#[test]
fn the_limit_changes_nothing_below_it() {
    let plan = Plan::of(1);
    let whole = run(&plan, None, true);
    let most = whole.figures.calls.max(whole.figures.invocations);
    assert_eq!(run_within(&plan, None, true, most), whole);
}
