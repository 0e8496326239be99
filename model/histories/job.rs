//! What one history is asked for by, and how somebody asks for it again.

use std::path::PathBuf;

use model::{Fault, Plan, Plant, kept};

/// A history that is to be run.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    /// The plan of a seed.
    Seed(u64),
    /// The plan of a seed, with more faults.
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

    /// The command that runs it again, in one line.
    pub(crate) fn replay(&self, plant: Option<Plant>) -> String {
        let planted = plant.map(|plant| format!(" --plant {}", plant.name())).unwrap_or_default();
        match self {
            Self::Seed(seed) => format!("cargo histories --seed {seed}{planted}"),
            Self::Aimed(seed, faults) => {
                let faults: String = faults.iter().map(|fault| format!(" --fault '{fault}'")).collect();
                format!("cargo histories --seed {seed}{faults}{planted}")
            }
            Self::File(path, _) => format!("cargo histories --plan {}{planted}", kept::shown(path)),
        }
    }
}

/// Many of them.
#[derive(Debug)]
pub(crate) enum Jobs {
    /// So many seeds, from the first one on.
    Range { from: u64, count: u64 },
    /// These.
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
