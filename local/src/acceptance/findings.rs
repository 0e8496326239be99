//! What the run found out: one line for each thing that AWS may do in another way than the local AWS.

use std::{collections::BTreeMap, fs, io, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// What was seen, by its name. It has nothing that differs between two runs in the same place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Findings(BTreeMap<String, String>);

/// How a finding compares with the remembered one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) name: String,
    pub(super) seen: Option<String>,
    /// What the local AWS did.
    pub(super) expected: Option<String>,
}

impl Compared {
    pub(super) fn is_same(&self) -> bool {
        self.seen == self.expected
    }
}

impl Findings {
    /// Reads what the local AWS did. Nothing if there is no file.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            text => serde_json::from_str(&text.with_context(|| format!("cannot read {}", path.display()))?)
                .with_context(|| format!("{} isn't as expected", path.display())),
        }
    }

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn add(&mut self, name: &str, seen: impl Into<String>) {
        self.0.insert(name.to_owned(), seen.into());
    }

    /// Every finding of either, in the order of their names.
    pub(super) fn compared_with(&self, expected: &Self) -> Vec<Compared> {
        let names = self.0.keys().chain(expected.0.keys()).collect::<std::collections::BTreeSet<_>>();
        let compare = |name: &String| Compared {
            name: name.clone(),
            seen: self.0.get(name).cloned(),
            expected: expected.0.get(name).cloned(),
        };
        names.into_iter().map(compare).collect()
    }
}
