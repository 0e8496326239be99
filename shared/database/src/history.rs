//! The history of a stage: who changed what, when, and how it ended.
//!
//! Records are lines in a log that nobody can change. One is written before a change starts, with the token that
//! CloudFormation gets, and one when the operation with that token has ended. A line can be there twice, because a write
//! whose reply was lost is repeated. So the history is what [`Pages`] makes of the lines.

mod clean;
mod outcome;
mod outside;
mod pages;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use clean::Clean;
pub use outcome::{Observations, ShownRecord, ends};
pub use outside::{outside_changes, was_running};
pub use pages::{Cursor, Filter, Found, Kind, Pages};

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Unique, so that a repeated write can be told from a second change.
    pub id: Clean,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Entry {
    /// A user is about to change something.
    Change {
        /// The user.
        who: Who,
        /// The operation of the API.
        operation: Clean,
        /// What CloudFormation shows of this change.
        token: Clean,
        /// What changes, setting by setting.
        changes: Vec<Changed>,
    },
    /// A user's role wasn't enough.
    Denied {
        /// The user.
        who: Who,
        /// The operation of the API.
        operation: Clean,
        /// What the user was told.
        reason: Clean,
    },
    /// Something was changed, but not through stagedb.
    Outside {
        /// What, as a sentence.
        what: Clean,
        /// What changed, setting by setting.
        changes: Vec<Changed>,
    },
    /// A change ended.
    Ended(End),
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The user's ID in the user pool, which never changes.
    pub subject: Clean,
    /// The user's email address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Clean>,
    /// The IP address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Clean>,
}

/// A setting before and after a change. Never a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The field in the body of the request.
    pub setting: Clean,
    /// `None`: it had no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Clean>,
    /// `None`: it has no value anymore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Clean>,
}

/// How a change ended, or that it's running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct End {
    /// The token of the change.
    pub token: Clean,
    /// When its operation started.
    #[serde(with = "time::serde::rfc3339")]
    pub began_at: OffsetDateTime,
    /// When it ended.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<OffsetDateTime>,
    /// How.
    pub outcome: Outcome,
    /// Why, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Clean>,
}

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It's running.
    Running,
    /// It succeeded.
    Complete,
    /// It failed, and everything is as it was before.
    RolledBack,
    /// It failed, and so did the rollback.
    Failed,
    /// It was never started: AWS refused it, or didn't respond.
    NotStarted,
    /// AWS no longer shows it.
    Unknown,
}

impl Outcome {
    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::RolledBack => "rolled-back",
            Self::Failed => "failed",
            Self::NotStarted => "not-started",
            Self::Unknown => "unknown",
        }
    }
}

impl Record {
    /// The record as a line of the log.
    ///
    /// # Errors
    /// Its time can't be written.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The record in a line. `None` if something else wrote it.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

impl Changed {
    /// The settings that differ. A setting that a map lacks has no value there.
    pub fn between(
        before: impl IntoIterator<Item = (String, String)>,
        after: impl IntoIterator<Item = (String, String)>,
    ) -> Vec<Self> {
        let mut after: Vec<_> = after.into_iter().collect();
        let mut changed = Vec::new();
        for (setting, before) in before {
            let now = after.iter().position(|(name, _)| *name == setting).map(|at| after.remove(at).1);
            if now.as_ref() != Some(&before) {
                changed.push(Self::new(&setting, Some(&before), now.as_deref()));
            }
        }
        changed.extend(after.iter().map(|(setting, now)| Self::new(setting, None, Some(now))));
        changed
    }

    /// One setting.
    #[must_use]
    pub fn new(setting: &str, before: Option<&str>, after: Option<&str>) -> Self {
        Self { setting: setting.into(), before: before.map(Clean::from), after: after.map(Clean::from) }
    }
}

#[cfg(test)]
mod tests;
