//! Which places the histories of a run have reached, and which ones the next histories should aim at.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use model::{At, Coverage, Fault, FaultKind, Kind, Phase, Place};

use crate::job::Job;

/// How often a place was reached.
#[derive(Debug, Default)]
struct Tally {
    /// The number of times without a fault, and with each kind of fault.
    counts: BTreeMap<Option<FaultKind>, u64>,
    /// The lowest seed that reaches the place without a fault, and the number of the call at the point.
    example: Option<(u64, u32)>,
}

impl Tally {
    fn count(&self, kind: FaultKind) -> u64 {
        self.counts.get(&Some(kind)).copied().unwrap_or_default()
    }
}

/// The places that were reached.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    places: BTreeMap<Place, Tally>,
    unlisted: BTreeSet<(Kind, String)>,
}

impl Reached {
    pub(crate) fn add(&mut self, job: &Job, coverage: &Coverage) {
        for ((place, fault), nth) in &coverage.cells {
            let tally = self.places.entry(*place).or_default();
            *tally.counts.entry(*fault).or_default() += 1;
            if let (Job::Seed(seed), None) = (job, fault) {
                let example = (*seed, *nth);
                tally.example = Some(tally.example.map_or(example, |before| before.min(example)));
            }
        }
        self.unlisted.extend(coverage.unlisted.iter().cloned());
    }

    /// Faults for the least-visited places, rarest first, each with a history that reaches the place. Everything before
    /// the fault stays the same.
    pub(crate) fn rarest(&self, count: usize) -> Vec<Job> {
        let cells = self.places.iter().filter_map(|(place, tally)| Some((place, tally, tally.example?)));
        let mut rare: Vec<_> = cells
            .flat_map(|(place, tally, example)| {
                let clear = tally.counts.get(&None).copied().unwrap_or_default();
                FaultKind::ALL
                    .into_iter()
                    .map(move |kind| ((tally.count(kind), clear), *place, kind, example))
            })
            .collect();
        rare.sort_unstable();
        let aimed = rare.into_iter().take(count).map(|((before, _), place, kind, (seed, nth))| {
            // One that the SDK's retries overcome, one that they don't, and one that lasts. Which one doesn't matter.
            let tries = match (seed ^ u64::from(nth)).wrapping_add(before) % 3 {
                0 => 1,
                1 => 5,
                _ => 25,
            };
            Job::Aimed(seed, vec![Fault { at: At::Of { point: place.point(), nth }, tries, kind }])
        });
        aimed.collect()
    }

    /// For each phase and kind of fault, the number of places it has hit.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{:18}{:>8}", "places", "known");
        for kind in FaultKind::ALL {
            let _ = write!(text, "{:>16}", kind.name());
        }
        for phase in Phase::ALL {
            let of_phase: Vec<_> = self.places.iter().filter(|(place, _)| place.phase() == phase).collect();
            let _ = write!(text, "\n{:18}{:>8}", phase.name(), of_phase.len());
            for kind in FaultKind::ALL {
                let reached = of_phase.iter().filter(|(_, tally)| tally.count(kind) > 0).count();
                let _ = write!(text, "{reached:>16}");
            }
        }
        for (function, operation) in &self.unlisted {
            let _ = write!(text, "\nnot in the list of points: {function:?} {operation}");
        }
        text
    }

    /// Every place and fault, with the number of times that histories reached it. 0 means never.
    pub(crate) fn cells(&self) -> String {
        let mut text =
            "# histories, phase, stage before and after, stack, request, function and operation, fault\n"
                .to_owned();
        for (place, tally) in &self.places {
            let clear = tally.counts.get(&None).copied().unwrap_or_default();
            let _ = writeln!(text, "{clear:>8} {place}, none");
            for kind in FaultKind::ALL {
                let _ = writeln!(text, "{:>8} {place}, {}", tally.count(kind), kind.name());
            }
        }
        text
    }
}
