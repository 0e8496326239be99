//! How to specify a history, and how to run it again.

use std::path::PathBuf;

use model::{Fault, Plan, Plant, kept};

/// A history to run.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    /// The plan of a seed.
    Seed(u64),
    /// The plan of a seed, with additional faults.
    Aimed(u64, Vec<Fault>),
    /// A plan in a file.
    File(PathBuf, Plan),
}

impl Job {
    pub(crate) fn plan(&self) -> Plan {
        match self {
            Self::Seed(seed) => Plan::of(*seed),
            Self::Aimed(seed, faults) => {
                let mut plan = Plan::of(*seed);
                plan.faults.extend(faults);
                plan
            }
            Self::File(_, plan) => plan.clone(),
        }
    }

    /// The one-line command that runs it again.
    pub(crate) fn replay(&self, plant: Option<Plant>) -> String {
        let planted = plant.map(|plant| format!(" --plant {}", plant.name())).unwrap_or_default();
        match self {
            Self::Seed(seed) => format!("cargo histories --seed {seed}{planted}"),
            Self::Aimed(seed, faults) => {
                let faults: Vec<_> = faults.iter().map(|fault| format!("--fault '{fault}'")).collect();
                format!("cargo histories --seed {seed} {}{planted}", faults.join(" "))
            }
            Self::File(path, _) => format!("cargo histories --plan {}{planted}", kept::shown(path)),
        }
    }
}

/// Several histories to run.
#[derive(Debug)]
pub(crate) enum Jobs {
    /// Consecutive seeds.
    Range { from: u64, count: u64 },
    /// A list.
    List(Vec<Job>),
}

impl Jobs {
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Range { count, .. } => *count,
            Self::List(jobs) => jobs.len() as u64,
        }
    }

    pub(crate) fn get(&self, number: u64) -> Option<Job> {
        match self {
            Self::Range { from, count } => (number < *count).then(|| Job::Seed(from.wrapping_add(number))),
            Self::List(jobs) => jobs.get(usize::try_from(number).ok()?).cloned(),
        }
    }
}
