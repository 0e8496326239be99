//! What a person can choose for a database, one value each, as types that cannot be wrong.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::reserved::RESERVED;

/// The least storage of an RDS for PostgreSQL instance on gp3, in GiB (RDS API, `CreateDBInstance`).
const STORAGE_MIN: u32 = 20;
/// The most storage of an RDS for PostgreSQL instance on gp3, in GiB (RDS API, `CreateDBInstance`).
const STORAGE_MAX: u32 = 65_536;
/// The most days that RDS keeps automated backups (RDS API, `CreateDBInstance`).
const RETENTION_MAX: u32 = 35;

/// Why a value is not a setting. Each message says what is allowed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SettingError {
    /// Not the form of a DB instance class.
    #[error("must be a DB instance class such as db.t4g.micro")]
    InstanceClass,
    /// Outside RDS's limits.
    #[error("must be {STORAGE_MIN} to {STORAGE_MAX} GiB, not {0}")]
    Storage(i64),
    /// Outside RDS's limits, or none at all, with which a database could not be restored to a point in time.
    #[error("must be 1 to {RETENTION_MAX} days, not {0}")]
    BackupRetention(i64),
    /// Not a version.
    #[error("must be a PostgreSQL version: a major one such as 17, or a full one such as 17.5")]
    EngineVersion,
    /// Neither of the two.
    #[error("must be now or maintenance-window")]
    Apply,
    /// Not a name that a new database can have.
    #[error(
        "must be 1 to 63 characters: a lower-case letter, then lower-case letters, digits and underscores, such as app"
    )]
    DatabaseName,
    /// A word that the database engine keeps for itself.
    #[error("cannot be a word that PostgreSQL or RDS reserves, such as {0}")]
    ReservedDatabaseName(String),
    /// Not a name that we can hand to applications.
    #[error("must be 1 to 63 letters, digits, underscores and hyphens, such as orders")]
    ExistingDatabaseName,
    /// Not the form of an RDS identifier.
    #[error(
        "must be the identifier of a DB instance or a DB cluster: 1 to 63 lower-case letters, digits and single hyphens, \
         such as orders"
    )]
    Identifier,
    /// Not the form of a snapshot's identifier.
    #[error("must be the identifier of a DB snapshot: 1 to 255 letters, digits and single hyphens")]
    Snapshot,
    /// Not the form of a secret's ARN.
    #[error(
        "must be the ARN of a secret, such as arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-AbCdEf"
    )]
    SecretArn,
    /// Not a name of a role.
    #[error("must be 1 to 63 characters, none of them a control character")]
    Username,
}

/// Implements what every checked text has in common: making it by `TryFrom<String>`, and reading it.
macro_rules! text {
    ($type:ident, $check:expr) => {
        impl TryFrom<String> for $type {
            type Error = SettingError;
            fn try_from(text: String) -> Result<Self, SettingError> {
                let check: fn(&str) -> Result<(), SettingError> = $check;
                check(&text)?;
                Ok(Self(text))
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.0
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// A DB instance class such as `db.t4g.micro`. Whether it can be ordered, only RDS knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceClass(String);

text!(InstanceClass, |text| {
    let part = |part: &str| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=20).contains(&part.len()) && part.bytes().all(allowed)
    };
    let mut parts = text.split('.');
    let is_class = parts.next() == Some("db")
        && parts.next().is_some_and(part)
        && parts.next().is_some_and(part)
        && parts.next().is_none();
    if is_class { Ok(()) } else { Err(SettingError::InstanceClass) }
});

/// Allocated storage in GiB, 20 to 65536.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StorageGiB(u32);

impl StorageGiB {
    /// The least that can be chosen.
    pub const MIN: Self = Self(STORAGE_MIN);
    /// The most that can be chosen.
    pub const MAX: Self = Self(STORAGE_MAX);

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

/// For how many days RDS keeps automated backups, 1 to 35. None at all cannot be chosen: switching backups on or off
/// interrupts the database, and without them there is no way back from a mistake in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct BackupRetention(u32);

impl BackupRetention {
    /// What a new database gets, if nothing else is chosen: a week.
    pub const DEFAULT: Self = Self(7);

    /// The number of days.
    #[must_use]
    pub fn days(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for BackupRetention {
    type Error = SettingError;

    fn try_from(days: i64) -> Result<Self, SettingError> {
        u32::try_from(days)
            .ok()
            .filter(|days| (1..=RETENTION_MAX).contains(days))
            .map(Self)
            .ok_or(SettingError::BackupRetention(days))
    }
}

/// A PostgreSQL version, major (`17`) or full (`17.5`). It is a floor: RDS upgrades minor versions by itself, and no
/// version can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EngineVersion {
    major: u16,
    minor: Option<u16>,
}

impl EngineVersion {
    /// A major version, whichever minor one of it.
    #[must_use]
    pub fn from_major(major: u16) -> Self {
        Self { major, minor: None }
    }

    /// The major version.
    #[must_use]
    pub fn major(self) -> u16 {
        self.major
    }

    /// Whether a database of the version `live` is as new as this one asks for.
    #[must_use]
    pub fn is_reached_by(self, live: Self) -> bool {
        live.major > self.major || (live.major == self.major && live.minor >= self.minor)
    }
}

impl TryFrom<String> for EngineVersion {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, SettingError> {
        let number = |text: &str| {
            let digits = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| digits).ok_or(SettingError::EngineVersion)
        };
        match text.split_once('.') {
            None => Ok(Self { major: number(&text)?, minor: None }),
            Some((major, minor)) => Ok(Self { major: number(major)?, minor: Some(number(minor)?) }),
        }
    }
}

impl From<EngineVersion> for String {
    fn from(version: EngineVersion) -> String {
        version.to_string()
    }
}

impl fmt::Display for EngineVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            Some(minor) => write!(f, "{}.{minor}", self.major),
            None => write!(f, "{}", self.major),
        }
    }
}

/// When changes are made that interrupt the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Apply {
    /// As part of the rebuild.
    #[default]
    Now,
    /// By RDS, in the instance's next maintenance window.
    MaintenanceWindow,
}

impl TryFrom<String> for Apply {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, SettingError> {
        match text.as_str() {
            "now" => Ok(Self::Now),
            "maintenance-window" => Ok(Self::MaintenanceWindow),
            _ => Err(SettingError::Apply),
        }
    }
}

impl fmt::Display for Apply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now => "now",
            Self::MaintenanceWindow => "maintenance-window",
        })
    }
}

/// The name of the database inside a new instance.
///
/// RDS takes letters, digits and underscores; upper case is left out because a name that needs quotes in SQL surprises.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseName(String);

text!(DatabaseName, |text| {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !(1..=63).contains(&text.len())
        || !text.starts_with(|c: char| c.is_ascii_lowercase())
        || !text.bytes().all(allowed)
    {
        return Err(SettingError::DatabaseName);
    }
    if RESERVED.contains(&text) {
        return Err(SettingError::ReservedDatabaseName(text.to_owned()));
    }
    Ok(())
});

/// The name of a database in an existing instance or cluster: PostgreSQL takes almost anything, we what needs no escapes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExistingDatabaseName(String);

text!(ExistingDatabaseName, |text| {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let is_name = (1..=63).contains(&text.len()) && text.bytes().all(allowed);
    if is_name { Ok(()) } else { Err(SettingError::ExistingDatabaseName) }
});

/// The identifier of a DB instance or a DB cluster; RDS stores it in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseIdentifier(String);

text!(DatabaseIdentifier, |text| {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let is_identifier = text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.split('-').all(is_word);
    if is_identifier { Ok(()) } else { Err(SettingError::Identifier) }
});

/// The ARN of a secret in Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretArn(String);

impl SecretArn {
    /// Partition, region and account, such as `aws`, `us-east-1` and `123456789012`.
    #[must_use]
    pub fn place(&self) -> Option<(&str, &str, &str)> {
        place(&self.0)
    }
}

text!(SecretArn, |text| {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@!:-".contains(&b);
    let parts: Vec<_> = text.split(':').collect();
    let is_arn = text.len() <= 700
        && text.bytes().all(allowed)
        && matches!(parts.as_slice(), ["arn", partition, "secretsmanager", region, account, "secret", name]
            if partition.starts_with("aws") && !region.is_empty() && account.len() == 12 && name.len() > 7);
    if is_arn { Ok(()) } else { Err(SettingError::SecretArn) }
});

/// Partition, region and account of an ARN.
#[must_use]
pub fn place(arn: &str) -> Option<(&str, &str, &str)> {
    let mut parts = arn.split(':');
    let (arn, partition, _, region, account) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (arn == "arn").then_some((partition, region, account))
}

/// The name of a role in an existing database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

text!(Username, |text| {
    let is_name = (1..=63).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if is_name { Ok(()) } else { Err(SettingError::Username) }
});

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

    #[test]
    fn a_version_is_reached_by_itself_and_by_newer_ones() {
        let version = |text: &str| EngineVersion::try_from(text.to_owned()).unwrap();
        for (wanted, live, reached) in [
            ("17", "17.5", true),
            ("17.5", "17.5", true),
            ("17.4", "17.5", true),
            ("16", "17.1", true),
            ("16.9", "17.1", true),
            ("17.6", "17.5", false),
            ("18", "17.5", false),
        ] {
            assert_eq!(version(wanted).is_reached_by(version(live)), reached, "{wanted} {live}");
        }
        for bad in ["", ".", "17.", ".5", "17.5.1", "v17", "17 ", "+17", "1717", "17.-5"] {
            assert_eq!(EngineVersion::try_from(bad.to_owned()), Err(SettingError::EngineVersion), "{bad}");
        }
        assert_eq!(version("17.5").to_string(), "17.5");
    }

    #[test]
    fn backups_are_kept_for_one_to_thirty_five_days() {
        for (days, good) in [(-1, false), (0, false), (1, true), (35, true), (36, false)] {
            assert_eq!(BackupRetention::try_from(days).is_ok(), good, "{days}");
        }
    }

    #[test]
    fn an_identifier_is_what_rds_stores() {
        for good in ["orders", "orders-2", &"a".repeat(63)] {
            assert!(DatabaseIdentifier::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in
            ["", "Orders", "1orders", "orders-", "or--ders", "or_ders", "orders;drop", "ö", &"a".repeat(64)]
        {
            assert_eq!(DatabaseIdentifier::try_from(bad.to_owned()), Err(SettingError::Identifier), "{bad}");
        }
    }

    #[test]
    fn a_secrets_arn_says_where_it_is() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-0a1b-AbCdEf";
        let secret = SecretArn::try_from(arn.to_owned()).unwrap();
        assert_eq!(secret.place(), Some(("aws", "us-east-1", "123456789012")));
        for bad in [
            "",
            "orders",
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:short",
            "arn:aws:secretsmanager:us-east-1:1234:secret:orders-AbCdEf",
            "arn:aws:s3:::bucket",
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-AbCdEf:password::",
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders $(id)-AbCdEf",
        ] {
            assert_eq!(SecretArn::try_from(bad.to_owned()), Err(SettingError::SecretArn), "{bad}");
        }
    }
}
