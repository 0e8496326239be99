//! The values of a database that stagedb creates.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{RETENTION_MAX, ROTATION_MAX, STORAGE_MAX, STORAGE_MIN, SettingError};
use crate::{
    choice::choice,
    reserved::RESERVED,
    setting::{self, Form, SettingValue, TextForm},
    text::{pattern, text},
};

/// A DB instance class such as `db.t4g.micro`. Only RDS knows whether you can order it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceClass(String);

text!(
    InstanceClass,
    SettingError::InstanceClass,
    TextForm { example: Some("db.t4g.micro"), ..pattern(r"^db\.[a-z0-9-]{1,20}\.[a-z0-9-]{1,20}$") }
);

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

impl SettingValue for StorageGiB {
    const FORM: Form = Form::Number { min: STORAGE_MIN, max: STORAGE_MAX };

    fn from_json(json: &Json) -> Result<Self, String> {
        setting::number(json)
    }

    fn to_json(&self) -> Json {
        Json::from(self.0)
    }
}

/// The least that storage of this many GiB can grow to. RDS refuses an increase of less than 10%, or raises it.
#[must_use]
pub fn minimum_growth(live_gib: u32) -> u32 {
    live_gib.saturating_add(live_gib.div_ceil(10))
}

/// How many days RDS keeps automated backups, 1 to 35. You can't turn them off: turning backups on or off interrupts
/// the database, and without them you can't recover from a mistake in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct BackupRetention(u32);

impl BackupRetention {
    /// The default for a new database: a week.
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

impl SettingValue for BackupRetention {
    const FORM: Form = Form::Number { min: 1, max: RETENTION_MAX };

    fn from_json(json: &Json) -> Result<Self, String> {
        setting::number(json)
    }

    fn to_json(&self) -> Json {
        Json::from(self.0)
    }
}

/// After how many days the passwords are rotated, 0 to 365. With 0, only a user rotates them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct RotationDays(u32);

impl RotationDays {
    /// Only a user rotates them.
    pub const NEVER: Self = Self(0);

    /// The number of days. `None` if only a user rotates them.
    #[must_use]
    pub fn days(self) -> Option<u32> {
        Some(self.0).filter(|days| *days > 0)
    }
}

impl TryFrom<i64> for RotationDays {
    type Error = SettingError;

    fn try_from(days: i64) -> Result<Self, SettingError> {
        let allowed = u32::try_from(days).ok().filter(|days| (0..=ROTATION_MAX).contains(days));
        allowed.map(Self).ok_or(SettingError::Rotation(days))
    }
}

impl SettingValue for RotationDays {
    const FORM: Form = Form::Number { min: 0, max: ROTATION_MAX };

    fn from_json(json: &Json) -> Result<Self, String> {
        setting::number(json)
    }

    fn to_json(&self) -> Json {
        Json::from(self.0)
    }
}

/// A PostgreSQL version, major (`17`) or full (`17.5`). It's a floor: RDS upgrades minor versions automatically, and a
/// version can't be downgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EngineVersion {
    major: u16,
    minor: Option<u16>,
}

impl EngineVersion {
    /// Any minor version of this major version.
    #[must_use]
    pub fn from_major(major: u16) -> Self {
        Self { major, minor: None }
    }

    /// The major version.
    #[must_use]
    pub fn major(self) -> u16 {
        self.major
    }

    /// Whether a database with the version `live` is new enough.
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

impl SettingValue for EngineVersion {
    const FORM: Form =
        Form::Text(TextForm { example: Some("17"), ..pattern(r"^[0-9]{1,3}(\.[0-9]{1,3})?$") });

    fn from_json(json: &Json) -> Result<Self, String> {
        setting::text(json)
    }

    fn to_json(&self) -> Json {
        Json::from(self.to_string())
    }
}

/// When changes that interrupt the database are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Apply {
    /// As part of the rebuild.
    #[default]
    Now,
    /// By RDS, in the instance's next maintenance window.
    MaintenanceWindow,
}

choice!(
    Apply,
    SettingError::Apply,
    "Apply",
    "When changes that interrupt the database are made.",
    Now: "now",
    MaintenanceWindow: "maintenance-window"
);

/// The name of the database in a new DB instance.
///
/// RDS takes letters, digits, and underscores. Uppercase is left out, because you'd have to quote such a name in SQL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseName(String);

text!(DatabaseName, SettingError::DatabaseName, pattern("^[a-z][a-z0-9_]{0,62}$"), besides: |text| {
    if RESERVED.contains(&text) { Err(SettingError::ReservedDatabaseName(text.to_owned())) } else { Ok(()) }
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
    fn backups_are_kept_for_1_to_35_days() {
        for (days, good) in [(-1, false), (0, false), (1, true), (35, true), (36, false)] {
            assert_eq!(BackupRetention::try_from(days).is_ok(), good, "{days}");
        }
    }
}
