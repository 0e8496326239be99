//! What RDS says of a database right now.

use std::fmt;

use time::OffsetDateTime;

use crate::{DatabaseName, EngineVersion, Generation, SnapshotId, Stage};

/// Everything [`next_step()`](crate::next_step()) looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The DB instance of the stage's identifier, whoever it belongs to.
    pub instance: Option<Instance>,
    /// The manual and final snapshots of that identifier; `None`: not looked at, as few steps depend on them.
    pub snapshots: Option<Vec<Snapshot>>,
    /// The database that is to be attached, if that is what is desired and it is there.
    pub attached: Option<AttachedDatabase>,
}

/// Somebody else's database, as far as an attached one is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedDatabase {
    /// Where clients connect to; of a cluster, its writer. Missing while it is being created.
    pub endpoint: Option<Endpoint>,
    /// The ids of its VPC security groups.
    pub security_groups: Vec<String>,
}

/// The resource that an instance or a snapshot belongs to, from its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The ARN of the stage stack. A stage that is registered anew has another one.
    pub stage_stack_id: String,
    /// The logical id of the resource in the stage stack.
    pub logical_id: String,
}

/// A DB instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its status.
    pub status: Status,
    /// Whom its tags name, if they name somebody.
    pub owner: Option<Owner>,
    /// The generation its tags name.
    pub generation: Option<Generation>,
    /// The live class; not every text is one of ours.
    pub instance_class: String,
    /// The live storage in GiB.
    pub storage_gib: u32,
    /// What has been asked for and is not yet done.
    pub pending: Pending,
    /// Missing while the instance is being created.
    pub endpoint: Option<Endpoint>,
    /// The database that was created with the instance.
    pub database_name: Option<String>,
    /// Whether RDS refuses to delete it.
    pub deletion_protection: bool,
    /// The ids of its VPC security groups.
    pub security_groups: Vec<String>,
    /// Whether it was ever available, and so may hold data.
    pub was_available: bool,
    /// Up to where RDS grows the storage by itself, in GiB.
    pub max_storage_gib: Option<u32>,
    /// The provisioned IOPS.
    pub iops: Option<u32>,
    /// Whether it has a standby in a second availability zone.
    pub multi_az: bool,
    /// For how many days automated backups are kept.
    pub backup_retention_days: u32,
    /// The live version.
    pub engine_version: Option<EngineVersion>,
    /// The generation whose credentials it has, from its tags.
    pub credentials: Option<Generation>,
    /// RDS's words for its weekly maintenance window in UTC, such as `sun:05:00-sun:06:00`.
    pub maintenance_window: Option<String>,
}

/// Changes that RDS has accepted and not yet applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// The class to come.
    pub instance_class: Option<String>,
    /// The storage to come, in GiB.
    pub storage_gib: Option<u32>,
    /// Whether a standby comes or goes.
    pub multi_az: Option<bool>,
    /// The retention of backups to come, in days.
    pub backup_retention_days: Option<u32>,
    /// The version to come.
    pub engine_version: Option<EngineVersion>,
    /// Whether a new password is not yet in force.
    pub password: bool,
}

/// Where clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The DNS name.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The status of a DB instance, by what it means for the next step. RDS adds statuses; an unknown one counts as in
/// progress (RDS user guide, "Viewing DB instance status").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// `available`, `storage-optimization`, `storage-initialization` or `storage-full`: it can be changed and deleted.
    Usable {
        /// Whether an earlier growth is still being optimised, so that storage cannot be changed.
        optimizing: bool,
    },
    /// `creating`: no final snapshot is possible.
    Creating,
    /// `deleting`.
    Deleting,
    /// `stopped`: it stays so until a person starts it.
    Stopped,
    /// `failed`, `incompatible-…` and the like: it does not get better by waiting.
    Failed(String),
    /// Anything else.
    InProgress(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usable { optimizing: false } => "available",
            Self::Usable { optimizing: true } => "storage-optimization",
            Self::Creating => "creating",
            Self::Deleting => "deleting",
            Self::Stopped => "stopped",
            Self::Failed(status) | Self::InProgress(status) => status,
        })
    }
}

impl From<&str> for Status {
    fn from(status: &str) -> Self {
        match status {
            "available" | "storage-full" => Self::Usable { optimizing: false },
            // After a growth, and after a restoration whose blocks are still loaded: it works, and its storage cannot grow.
            "storage-optimization" | "storage-initialization" => Self::Usable { optimizing: true },
            "creating" => Self::Creating,
            "deleting" => Self::Deleting,
            "stopped" => Self::Stopped,
            "failed" | "restore-error" | "insufficient-capacity" => Self::Failed(status.to_owned()),
            _ if status.starts_with("incompatible-") || status.starts_with("inaccessible-") => {
                Self::Failed(status.to_owned())
            }
            _ => Self::InProgress(status.to_owned()),
        }
    }
}

/// A DB snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its identifier.
    pub id: SnapshotId,
    /// Its status.
    pub status: SnapshotStatus,
    /// Whom its tags name.
    pub owner: Option<Owner>,
    /// The generation its tags name.
    pub generation: Option<Generation>,
    /// The stage its tags name: a stage that is registered anew is the same stage.
    pub stage: Option<Stage>,
    /// The generation whose credentials its data has, from its tags.
    pub credentials: Option<Generation>,
    /// The database inside, from its tags.
    pub database_name: Option<DatabaseName>,
    /// When it was taken.
    pub created_at: Option<OffsetDateTime>,
    /// The storage that its data was on, in GiB: what is restored has at least that.
    pub storage_gib: u32,
    /// The version of its data.
    pub engine_version: Option<EngineVersion>,
}

/// The status of a DB snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// It can be restored.
    Available,
    /// It will be available.
    Creating,
    /// It never will be.
    Failed,
}

impl Instance {
    /// Whether it is the instance that this resource made. Both tags must be there: one that lost a tag is never touched.
    #[must_use]
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.owner.as_ref() == Some(owner) && self.generation.is_some()
    }

    /// Whether it was created with this database inside.
    #[must_use]
    pub fn holds(&self, name: &DatabaseName) -> bool {
        self.database_name.as_deref() == Some(name.as_ref())
    }
}
