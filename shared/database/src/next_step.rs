//! The heart: what happens to a database next.
//!
//! Every call observes anew and decides anew, so a repeat, a crash after any call and a lost reply all lead to the same
//! end. Nothing is remembered between two calls but what RDS itself shows.

use std::time::Duration;

use thiserror::Error;

use crate::{
    DatabaseName, Endpoint, Generation, Instance, InstanceClass, Observed, Owner, SnapshotId, SnapshotStatus,
    Stage, Status, StorageGiB, minimum_growth,
};

/// A request gives up after this long, below the hour that CloudFormation waits.
pub const GIVE_UP_AFTER: Duration = Duration::from_mins(55);

/// A change that RDS has accepted and does not begin within this time waits for the maintenance window, so it is asked
/// for again.
const CHANGE_BEGINS_WITHIN: Duration = Duration::from_mins(2);

/// What CloudFormation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whether the resource is made, changed or deleted.
    pub operation: Operation,
    /// The stage whose database it is.
    pub stage: Stage,
    /// The resource that the database belongs to.
    pub owner: Owner,
    /// What shall be.
    pub desired: Desired,
    /// The generation of the properties before this change: if it is the desired one, its data existed.
    pub previous_generation: Option<Generation>,
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The resource is new.
    Create,
    /// The resource changes, forward or in a rollback.
    Update,
    /// The whole stage stack goes, or the resource's creation failed.
    Delete,
}

/// The state a database is desired in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Desired {
    /// No database.
    None,
    /// A database that we make and own.
    Created(Created),
}

/// A database that we make and own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Which creation by a person its data belongs to.
    pub generation: Generation,
    /// The class it shall have.
    pub instance_class: InstanceClass,
    /// The least storage it shall have.
    pub storage: StorageGiB,
    /// The database inside.
    pub database_name: DatabaseName,
    /// The PostgreSQL version it is created with.
    pub engine_version: String,
    /// The subnets it is placed in.
    pub subnet_group: String,
    /// Who may connect.
    pub security_group: String,
}

/// How long a request has been worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Since the request arrived.
    pub elapsed: Duration,
}

/// What to do now. After each but `Finish` and `Refuse` the world is observed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Create the instance, empty.
    Create(Created),
    /// Create the instance from the final snapshot of its generation.
    Restore {
        /// What the instance shall be.
        created: Created,
        /// The snapshot that holds the data.
        snapshot: SnapshotId,
    },
    /// Change the instance at once.
    Modify(Changes),
    /// Delete the instance.
    Delete {
        /// Without one only if the instance was never available.
        final_snapshot: Option<SnapshotId>,
    },
    /// Do nothing, and observe again after this time.
    Wait(Duration),
    /// Answer with success.
    Finish(Attributes),
    /// Answer with failure.
    Refuse(Refusal),
}

/// Changes to an instance; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// A new class.
    pub instance_class: Option<InstanceClass>,
    /// More storage, in GiB.
    pub storage_gib: Option<u32>,
    /// Whether RDS shall refuse to delete it.
    pub deletion_protection: Option<bool>,
    /// The only VPC security group.
    pub security_group: Option<String>,
}

/// What the stage stack learns of its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// The instance, or `None` where there shall be none.
    pub database: Option<DatabaseAttributes>,
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseAttributes {
    /// The DB instance identifier.
    pub identifier: String,
    /// Where clients connect to.
    pub endpoint: Endpoint,
    /// The database inside.
    pub database_name: DatabaseName,
}

/// Why a request cannot be done, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Somebody else's.
    #[error(
        "The DB instance {0} already exists and was not made by this stage. Rename or remove it in RDS, or choose \
         another name for the stack or the stage."
    )]
    Foreign(String),
    /// Another generation's.
    #[error(
        "The DB instance {0} of an earlier creation is still there. Its removal did not succeed; remove it, then save \
         again."
    )]
    EarlierGeneration(String),
    /// The data is gone, and an empty database would hide it.
    #[error(
        "The DB instance {0} is gone and no final snapshot of it can be restored. It was deleted outside of stagedb. \
         An empty database is not made in its place: remove the database from the stage, then add a new one."
    )]
    DataMissing(String),
    /// The database inside cannot be renamed.
    #[error("The DB instance {0} was created with another database name, which cannot be changed.")]
    DatabaseName(String),
    /// Storage cannot be changed yet.
    #[error(
        "The storage of the DB instance {0} is still being optimised after its last change. Its storage can be changed \
         again when that is done, at the earliest six hours after the last change."
    )]
    Optimizing(String),
    /// Only a person starts it.
    #[error("The DB instance {0} is stopped. Start it in RDS, then save again.")]
    Stopped(String),
    /// RDS gave up.
    #[error("The DB instance {identifier} is in the status {status}. See its events in RDS for the reason.")]
    Failed {
        /// The instance.
        identifier: String,
        /// RDS's word.
        status: String,
    },
    /// It cannot be deleted without losing data.
    #[error(
        "The DB instance {identifier} is in the status {status}, in which RDS takes no final snapshot, so it is not \
         deleted. Restore it to a point in time, or delete it in RDS if its data is not needed."
    )]
    NoFinalSnapshot {
        /// The instance.
        identifier: String,
        /// RDS's word.
        status: String,
    },
    /// RDS was too slow.
    #[error(
        "The DB instance {0} did not get done within {minutes} minutes, and CloudFormation waits no longer, so the \
         change is taken back. The instance's events in RDS may say why it took so long.",
        minutes = GIVE_UP_AFTER.as_secs() / 60
    )]
    GaveUp(String),
    /// RDS said no.
    #[error("RDS refused: {0}")]
    Rds(String),
}

/// The next step towards what a request asks for.
#[must_use]
pub fn next_step(request: &Request, observed: &Observed, clock: Clock) -> Step {
    let step = match (&request.desired, request.operation) {
        (_, Operation::Delete) | (Desired::None, Operation::Create | Operation::Update) => {
            towards_none(request, observed, clock)
        }
        (Desired::Created(created), Operation::Create | Operation::Update) => {
            towards_created(request, created, observed, clock)
        }
    };
    match step {
        Step::Finish(_) | Step::Refuse(_) => step,
        // Nothing is begun that nobody would wait for.
        _ if clock.elapsed >= GIVE_UP_AFTER => Step::Refuse(Refusal::GaveUp(request.stage.identifier())),
        step => step,
    }
}

fn towards_none(request: &Request, observed: &Observed, clock: Clock) -> Step {
    let gone = Step::Finish(Attributes { database: None });
    let identifier = request.stage.identifier();
    let Some((instance, generation)) = observed
        .instance
        .as_ref()
        .filter(|instance| instance.is_of(&request.owner))
        .and_then(|instance| Some((instance, instance.generation.as_ref()?)))
    else {
        // Nothing there, or somebody else's: either way nothing of ours is left.
        return gone;
    };
    let final_snapshot = || {
        let number_of = |id: &SnapshotId| id.number_of(&identifier, generation);
        let last = observed.snapshots.iter().filter_map(|s| number_of(&s.id)).max();
        SnapshotId::final_of(&identifier, generation, last.unwrap_or(0).saturating_add(1))
    };
    match &instance.status {
        // RDS has accepted the deletion. A big database takes hours for its final snapshot, so only the deletion of
        // the whole stage stack waits: its subnet and security groups are in use until the end.
        Status::Deleting if request.operation == Operation::Delete => wait(clock),
        Status::Deleting => gone,
        Status::Creating | Status::InProgress(_) => wait(clock),
        Status::Stopped => Step::Refuse(Refusal::Stopped(identifier)),
        Status::Failed(status) if instance.was_available => {
            Step::Refuse(Refusal::NoFinalSnapshot { identifier, status: status.clone() })
        }
        Status::Failed(_) | Status::Usable { .. } if instance.deletion_protection => {
            Step::Modify(Changes { deletion_protection: Some(false), ..Changes::default() })
        }
        Status::Failed(_) => Step::Delete { final_snapshot: None },
        Status::Usable { .. } => Step::Delete { final_snapshot: Some(final_snapshot()) },
    }
}

fn towards_created(request: &Request, created: &Created, observed: &Observed, clock: Clock) -> Step {
    let identifier = request.stage.identifier();
    let Some(instance) = &observed.instance else {
        return towards_first_instance(request, created, observed, clock);
    };
    if !instance.is_of(&request.owner) {
        return Step::Refuse(Refusal::Foreign(identifier));
    }
    if instance.status == Status::Deleting {
        return wait(clock);
    }
    if instance.generation.as_ref() != Some(&created.generation) {
        return Step::Refuse(Refusal::EarlierGeneration(identifier));
    }
    match &instance.status {
        Status::Usable { .. }
            if instance.database_name.is_some() && !instance.holds(&created.database_name) =>
        {
            Step::Refuse(Refusal::DatabaseName(identifier))
        }
        Status::Usable { optimizing } => match differences(instance, created, clock) {
            Differences::Changes(changes) if changes.storage_gib.is_some() && *optimizing => {
                Step::Refuse(Refusal::Optimizing(identifier))
            }
            Differences::Changes(changes) => Step::Modify(changes),
            Differences::ToCome => wait(clock),
            Differences::None => finish(identifier, instance, created, clock),
        },
        Status::Creating | Status::InProgress(_) | Status::Deleting => wait(clock),
        // Nothing is to be changed, as in a rollback: its bad state is then not this request's failure.
        Status::Stopped | Status::Failed(_) if is_as_desired(instance, created, clock) => {
            finish(identifier, instance, created, clock)
        }
        Status::Stopped => Step::Refuse(Refusal::Stopped(identifier)),
        Status::Failed(status) => Step::Refuse(Refusal::Failed { identifier, status: status.clone() }),
    }
}

/// There is no instance. Data that existed is restored; only a generation that is new begins empty.
fn towards_first_instance(request: &Request, created: &Created, observed: &Observed, clock: Clock) -> Step {
    let identifier = request.stage.identifier();
    let mut ours: Vec<_> = observed
        .snapshots
        .iter()
        .filter(|s| {
            s.owner.as_ref() == Some(&request.owner) && s.generation.as_ref() == Some(&created.generation)
        })
        .filter_map(|s| Some((s.id.number_of(&identifier, &created.generation)?, s)))
        .collect();
    ours.sort_by_key(|(number, _)| *number);
    match ours.last() {
        Some((_, newest)) => match newest.status {
            SnapshotStatus::Available => {
                Step::Restore { created: created.clone(), snapshot: newest.id.clone() }
            }
            SnapshotStatus::Creating => wait(clock),
            SnapshotStatus::Failed => Step::Refuse(Refusal::DataMissing(identifier)),
        },
        None if request.previous_generation.as_ref() == Some(&created.generation) => {
            Step::Refuse(Refusal::DataMissing(identifier))
        }
        None => Step::Create(created.clone()),
    }
}

/// How an instance differs from what is desired.
enum Differences {
    None,
    /// RDS has accepted the change and has yet to do it.
    ToCome,
    Changes(Changes),
}

fn differences(instance: &Instance, created: &Created, clock: Clock) -> Differences {
    let mut changes = Changes::default();
    let mut to_come = false;
    let begins_yet = clock.elapsed < CHANGE_BEGINS_WITHIN;

    if !instance.has_or_gets_class(&created.instance_class) {
        changes.instance_class = Some(created.instance_class.clone());
    } else if instance.pending.instance_class.is_some() {
        if begins_yet {
            to_come = true;
        } else {
            changes.instance_class = Some(created.instance_class.clone());
        }
    }
    // A floor: autoscaling and a rollback after a growth both leave more than is desired, and that is done already.
    if created.storage.get() > instance.storage_gib {
        if begins_yet && instance.pending.storage_gib.is_some_and(|gib| gib >= created.storage.get()) {
            to_come = true;
        } else {
            changes.storage_gib = Some(created.storage.get().max(minimum_growth(instance.storage_gib)));
        }
    }
    // An instance is created without protection, so that a half-made one can be deleted in every status.
    if !instance.deletion_protection {
        changes.deletion_protection = Some(true);
    }
    if !instance.security_groups.contains(&created.security_group) {
        changes.security_group = Some(created.security_group.clone());
    }

    if changes != Changes::default() {
        Differences::Changes(changes)
    } else if to_come {
        Differences::ToCome
    } else {
        Differences::None
    }
}

/// Whether the instance was handed out before, and nothing is to be changed.
fn is_as_desired(instance: &Instance, created: &Created, clock: Clock) -> bool {
    instance.was_available
        && instance.endpoint.is_some()
        && matches!(differences(instance, created, clock), Differences::None)
}

fn finish(identifier: String, instance: &Instance, created: &Created, clock: Clock) -> Step {
    let Some(endpoint) = instance.endpoint.clone() else {
        return wait(clock);
    };
    let database_name = created.database_name.clone();
    Step::Finish(Attributes { database: Some(DatabaseAttributes { identifier, endpoint, database_name }) })
}

/// Soon at first, for what is quick; then slowly enough that a state machine's history (25,000 events) never fills.
fn wait(clock: Clock) -> Step {
    let seconds = match clock.elapsed.as_secs() {
        0..20 => 1,
        20..120 => 5,
        _ => 15,
    };
    Step::Wait(Duration::from_secs(seconds))
}
