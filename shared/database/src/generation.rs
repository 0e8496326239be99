//! Which creation a database's data belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::{OffsetDateTime, PrimitiveDateTime, macros::format_description};

use crate::{
    EngineVersion, SettingError,
    setting::TextForm,
    text::{pattern, text},
};

/// The generation of a database's data. Each time a user creates a database, a new one starts. It's a property of the
/// resource, a tag on the instance and its snapshots, and a staging label of the credentials.
///
/// It's the time in UTC, to the second, and a part that tells requests apart, such as `20261122-135501-1a2b3c4d`. It
/// sorts by age, and you can read it in a snapshot's name. The first version had the time only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Generation(String);

/// A text that isn't a generation.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be 1 to 32 lowercase letters, digits, and single hyphens, such as 20261122-135501")]
pub struct GenerationError;

impl Generation {
    /// The generation that a user's request starts at this time. `request` is 1 to 16 lowercase letters and digits. It
    /// tells apart the requests of two users who save in the same second.
    ///
    /// # Errors
    /// A year after 9999, which this text can't hold, or a `request` that doesn't have this form.
    pub fn at(now: OffsetDateTime, request: &str) -> Result<Self, GenerationError> {
        let format = format_description!("[year][month][day]-[hour][minute][second]");
        now.to_offset(time::UtcOffset::UTC)
            .format(format)
            .map_err(|_| GenerationError)
            .and_then(|time| Self::try_from(format!("{time}-{request}")))
    }

    /// When the request was made. `None` if it doesn't say so.
    #[must_use]
    pub fn time(&self) -> Option<OffsetDateTime> {
        let format = format_description!("[year][month][day]-[hour][minute][second]");
        PrimitiveDateTime::parse(self.0.get(..15)?, format).ok().map(PrimitiveDateTime::assume_utc)
    }

    /// The staging label of the version of the secret that holds this generation's credentials.
    #[must_use]
    pub fn staging_label(&self) -> String {
        format!("generation-{}", self.0)
    }
}

impl TryFrom<String> for Generation {
    type Error = GenerationError;

    fn try_from(text: String) -> Result<Self, GenerationError> {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if text.len() > 32 || !text.split('-').all(word) {
            return Err(GenerationError);
        }
        Ok(Self(text))
    }
}

impl From<Generation> for String {
    fn from(generation: Generation) -> String {
        generation.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identifier of a DB snapshot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(String);

impl SnapshotId {
    /// The `number`th final snapshot of a generation. A database that was restored from one final snapshot and is then
    /// removed needs a second one. At most 58 + 1 + 32 + 11 characters of RDS's 255.
    #[must_use]
    pub fn final_of(identifier: &str, generation: &Generation, number: u32) -> Self {
        Self(format!("{identifier}-{generation}-{number}"))
    }

    /// The snapshot before an upgrade to another major version. `request` tells two attempts apart, because each takes
    /// the data of its own time. At most 58 + 1 + 32 + 8 + 7 + 1 + 16 characters of RDS's 255.
    #[must_use]
    pub fn before_upgrade(
        identifier: &str,
        generation: &Generation,
        to: EngineVersion,
        request: &str,
    ) -> Self {
        let to = to.to_string().replace('.', "-");
        Self(format!("{identifier}-{generation}-before-{to}-{request}"))
    }

    /// Which final snapshot of that generation this is, if it's one.
    #[must_use]
    pub fn number_of(&self, identifier: &str, generation: &Generation) -> Option<u32> {
        let rest = self.0.strip_prefix(&format!("{identifier}-{generation}-"))?;
        rest.parse().ok()
    }
}

text!(
    SnapshotId,
    SettingError::Snapshot,
    TextForm { max_length: Some(255), ..pattern("^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$") }
);

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_generation_is_the_time_of_its_creation_in_utc() {
        let generation = Generation::at(datetime!(2026-11-22 14:55:01 +1), "1a2b3c4d").unwrap();
        assert_eq!(generation.to_string(), "20261122-135501-1a2b3c4d");
        assert_eq!(generation.time(), Some(datetime!(2026-11-22 13:55:01 UTC)));
        let first = Generation::try_from("20261122-135501".to_owned()).unwrap();
        assert_eq!(first.time(), generation.time(), "as the first version wrote it");
        assert_eq!(Generation::try_from("a".to_owned()).unwrap().time(), None);
    }

    #[test]
    fn a_final_snapshot_is_recognized_by_identifier_and_generation() {
        let generation = Generation::try_from("20261122-135501".to_owned()).unwrap();
        let other = Generation::try_from("20261122-135502".to_owned()).unwrap();
        let snapshot = SnapshotId::final_of("shop-dev-postgres", &generation, 2);
        assert_eq!(snapshot.as_ref(), "shop-dev-postgres-20261122-135501-2");
        assert_eq!(snapshot.number_of("shop-dev-postgres", &generation), Some(2));
        assert_eq!(snapshot.number_of("shop-dev-postgres", &other), None);
    }

    #[test]
    fn a_text_that_a_snapshot_name_cannot_contain_is_no_generation() {
        for bad in ["", "-", "a--b", "A", "a_b", "a-", &"a".repeat(33)] {
            assert_eq!(Generation::try_from(bad.to_owned()), Err(GenerationError), "{bad}");
        }
    }
}
