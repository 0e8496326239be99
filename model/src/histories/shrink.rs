//! Finds the shortest history that still violates the same invariant.

use crate::{
    base::invariant::{Invariant, Violation},
    histories::history::run,
    plans::{
        plan::{Pause, Plan, Weather},
        plant::Plant,
    },
};

/// The maximum number of histories to try.
const TRIES: u32 = 1500;

/// The shortest plan found that still violates this invariant, and its violation.
#[must_use]
pub fn shrink(plan: &Plan, plant: Option<Plant>, invariant: Invariant) -> (Plan, Option<Violation>) {
    let mut tries = 0;
    let mut best = plan.clone();
    let mut violation = None;
    let mut fails = |candidate: &Plan| {
        tries += 1;
        if tries > TRIES {
            return false;
        }
        let found = run(candidate, plant, false).violations.into_iter().find(|v| v.invariant == invariant);
        let still = found.is_some();
        violation = found.or(violation.take());
        still
    };
    loop {
        let before = best.clone();
        // Large parts first, then one by one.
        let mut part = best.steps.len().max(best.faults.len()).max(1);
        while part > 0 {
            drop_parts(&mut best, part, |plan| &mut plan.faults, &mut fails);
            drop_parts(&mut best, part, |plan| &mut plan.steps, &mut fails);
            part /= 2;
        }
        simpler(&mut best, &mut fails);
        if best == before {
            return (best, violation);
        }
    }
}

fn drop_parts<T: Clone>(
    best: &mut Plan,
    part: usize,
    list: impl Fn(&mut Plan) -> &mut Vec<T>,
    fails: &mut impl FnMut(&Plan) -> bool,
) {
    let mut from = 0;
    while from < list(best).len() {
        let mut candidate = best.clone();
        let items = list(&mut candidate);
        let to = (from + part).min(items.len());
        items.drain(from..to);
        if fails(&candidate) {
            *best = candidate;
        } else {
            from += part;
        }
    }
}

fn simpler(best: &mut Plan, fails: &mut impl FnMut(&Plan) -> bool) {
    let calm: [fn(&mut Weather); 5] =
        [|w| w.twice = 0, |w| w.late = 0, |w| w.stale = 0, |w| w.slow = 0, |w| w.refused = 0];
    for change in calm {
        let mut candidate = best.clone();
        change(&mut candidate.weather);
        if candidate != *best && fails(&candidate) {
            *best = candidate;
        }
    }
    for index in 0..best.steps.len() {
        let mut candidate = best.clone();
        candidate.steps[index].after = Pause::AtRest;
        candidate.steps[index].stage = 0;
        if candidate != *best && fails(&candidate) {
            *best = candidate;
        }
    }
    for index in 0..best.faults.len() {
        let mut candidate = best.clone();
        candidate.faults[index].tries = 1;
        if candidate != *best && fails(&candidate) {
            *best = candidate;
        }
    }
}
