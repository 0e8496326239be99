//! What a person chooses for a stage's database, as types that cannot be wrong.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The least storage of an RDS for PostgreSQL instance on gp3, in GiB (RDS API, `CreateDBInstance`).
const STORAGE_MIN: u32 = 20;
/// The most storage of an RDS for PostgreSQL instance on gp3, in GiB (RDS API, `CreateDBInstance`).
const STORAGE_MAX: u32 = 65_536;

/// The settings of a database that stagedb creates and owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedSettings {
    /// The DB instance class.
    pub instance_class: InstanceClass,
    /// The allocated storage: a floor, as storage never shrinks.
    pub storage: StorageGiB,
    /// The database inside the instance. It cannot be changed once it is created.
    pub database_name: DatabaseName,
}

/// Why a value is not a setting. Each message says what is allowed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SettingError {
    /// Not the form of a DB instance class.
    #[error("must be a DB instance class such as db.t4g.micro")]
    InstanceClass,
    /// Outside RDS's limits.
    #[error("must be {STORAGE_MIN} to {STORAGE_MAX} GiB, not {0}")]
    Storage(i64),
    /// Not a name that a database can have.
    #[error(
        "must be 1 to 63 characters: a lower-case letter, then lower-case letters, digits and underscores, such as app"
    )]
    DatabaseName,
    /// A word that the database engine keeps for itself.
    #[error("cannot be a word that PostgreSQL or RDS reserves, such as {0}")]
    ReservedDatabaseName(String),
}

/// A DB instance class such as `db.t4g.micro`. Whether it can be ordered, only RDS knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceClass(String);

impl TryFrom<String> for InstanceClass {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, SettingError> {
        let part = |part: &str| {
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            (1..=20).contains(&part.len()) && part.bytes().all(allowed)
        };
        let mut parts = text.split('.');
        let is_class = parts.next() == Some("db")
            && parts.next().is_some_and(part)
            && parts.next().is_some_and(part)
            && parts.next().is_none();
        if is_class { Ok(Self(text)) } else { Err(SettingError::InstanceClass) }
    }
}

impl From<InstanceClass> for String {
    fn from(class: InstanceClass) -> String {
        class.0
    }
}

impl AsRef<str> for InstanceClass {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Allocated storage in GiB, 20 to 65536.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StorageGiB(u32);

impl StorageGiB {
    /// The number of GiB.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for StorageGiB {
    type Error = SettingError;

    fn try_from(gib: i64) -> Result<Self, SettingError> {
        u32::try_from(gib)
            .ok()
            .filter(|gib| (STORAGE_MIN..=STORAGE_MAX).contains(gib))
            .map(Self)
            .ok_or(SettingError::Storage(gib))
    }
}

impl fmt::Display for StorageGiB {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} GiB", self.0)
    }
}

/// The least that storage of this many GiB can grow to: RDS refuses or raises growth of less than 10 %.
#[must_use]
pub fn minimum_growth(live_gib: u32) -> u32 {
    live_gib.saturating_add(live_gib.div_ceil(10))
}

/// The name of the database inside the instance.
///
/// RDS takes letters, digits and underscores; upper case is left out because a name that needs quotes in SQL surprises.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseName(String);

impl TryFrom<String> for DatabaseName {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, SettingError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !(1..=63).contains(&text.len())
            || !text.starts_with(|c: char| c.is_ascii_lowercase())
            || !text.bytes().all(allowed)
        {
            return Err(SettingError::DatabaseName);
        }
        if RESERVED.contains(&text.as_str()) {
            return Err(SettingError::ReservedDatabaseName(text));
        }
        Ok(Self(text))
    }
}

impl From<DatabaseName> for String {
    fn from(name: DatabaseName) -> String {
        name.0
    }
}

impl AsRef<str> for DatabaseName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// PostgreSQL's reserved key words (its manual, appendix C), its template databases, and RDS's own database.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "rdsadmin",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "template0",
    "template1",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_is_within_the_limits_of_rds() {
        for good in [20, 21, 65_536] {
            assert!(StorageGiB::try_from(good).is_ok(), "{good}");
        }
        for bad in [i64::MIN, -1, 0, 19, 65_537, i64::MAX] {
            let error = StorageGiB::try_from(bad).unwrap_err().to_string();
            assert_eq!(error, format!("must be 20 to 65536 GiB, not {bad}"));
        }
    }

    #[test]
    fn growth_is_at_least_a_tenth_rounded_up() {
        for (live, expected) in [(20, 22), (21, 24), (40, 44), (99, 109), (u32::MAX, u32::MAX)] {
            assert_eq!(minimum_growth(live), expected, "{live}");
        }
    }

    #[test]
    fn an_instance_class_has_three_parts_and_begins_with_db() {
        for good in ["db.t4g.micro", "db.m7g.24xlarge", "db.x2iedn.metal-16xl"] {
            assert!(InstanceClass::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in
            ["", "db", "db.t4g", "t4g.micro", "db.t4g.micro.x", "db..micro", "db.T4G.micro", "db.t4g.mi cro"]
        {
            assert!(InstanceClass::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_database_name_needs_no_quotes_in_sql() {
        for good in ["app", "postgres", "a_1", &"a".repeat(63)] {
            assert!(DatabaseName::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "App", "1a", "_a", "a-b", "a b", "a\"; drop", "ä", &"a".repeat(64)] {
            assert_eq!(DatabaseName::try_from(bad.to_owned()), Err(SettingError::DatabaseName), "{bad}");
        }
        for reserved in ["select", "user", "rdsadmin", "template0"] {
            let error = DatabaseName::try_from(reserved.to_owned()).unwrap_err();
            assert_eq!(error, SettingError::ReservedDatabaseName(reserved.to_owned()));
        }
    }
}
