//! What to do next, and the result.

use std::time::Duration;

use crate::{
    Apply, Created, CreatedPart, Endpoint, EngineVersion, Generation, InstanceClass, Refusal, SnapshotId,
};

/// The shortest wait before looking again.
pub(crate) const QUICK_LOOK: Duration = Duration::from_secs(1);
/// The longest wait before looking again.
pub(crate) const SLOW_LOOK: Duration = Duration::from_secs(15);

/// What to do now. After each step except `Finish` and `Refuse`, AWS is observed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// List the snapshots and ask again, because the step depends on them.
    ObserveSnapshots,
    /// Create an empty instance.
    Create(Created),
    /// Create the instance from a snapshot.
    Restore {
        /// The desired instance.
        created: Created,
        /// The snapshot that holds the data.
        snapshot: SnapshotId,
        /// Whether the data already has this generation's credentials.
        has_credentials: bool,
    },
    /// Change the instance.
    Modify(Changes),
    /// Give the instance this generation's password, and tag it accordingly.
    SetPassword(Generation),
    /// Take a snapshot of the instance before a change that can't be undone.
    Snapshot(SnapshotId),
    /// Delete the instance.
    Delete {
        /// The final snapshot. `None` only if the instance was never available.
        final_snapshot: Option<SnapshotId>,
    },
    /// Do nothing, and observe again after this time.
    Wait(Duration),
    /// Answer with success.
    Finish(Attributes),
    /// Answer with failure.
    Refuse(Refusal),
}

/// Changes to an instance. What is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The settings that RDS changes in place.
    pub settings: CreatedPart,
    /// A new class.
    pub instance_class: Option<InstanceClass>,
    /// More storage, in GiB.
    pub storage_gib: Option<u32>,
    /// The IOPS that this much storage requires.
    pub iops: Option<u32>,
    /// The limit of storage autoscaling, in GiB. A limit equal to the storage turns autoscaling off.
    pub max_storage_gib: Option<u32>,
    /// A newer version.
    pub engine_version: Option<EngineVersion>,
    /// Whether to turn deletion protection on.
    pub deletion_protection: Option<bool>,
    /// The only VPC security group.
    pub security_group: Option<String>,
    /// When to apply them. Applying now also applies earlier changes that are still pending.
    pub apply: Apply,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self { apply: self.apply, ..Self::default() }
    }
}

/// The attributes of the custom resource for the stage stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// The database, or `None` if the stage has none.
    pub database: Option<DatabaseAttributes>,
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseAttributes {
    /// The identifier of the DB instance or the DB cluster.
    pub identifier: String,
    /// Where clients connect.
    pub endpoint: Endpoint,
    /// The database name.
    pub database_name: String,
    /// The security group of an attached database, where the stage's service needs a rule.
    pub access_group: Option<String>,
}
