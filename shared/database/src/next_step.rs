//! The heart: what happens to a database next.
//!
//! Every call observes anew and decides anew, so a repeat, a crash after any call and a lost reply all lead to the same
//! end. Nothing is remembered between two calls but what RDS itself shows.

use std::time::Duration;

use thiserror::Error;

use crate::{
    Apply, AttachedKind, BackupRetention, DatabaseIdentifier, DatabaseName, Endpoint, EngineVersion,
    ExistingDatabaseName, Generation, Instance, InstanceClass, Observed, Owner, Snapshot, SnapshotId,
    SnapshotStatus, Stage, Status, StorageGiB, minimum_growth,
};

/// A request gives up after this long, below the hour that CloudFormation waits.
pub const GIVE_UP_AFTER: Duration = Duration::from_mins(55);

/// A change that RDS has accepted and does not begin within this time waits for the maintenance window, so it is asked
/// for again.
const CHANGE_BEGINS_WITHIN: Duration = Duration::from_mins(2);
/// How soon at the earliest is looked again at what goes on.
const QUICK_LOOK: Duration = Duration::from_secs(1);
/// And at the latest.
const SLOW_LOOK: Duration = Duration::from_secs(15);

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
    /// The properties before this change.
    pub previous: Previous,
    /// Tells this request from others in names: at most 16 lower-case letters and digits.
    pub token: String,
}

/// What is looked at of the properties before a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Previous {
    /// If it is the desired one, its data existed.
    pub generation: Option<Generation>,
    /// Whether somebody else's database was attached.
    pub is_attached: bool,
    /// Whether changes were left to the maintenance window.
    pub is_deferred: bool,
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
    /// Somebody else's, of which only the address is looked up.
    Attached(Attached),
}

/// Somebody else's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Instance or cluster.
    pub kind: AttachedKind,
    /// Its identifier.
    pub identifier: DatabaseIdentifier,
    /// The database inside.
    pub database_name: ExistingDatabaseName,
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
    /// The least version it shall have; a major one alone means its default minor version at creation.
    pub engine_version: EngineVersion,
    /// Up to where RDS may grow the storage by itself; `None`: it does not.
    pub max_storage: Option<StorageGiB>,
    /// Whether it shall have a standby in a second availability zone.
    pub multi_az: bool,
    /// For how long automated backups are kept.
    pub backup_retention: BackupRetention,
    /// When changes are made that interrupt it.
    pub apply: Apply,
    /// The snapshot that its data begins with; `None`: it begins empty.
    pub from_snapshot: Option<SnapshotId>,
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
    /// See which snapshots there are, and ask again: it depends on them.
    ObserveSnapshots,
    /// Create the instance, empty.
    Create(Created),
    /// Create the instance from a snapshot.
    Restore {
        /// What the instance shall be.
        created: Created,
        /// The snapshot that holds the data.
        snapshot: SnapshotId,
        /// Whether the data has this generation's credentials already.
        has_credentials: bool,
    },
    /// Change the instance.
    Modify(Changes),
    /// Give the instance this generation's password, and note that it has it.
    SetPassword(Generation),
    /// Take a snapshot of the instance, as it is about to become what it cannot be taken back from.
    Snapshot(SnapshotId),
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
    /// The IOPS that so much storage must be given with.
    pub iops: Option<u32>,
    /// Up to where RDS grows the storage by itself, in GiB; the storage itself: not at all.
    pub max_storage_gib: Option<u32>,
    /// Whether it has a standby.
    pub multi_az: Option<bool>,
    /// For how many days automated backups are kept.
    pub backup_retention_days: Option<u32>,
    /// A newer version.
    pub engine_version: Option<EngineVersion>,
    /// Whether RDS shall refuse to delete it.
    pub deletion_protection: Option<bool>,
    /// The only VPC security group.
    pub security_group: Option<String>,
    /// When: what is accepted earlier and still pending is done with it.
    pub apply: Apply,
}

impl Changes {
    fn is_empty(&self) -> bool {
        *self == Self { apply: self.apply, ..Self::default() }
    }
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
    /// The identifier of the DB instance or the DB cluster.
    pub identifier: String,
    /// Where clients connect to.
    pub endpoint: Endpoint,
    /// The database inside.
    pub database_name: String,
    /// The security group of somebody else's database that the stage's service needs a rule in.
    pub access_group: Option<String>,
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
    /// What is to be attached is not there.
    #[error("There is no {kind} {identifier} with an endpoint in this account and region, so it cannot be attached.", kind = kind_in_words(*kind))]
    AttachedMissing {
        /// Instance or cluster.
        kind: AttachedKind,
        /// Its identifier.
        identifier: DatabaseIdentifier,
    },
    /// One source directly after the other.
    #[error(
        "The stage has the DB instance {0}, which stagedb created. Remove it first, then attach another database."
    )]
    RemoveFirst(String),
    /// One source directly after the other.
    #[error(
        "The stage has somebody else's database attached. Remove it from the stage first, then create a new one."
    )]
    DetachFirst,
    /// There is nothing to restore.
    #[error(
        "The snapshot {0} is not an available snapshot of this stage, so the database cannot begin with it."
    )]
    SnapshotMissing(SnapshotId),
    /// The way back could not be made, so the way forth is not gone.
    #[error(
        "The snapshot {0}, which is taken before the upgrade, failed, so the version is not changed. Save again."
    )]
    SnapshotFailed(SnapshotId),
    /// RDS said no.
    #[error("RDS refused: {0}")]
    Rds(String),
}

fn kind_in_words(kind: AttachedKind) -> &'static str {
    match kind {
        AttachedKind::Instance => "DB instance",
        AttachedKind::Cluster => "DB cluster",
    }
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
        (Desired::Attached(attached), Operation::Create | Operation::Update) => {
            towards_attached(request, attached, observed)
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
            // At once all the same, and what waits for the maintenance window goes on waiting.
            let apply = Apply::MaintenanceWindow;
            Step::Modify(Changes { deletion_protection: Some(false), apply, ..Changes::default() })
        }
        Status::Failed(_) => Step::Delete { final_snapshot: None },
        Status::Usable { .. } => {
            let Some(snapshots) = &observed.snapshots else { return Step::ObserveSnapshots };
            let number_of = |snapshot: &Snapshot| snapshot.id.number_of(&identifier, generation);
            let last = snapshots.iter().filter_map(number_of).max().unwrap_or(0);
            let next = SnapshotId::final_of(&identifier, generation, last.saturating_add(1));
            Step::Delete { final_snapshot: Some(next) }
        }
    }
}

/// Somebody else's database is only looked at: whatever its status is, its address is the same.
fn towards_attached(request: &Request, attached: &Attached, observed: &Observed) -> Step {
    let is_ours = |i: &&Instance| i.is_of(&request.owner) && i.status != Status::Deleting;
    if observed.instance.as_ref().is_some_and(|i| is_ours(&i)) {
        return Step::Refuse(Refusal::RemoveFirst(request.stage.identifier()));
    }
    let found = observed.attached.as_ref();
    let Some((database, endpoint)) = found.and_then(|database| Some((database, database.endpoint.clone()?)))
    else {
        let (kind, identifier) = (attached.kind, attached.identifier.clone());
        return Step::Refuse(Refusal::AttachedMissing { kind, identifier });
    };
    Step::Finish(Attributes {
        database: Some(DatabaseAttributes {
            identifier: attached.identifier.to_string(),
            endpoint,
            database_name: attached.database_name.to_string(),
            access_group: database.security_groups.first().cloned(),
        }),
    })
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
        // Restored from a snapshot of another generation: the password inside is still that one's.
        Status::Usable { .. } if instance.pending.password => wait(clock),
        Status::Usable { .. } if instance.credentials.as_ref() != Some(&created.generation) => {
            Step::SetPassword(created.generation.clone())
        }
        Status::Usable { optimizing } => match differences(request, instance, created, clock) {
            Differences::Changes(changes) if changes.storage_gib.is_some() && *optimizing => {
                Step::Refuse(Refusal::Optimizing(identifier))
            }
            Differences::Changes(changes) => Step::Modify(changes),
            Differences::Upgrade(version) => upgrade(request, instance, created, version, observed, clock),
            Differences::ToCome => wait(clock),
            Differences::None => finish(identifier, instance, created, clock),
        },
        Status::Creating | Status::InProgress(_) | Status::Deleting => wait(clock),
        // Nothing is to be changed, as in a rollback: its bad state is then not this request's failure.
        Status::Stopped | Status::Failed(_) if is_as_desired(request, instance, created, clock) => {
            finish(identifier, instance, created, clock)
        }
        Status::Stopped => Step::Refuse(Refusal::Stopped(identifier)),
        Status::Failed(status) => Step::Refuse(Refusal::Failed { identifier, status: status.clone() }),
    }
}

/// There is no instance. Data that existed is restored; only a generation that is new begins empty, or with the
/// snapshot that a person chose.
fn towards_first_instance(request: &Request, created: &Created, observed: &Observed, clock: Clock) -> Step {
    let Some(snapshots) = &observed.snapshots else { return Step::ObserveSnapshots };
    let identifier = request.stage.identifier();
    let number = |s: &Snapshot| s.id.number_of(&identifier, &created.generation);
    let is_ours = |s: &&Snapshot| {
        s.owner.as_ref() == Some(&request.owner) && s.generation.as_ref() == Some(&created.generation)
    };
    let finals = snapshots.iter().filter(is_ours).filter_map(|s| Some((number(s)?, s)));
    if let Some((_, newest)) = finals.max_by_key(|(number, _)| *number) {
        return restore(created, newest, Refusal::DataMissing(identifier), clock);
    }
    if request.previous.generation.as_ref() == Some(&created.generation) {
        return Step::Refuse(Refusal::DataMissing(identifier));
    }
    if request.previous.is_attached {
        return Step::Refuse(Refusal::DetachFirst);
    }
    let Some(id) = &created.from_snapshot else {
        return Step::Create(created.clone());
    };
    let chosen = snapshots.iter().find(|s| s.id == *id && s.stage.as_ref() == Some(&request.stage));
    match chosen {
        Some(chosen) => restore(created, chosen, Refusal::SnapshotMissing(id.clone()), clock),
        None => Step::Refuse(Refusal::SnapshotMissing(id.clone())),
    }
}

fn restore(created: &Created, snapshot: &Snapshot, otherwise: Refusal, clock: Clock) -> Step {
    match snapshot.status {
        SnapshotStatus::Available => Step::Restore {
            created: created.clone(),
            snapshot: snapshot.id.clone(),
            has_credentials: snapshot.credentials.as_ref() == Some(&created.generation),
        },
        SnapshotStatus::Creating => wait(clock),
        SnapshotStatus::Failed => Step::Refuse(otherwise),
    }
}

/// A new major version cannot be taken back, so its data is kept in a snapshot first.
fn upgrade(
    request: &Request,
    instance: &Instance,
    created: &Created,
    version: EngineVersion,
    observed: &Observed,
    clock: Clock,
) -> Step {
    let modify =
        Step::Modify(Changes { engine_version: Some(version), apply: created.apply, ..Changes::default() });
    if instance.engine_version.is_some_and(|live| live.major() == version.major()) {
        return modify;
    }
    let Some(snapshots) = &observed.snapshots else { return Step::ObserveSnapshots };
    let identifier = request.stage.identifier();
    let id = SnapshotId::before_upgrade(&identifier, &created.generation, version, &request.token);
    match snapshots.iter().find(|s| s.id == id).map(|s| s.status) {
        None => Step::Snapshot(id),
        Some(SnapshotStatus::Creating) => wait(clock),
        Some(SnapshotStatus::Available) => modify,
        Some(SnapshotStatus::Failed) => Step::Refuse(Refusal::SnapshotFailed(id)),
    }
}

/// How an instance differs from what is desired.
enum Differences {
    None,
    /// RDS has accepted the change and has yet to do it.
    ToCome,
    Changes(Changes),
    /// Everything else is as desired: a change of the version is made alone.
    Upgrade(EngineVersion),
}

/// How one value differs from what is desired.
enum Difference {
    None,
    ToCome,
    Change,
}

fn differences(request: &Request, instance: &Instance, created: &Created, clock: Clock) -> Differences {
    let pending = &instance.pending;
    // What was accepted for the maintenance window does not begin by itself. RDS is asked again, but not at every look.
    let asks_again = clock.elapsed >= CHANGE_BEGINS_WITHIN
        && clock.elapsed.as_secs() % CHANGE_BEGINS_WITHIN.as_secs() < SLOW_LOOK.as_secs();
    let begins_yet = !asks_again && !request.previous.is_deferred;
    let to_come = match created.apply {
        Apply::MaintenanceWindow => Difference::None,
        Apply::Now if begins_yet => Difference::ToCome,
        Apply::Now => Difference::Change,
    };
    let difference = |is_live: bool, will_be: Option<bool>| match (is_live, will_be) {
        (true, None) => Difference::None,
        (_, Some(true)) => match &to_come {
            Difference::None => Difference::None,
            Difference::ToCome => Difference::ToCome,
            Difference::Change => Difference::Change,
        },
        (false, None) | (_, Some(false)) => Difference::Change,
    };
    let mut changes = Changes { apply: created.apply, ..Changes::default() };
    let mut waits = false;
    let mut differs = |difference: Difference| {
        waits |= matches!(difference, Difference::ToCome);
        matches!(difference, Difference::Change)
    };

    let class = created.instance_class.as_ref();
    let will_be = pending.instance_class.as_deref().map(|pending| pending == class);
    if differs(difference(instance.instance_class == class, will_be)) {
        changes.instance_class = Some(created.instance_class.clone());
    }
    // A floor: autoscaling and a rollback after a growth both leave more than is desired, and that is done already.
    let storage = created.storage.get();
    if storage > instance.storage_gib
        && differs(difference(false, pending.storage_gib.map(|gib| gib >= storage)))
    {
        let storage = storage.max(minimum_growth(instance.storage_gib));
        changes.storage_gib = Some(storage);
        // So much gp3 storage is striped, and comes with at least 12000 IOPS (RDS user guide, "gp3 storage").
        changes.iops = (storage >= STRIPED_GIB).then(|| instance.iops.unwrap_or(0).max(STRIPED_IOPS));
    }
    let standby = pending.multi_az.map(|pending| pending == created.multi_az);
    if differs(difference(instance.multi_az == created.multi_az, standby)) {
        changes.multi_az = Some(created.multi_az);
    }
    let days = created.backup_retention.days();
    let backups = pending.backup_retention_days.map(|pending| pending == days);
    if differs(difference(instance.backup_retention_days == days, backups)) {
        changes.backup_retention_days = Some(days);
    }
    changes.max_storage_gib = max_storage(instance, created, changes.storage_gib);
    // An instance is created without protection, so that a half-made one can be deleted in every status.
    if !instance.deletion_protection {
        changes.deletion_protection = Some(true);
    }
    if !instance.security_groups.contains(&created.security_group) {
        changes.security_group = Some(created.security_group.clone());
    }

    // A floor too: RDS upgrades minor versions by itself, and takes none back.
    let wanted = created.engine_version;
    let is_reached = instance.engine_version.is_none_or(|live| wanted.is_reached_by(live));
    let will_reach = pending.engine_version.map(|pending| wanted.is_reached_by(pending));
    let upgrades = !is_reached && differs(difference(false, will_reach));
    // An upgrade that waits for the maintenance window and is no longer wanted: asking for the live version cancels it.
    let is_unwanted = pending.engine_version.is_some_and(|pending| pending.major() > wanted.major());
    let cancels = instance.engine_version.filter(|_| is_reached && is_unwanted);

    if !changes.is_empty() {
        Differences::Changes(changes)
    } else if waits {
        Differences::ToCome
    } else if let Some(live) = cancels {
        Differences::Upgrade(live)
    } else if upgrades {
        Differences::Upgrade(wanted)
    } else {
        Differences::None
    }
}

/// From this size on, gp3 storage is striped (RDS user guide, "gp3 storage").
const STRIPED_GIB: u32 = 400;
/// What striped gp3 storage has at least.
const STRIPED_IOPS: u32 = 12_000;

/// The ceiling of storage autoscaling, if it has to be changed. RDS takes one that is 10 % above the storage; a lower one,
/// as in a rollback after the storage grew, is left as it is.
fn max_storage(instance: &Instance, created: &Created, grows_to: Option<u32>) -> Option<u32> {
    let storage = grows_to.or(instance.pending.storage_gib).unwrap_or(0).max(instance.storage_gib);
    match created.max_storage.map(StorageGiB::get) {
        Some(wanted) if instance.max_storage_gib != Some(wanted) => {
            (wanted >= minimum_growth(storage)).then_some(wanted)
        }
        // RDS's way to say "none": the storage itself.
        None if instance.max_storage_gib.is_some_and(|max| max > storage) => Some(storage),
        Some(_) | None => None,
    }
}

/// Whether the instance was handed out before, and nothing is to be changed.
fn is_as_desired(request: &Request, instance: &Instance, created: &Created, clock: Clock) -> bool {
    instance.was_available
        && instance.endpoint.is_some()
        && matches!(differences(request, instance, created, clock), Differences::None)
}

fn finish(identifier: String, instance: &Instance, created: &Created, clock: Clock) -> Step {
    let Some(endpoint) = instance.endpoint.clone() else {
        return wait(clock);
    };
    let database_name = created.database_name.to_string();
    Step::Finish(Attributes {
        database: Some(DatabaseAttributes { identifier, endpoint, database_name, access_group: None }),
    })
}

/// A fourth of the time that has passed: what is quick is seen soon, and nothing takes much longer because of it.
fn wait(clock: Clock) -> Step {
    Step::Wait((clock.elapsed / 4).clamp(QUICK_LOOK, SLOW_LOOK))
}
