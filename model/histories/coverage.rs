//! Where all the histories of a run have been, and where the next ones should go.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use model::{At, Coverage, Fault, FaultKind, Kind, Phase, Place};

use crate::job::Job;

/// How often a place was reached.
#[derive(Debug, Default)]
struct Tally {
    /// Without a fault, and with each kind.
    counts: BTreeMap<Option<FaultKind>, u64>,
    /// The first seed that comes there without a fault, and at which of the calls of the point.
    example: Option<(u64, u32)>,
}

impl Tally {
    fn count(&self, kind: FaultKind) -> u64 {
        self.counts.get(&Some(kind)).copied().unwrap_or_default()
    }
}

/// Where they have been.
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

    /// Faults where the fewest were, the rarest places first, each with a history that comes there: everything before the fault stays as it was.
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
            // One that the SDK gets over, one that it does not, and one that lasts; which of them does not matter here.
            let tries = match (seed ^ u64::from(nth)).wrapping_add(before) % 3 {
                0 => 1,
                1 => 5,
                _ => 25,
            };
            Job::Aimed(seed, vec![Fault { at: At::Of { point: place.point(), nth }, tries, kind }])
        });
        aimed.collect()
    }

    /// For each phase and kind of fault, how many of the places have met it.
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
            let _ = write!(text, "\nnot among the points: {function:?} {operation}");
        }
        text
    }

    /// Every cell with the number of histories that reached it; those that no history reached have 0.
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
