//! What RDS shows of a database right now.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value as Json};
use time::OffsetDateTime;

use crate::{DatabaseName, Downtime, EngineVersion, Generation, Setting, SnapshotId, Stage};

/// Everything [`next_step()`](crate::next_step()) looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The DB instance with the stage's identifier, even if it isn't ours.
    pub instance: Option<Instance>,
    /// The manual and final snapshots with that identifier. `None` if they weren't looked at, because few steps depend
    /// on them.
    pub snapshots: Option<Vec<Snapshot>>,
    /// The database to attach, if that's what is desired and it exists.
    pub attached: Option<AttachedDatabase>,
}

/// What stagedb looks at in a database that it doesn't manage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedDatabase {
    /// Where clients connect. For a DB cluster, its writer. Missing while the database is being created.
    pub endpoint: Option<Endpoint>,
    /// The IDs of its VPC security groups.
    pub security_groups: Vec<String>,
}

/// The resource that an instance or a snapshot belongs to, from its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The ARN of the stage stack. A stage that is registered again has another one.
    pub stage_stack_id: String,
    /// The logical ID of the resource in the stage stack.
    pub logical_id: String,
}

/// A DB instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its status.
    pub status: Status,
    /// The owner in its tags, if there is one.
    pub owner: Option<Owner>,
    /// The generation in its tags.
    pub generation: Option<Generation>,
    /// The live class. It may be one that stagedb doesn't accept.
    pub instance_class: String,
    /// The live storage in GiB.
    pub storage_gib: u32,
    /// What was requested but isn't done yet.
    pub pending: Pending,
    /// Missing while the instance is being created.
    pub endpoint: Option<Endpoint>,
    /// The database that was created with the instance.
    pub database_name: Option<String>,
    /// Whether it has deletion protection.
    pub deletion_protection: bool,
    /// The IDs of its VPC security groups.
    pub security_groups: Vec<String>,
    /// Whether it was ever available, and so may hold data.
    pub was_available: bool,
    /// The limit of storage autoscaling, in GiB.
    pub max_storage_gib: Option<u32>,
    /// The provisioned IOPS.
    pub iops: Option<u32>,
    /// The live values of the settings that RDS changes in place.
    pub shown: Shown,
    /// The live version.
    pub engine_version: Option<EngineVersion>,
    /// The generation whose credentials it has, from its tags.
    pub credentials: Option<Generation>,
    /// When stagedb last changed the master user's password, from its tags.
    pub password_changed_at: Option<OffsetDateTime>,
    /// For how long connections failed during the last change that interrupted it, from its tags.
    pub downtime: Option<Downtime>,
    /// Its weekly maintenance window in UTC, as RDS writes it, such as `sun:05:00-sun:06:00`.
    pub maintenance_window: Option<String>,
}

/// Changes that RDS has accepted but not yet applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// The pending class.
    pub instance_class: Option<String>,
    /// The pending storage, in GiB.
    pub storage_gib: Option<u32>,
    /// The pending values of the settings that RDS changes in place.
    pub shown: Shown,
    /// The pending version.
    pub engine_version: Option<EngineVersion>,
    /// Whether a new password isn't effective yet.
    pub password: bool,
}

/// What RDS shows of the settings that it changes in place. A value can be one that a save would refuse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown(BTreeMap<&'static str, Json>);

impl Shown {
    /// Adds this value of a setting, if RDS shows one.
    #[must_use]
    pub fn with(mut self, setting: &Setting, value: Option<impl Into<Json>>) -> Self {
        if let Some(value) = value {
            self.0.insert(setting.name, value.into());
        }
        self
    }

    /// The value of a setting, if RDS shows one.
    #[must_use]
    pub fn get(&self, setting: &Setting) -> Option<&Json> {
        self.0.get(setting.name)
    }

    /// The values by the names of their settings.
    #[must_use]
    pub fn into_json(self) -> Map<String, Json> {
        self.0.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The DNS name.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The status of a DB instance, by what it means for the next step. RDS adds new statuses, so an unknown one counts as
/// in progress (RDS user guide, "Viewing DB instance status").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// `available`, `storage-optimization`, `storage-initialization` or `storage-full`: it can be changed and deleted.
    Usable {
        /// Whether RDS is still optimizing the storage after an earlier change, so that the storage can't be changed.
        optimizing: bool,
    },
    /// `creating`: RDS can't take a final snapshot.
    Creating,
    /// `deleting`.
    Deleting,
    /// `stopped`, until the user starts it.
    Stopped,
    /// `failed`, `incompatible-…`, and the like: waiting doesn't help.
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
            // After a storage increase, or while a restored database still loads its blocks. It works, but its storage
            // can't be increased.
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
    /// The owner in its tags.
    pub owner: Option<Owner>,
    /// The generation in its tags.
    pub generation: Option<Generation>,
    /// The stage in its tags. A stage that is registered again is the same stage.
    pub stage: Option<Stage>,
    /// The generation whose credentials its data has, from its tags.
    pub credentials: Option<Generation>,
    /// The database name, from its tags.
    pub database_name: Option<DatabaseName>,
    /// When it was taken.
    pub created_at: Option<OffsetDateTime>,
    /// The allocated storage of its DB instance, in GiB. A restored database has at least that.
    pub storage_gib: u32,
    /// The version of its data.
    pub engine_version: Option<EngineVersion>,
}

/// The status of a DB snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// It can be restored.
    Available,
    /// It isn't available yet.
    Creating,
    /// It won't become available.
    Failed,
}

impl Instance {
    /// Whether the stage stack with this ARN created it, according to its tags.
    #[must_use]
    pub fn is_of_stack(&self, stage_stack_id: &str) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.stage_stack_id == stage_stack_id)
    }

    /// Whether this resource created the instance. Both tags must exist: an instance that lost a tag is never changed.
    #[must_use]
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.owner.as_ref() == Some(owner) && self.generation.is_some()
    }

    /// Whether it was created with this database name.
    #[must_use]
    pub fn holds(&self, name: &DatabaseName) -> bool {
        self.database_name.as_deref() == Some(name.as_ref())
    }
}
