//! The values that you can choose for a database, each as a type that can't hold an invalid one.

mod attached;
mod created;

use thiserror::Error;

pub use attached::{
    AttachedKind, ClusterName, DatabaseIdentifier, EcsName, ExistingDatabaseName, PlainText, SecretArn,
    SecurityGroupId, Username, place,
};
pub use created::{
    Apply, BackupRetention, DatabaseName, EngineVersion, InstanceClass, RotationDays, StorageGiB,
    minimum_growth,
};

/// The least storage of an RDS for PostgreSQL instance on gp3, in GiB (RDS API, `CreateDBInstance`).
const STORAGE_MIN: u32 = 20;
/// The most storage of an RDS for PostgreSQL instance on gp3, in GiB (RDS API, `CreateDBInstance`).
const STORAGE_MAX: u32 = 65_536;
/// The most days that RDS keeps automated backups (RDS API, `CreateDBInstance`).
const RETENTION_MAX: u32 = 35;
/// The most days between two rotations.
const ROTATION_MAX: u32 = 365;

/// Why a value can't be used. Each message says what is allowed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SettingError {
    /// Not the form of a DB instance class.
    #[error("must be a DB instance class such as db.t4g.micro")]
    InstanceClass,
    /// Outside RDS's limits.
    #[error("must be {STORAGE_MIN} to {STORAGE_MAX} GiB, not {0}")]
    Storage(i64),
    /// Outside RDS's limits, or zero, with which a database can't be restored to a point in time.
    #[error("must be 1 to {RETENTION_MAX} days, not {0}")]
    BackupRetention(i64),
    /// Too rare, or negative.
    #[error("must be 0 to {ROTATION_MAX} days, not {0}")]
    Rotation(i64),
    /// Not a version.
    #[error("must be a PostgreSQL version: a major version such as 17, or a full version such as 17.5")]
    EngineVersion,
    /// Neither of the two.
    #[error("must be now or maintenance-window")]
    Apply,
    /// Neither of the two.
    #[error("must be instance or cluster")]
    AttachedKind,
    /// Not a name that a new database can have.
    #[error(
        "must be 1 to 63 characters: a lowercase letter, then lowercase letters, digits, and underscores, such as app"
    )]
    DatabaseName,
    /// A word that the database engine reserves.
    #[error("can't be a word that PostgreSQL or RDS reserves, such as {0}")]
    ReservedDatabaseName(String),
    /// Not a name that applications can get in an environment variable.
    #[error("must be 1 to 63 letters, digits, underscores, and hyphens, such as orders")]
    ExistingDatabaseName,
    /// Not the form of an RDS identifier.
    #[error(
        "must be the identifier of a DB instance or a DB cluster: 1 to 63 lowercase letters, digits, and single hyphens, \
         such as orders"
    )]
    Identifier,
    /// Not the form of a snapshot's identifier.
    #[error("must be the identifier of a DB snapshot: 1 to 255 letters, digits, and single hyphens")]
    Snapshot,
    /// Not the form of a secret's ARN.
    #[error(
        "must be the ARN of a secret, such as arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-AbCdEf"
    )]
    SecretArn,
    /// Not the name of a role.
    #[error("must be 1 to 63 characters, none of them a control character")]
    Username,
    /// Empty, too long, or with control characters.
    #[error("must be 1 to 255 characters, none of them a control character")]
    PlainText,
    /// Not a name that ECS allows.
    #[error("must be 1 to 255 letters, digits, underscores, and hyphens")]
    EcsName,
    /// Not the name of a cluster, and not its ARN.
    #[error("must be the name of a cluster (1 to 255 letters, digits, underscores, and hyphens) or its ARN")]
    ClusterName,
    /// Not the form of a security group's ID.
    #[error("must be the ID of a security group, such as sg-0123456789abcdef0")]
    SecurityGroupId,
}
