//! The settings of a stage's database, as a person chooses them.

use crate::{
    Apply, BackupRetention, DatabaseIdentifier, DatabaseName, EngineVersion, ExistingDatabaseName,
    InstanceClass, SecretArn, SnapshotId, StorageGiB,
};

/// What a stage's database is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Settings {
    /// The stage has none.
    #[default]
    None,
    /// One that stagedb creates and owns.
    Created(CreatedSettings),
    /// Somebody else's, which is never changed.
    Attached(AttachedSettings),
}

impl Settings {
    /// Where the database comes from, as the API and the stage stack say it.
    #[must_use]
    pub fn source(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Created(_) => "created",
            Self::Attached(_) => "attached",
        }
    }
}

/// The settings of a database that stagedb creates and owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedSettings {
    /// The DB instance class.
    pub instance_class: InstanceClass,
    /// The allocated storage: a floor, as storage never shrinks.
    pub storage: StorageGiB,
    /// Up to where RDS may grow the storage by itself; `None`: it does not.
    pub max_storage: Option<StorageGiB>,
    /// Whether a standby in a second availability zone takes over when the first fails.
    pub multi_az: bool,
    /// For how long automated backups are kept.
    pub backup_retention: BackupRetention,
    /// The PostgreSQL version: a floor, as none can be taken back.
    pub engine_version: EngineVersion,
    /// The database inside the instance. It cannot be changed once it is created.
    pub database_name: DatabaseName,
    /// When changes are made that interrupt the database.
    pub apply: Apply,
    /// The snapshot that the database began with.
    pub from_snapshot: Option<SnapshotId>,
}

/// The settings of somebody else's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedSettings {
    /// Instance or cluster.
    pub kind: AttachedKind,
    /// Its identifier.
    pub identifier: DatabaseIdentifier,
    /// The database inside.
    pub database_name: ExistingDatabaseName,
    /// The secret that the credentials are copied from at every rebuild; `None`: a person typed them.
    pub secret_arn: Option<SecretArn>,
}

/// What an attached database is. RDS keeps the identifiers of the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AttachedKind {
    /// An RDS for PostgreSQL instance.
    Instance,
    /// An Aurora PostgreSQL or a Multi-AZ DB cluster: its writer is what applications connect to.
    Cluster,
}

impl AttachedKind {
    /// The word for it, as the stage stack says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Cluster => "cluster",
        }
    }
}

impl TryFrom<String> for AttachedKind {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "instance" => Ok(Self::Instance),
            "cluster" => Ok(Self::Cluster),
            _ => Err("must be instance or cluster"),
        }
    }
}
