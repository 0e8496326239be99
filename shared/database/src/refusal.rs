//! Why a request can't be done.

use thiserror::Error;

use crate::{AttachedKind, DatabaseIdentifier, GIVE_UP_AFTER, SnapshotId};

/// Why a request can't be done, as a message for the user.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The instance isn't this stage's.
    #[error(
        "The DB instance {0} already exists, and this stage didn't create it. Rename or delete it in RDS, or choose \
         another name for the stack or the stage."
    )]
    Foreign(String),
    /// The instance belongs to another generation.
    #[error(
        "The DB instance {0} from an earlier creation still exists, because removing it failed. Delete it in RDS, then save \
         again."
    )]
    EarlierGeneration(String),
    /// The data is gone, and an empty database would hide it.
    #[error(
        "The DB instance {0} was deleted outside of stagedb, and there is no final snapshot to restore it from. stagedb \
         doesn't replace it with an empty database. Remove the database from the stage, then add a new one."
    )]
    DataMissing(String),
    /// RDS can't rename a database.
    #[error("The DB instance {0} was created with another database name. You can't change the name.")]
    DatabaseName(String),
    /// Storage can't be changed yet.
    #[error(
        "RDS is still optimizing the storage of the DB instance {0} after its last change. You can change the storage again \
         when that's done, but no sooner than six hours after the last change."
    )]
    Optimizing(String),
    /// Only the user starts it.
    #[error("The DB instance {0} is stopped. Start it in RDS, then save again.")]
    Stopped(String),
    /// RDS gave up.
    #[error("The DB instance {identifier} has the status {status}. See its events in RDS for the reason.")]
    Failed {
        /// The instance.
        identifier: String,
        /// The status in RDS's own words.
        status: String,
    },
    /// It can't be deleted without losing data.
    #[error(
        "The DB instance {identifier} has the status {status}. RDS can't take a final snapshot in this status, so the instance \
         wasn't deleted. Restore it to a point in time, or delete it in RDS if you don't need its data."
    )]
    NoFinalSnapshot {
        /// The instance.
        identifier: String,
        /// The status in RDS's own words.
        status: String,
    },
    /// RDS was too slow.
    #[error(
        "The change to the DB instance {0} didn't finish within {minutes} minutes, so it was rolled back. See the instance's \
         events in RDS for what took so long.",
        minutes = GIVE_UP_AFTER.as_secs() / 60
    )]
    GaveUp(String),
    /// The database to attach doesn't exist, or has no endpoint.
    #[error(
        "There is no {kind} {identifier} with an endpoint in this account and Region, so it can't be attached.",
        kind = kind_in_words(*kind)
    )]
    AttachedMissing {
        /// DB instance or DB cluster.
        kind: AttachedKind,
        /// Its identifier.
        identifier: DatabaseIdentifier,
    },
    /// A stage can't switch sources directly.
    #[error(
        "The stage has the DB instance {0}, which stagedb created. Remove it first, then attach another database."
    )]
    RemoveFirst(String),
    /// A stage can't switch sources directly.
    #[error(
        "The stage has an attached database. Remove it from the stage first, then create a new database."
    )]
    DetachFirst,
    /// There is nothing to restore.
    #[error(
        "The snapshot {0} isn't an available snapshot of this stage, so the database can't be restored from it. \
         Choose another snapshot."
    )]
    SnapshotMissing(SnapshotId),
    /// Without a snapshot to go back to, the upgrade isn't started.
    #[error("The snapshot {0} before the upgrade failed, so the version wasn't changed. Save again.")]
    SnapshotFailed(SnapshotId),
    /// RDS refused the call.
    #[error("RDS refused: {0}")]
    Rds(String),
}

fn kind_in_words(kind: AttachedKind) -> &'static str {
    match kind {
        AttachedKind::Instance => "DB instance",
        AttachedKind::Cluster => "DB cluster",
    }
}
