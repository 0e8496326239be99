//! What a Save may change, and what each change does: the rules that refuse before anything is begun.
//!
//! The API asks these for a Save and for its preview alike, so both say the same.

use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Apply, CreatedSettings, EngineVersion, Instance, Snapshot, SnapshotStatus, Status, StorageGiB,
    minimum_growth,
};

/// After a change of the storage, RDS takes no other one for six hours (RDS user guide, "Increasing DB instance storage
/// capacity"), or until its optimisation is done, whichever is longer.
pub const STORAGE_REST: Duration = Duration::hours(6);

/// What RDS shows at the time of a Save.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The DB instance identifier of the stage's database.
    pub identifier: &'a str,
    /// The stage's own instance, if it is there.
    pub live: Option<&'a Instance>,
    /// When its storage was last changed, if that was within the last hours.
    pub storage_changed_at: Option<OffsetDateTime>,
    /// The time of the Save.
    pub now: OffsetDateTime,
    /// What can be ordered of the desired class in the live version.
    pub orderable: Option<Orderable>,
    /// The versions that RDS upgrades the live one to.
    pub upgrades: &'a [EngineVersion],
    /// What a person typed to confirm what cannot be undone.
    pub confirm: Option<&'a str>,
}

/// What RDS says of an instance class that can be ordered for a version, with gp3 storage in a VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orderable {
    /// The least storage in GiB.
    pub min_storage_gib: u32,
    /// The most storage in GiB.
    pub max_storage_gib: u32,
    /// Whether it can have a standby.
    pub has_multi_az: bool,
    /// Whether its storage can grow by itself.
    pub has_autoscaling: bool,
}

/// Why a Save is refused, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The field that would have to be another one; none if the state of the database is in the way.
    pub pointer: Option<&'static str>,
    /// What is wrong, and what is allowed.
    pub detail: String,
}

impl Objection {
    fn field(pointer: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: Some(pointer), detail: detail.into() }
    }

    fn state(detail: impl Into<String>) -> Self {
        Self { pointer: None, detail: detail.into() }
    }
}

/// What happens to one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The field of the Save.
    pub field: &'static str,
    /// Its value now; none of what is new.
    pub before: Option<String>,
    /// Its value afterwards.
    pub after: String,
    /// What that does to the database.
    pub effect: Effect,
    /// Whether the value of before can be had again.
    pub can_be_undone: bool,
    /// When it happens.
    pub when: Apply,
    /// What a person should know of it.
    pub detail: &'static str,
}

/// What a change does to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is new.
    New,
    /// It goes on working.
    InPlace,
    /// It is away for a while.
    Interruption,
}

/// When the storage can be changed again, if it has to rest.
#[must_use]
pub fn earliest_storage_change(
    changed_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    changed_at.map(|at| at + STORAGE_REST).filter(|earliest| *earliest > now)
}

/// Refuses a new database that RDS would not make.
#[must_use]
pub fn check_creation(desired: &CreatedSettings, orderable: Option<Orderable>) -> Vec<Objection> {
    let mut objections = check_orderable(desired, desired.engine_version, orderable);
    objections.extend(check_ceiling(desired, desired.storage.get()));
    if desired.apply == Apply::MaintenanceWindow {
        objections.push(Objection::field("/apply", "must be now for a new database"));
    }
    objections
}

/// What a new database is made with.
#[must_use]
pub fn creation(desired: &CreatedSettings) -> Vec<Change> {
    let new = |field, after: String, detail| Change {
        field,
        before: None,
        after,
        effect: Effect::New,
        can_be_undone: true,
        when: Apply::Now,
        detail,
    };
    let mut changes = vec![
        new("instanceClass", desired.instance_class.to_string(), "Can be changed later."),
        new("storageGiB", desired.storage.get().to_string(), "Can grow later, and never shrinks."),
        new("maxStorageGiB", ceiling_in_words(desired.max_storage), "Can be changed later."),
        new("multiAz", desired.multi_az.to_string(), "Can be changed later."),
        new("backupRetentionDays", desired.backup_retention.days().to_string(), "Can be changed later."),
        new("engineVersion", desired.engine_version.to_string(), "Can be raised later, and never lowered."),
        new("databaseName", desired.database_name.to_string(), "Cannot be changed later."),
    ];
    if let Some(snapshot) = &desired.from_snapshot {
        let detail = "The data of this snapshot, with a new password. The snapshot stays.";
        changes.push(new("fromSnapshot", snapshot.to_string(), detail));
    }
    changes
}

/// Refuses to begin with a snapshot that does not go with the settings.
#[must_use]
pub fn check_restoration(desired: &CreatedSettings, snapshot: &Snapshot) -> Vec<Objection> {
    let mut objections = Vec::new();
    let id = &snapshot.id;
    match snapshot.status {
        SnapshotStatus::Available => {}
        SnapshotStatus::Creating => {
            objections.push(Objection::state(format!(
                "The snapshot {id} is still being taken. It can be restored when it is available."
            )));
        }
        SnapshotStatus::Failed => {
            objections
                .push(Objection::field("/fromSnapshot", "must be an available snapshot; this one failed"));
        }
    }
    let (taken, wanted) = (snapshot.storage_gib, desired.storage.get());
    let least = minimum_growth(taken);
    if wanted < taken || (taken < wanted && wanted < least) {
        let detail = format!("must be {taken} GiB, as in the snapshot, or {least} GiB or more");
        objections.push(Objection::field("/storageGiB", detail));
    }
    if let Some(name) = &snapshot.database_name
        && *name != desired.database_name
    {
        objections.push(Objection::field("/databaseName", format!("must be {name}, as in the snapshot")));
    }
    if let Some(version) = snapshot.engine_version
        && (!desired.engine_version.is_reached_by(version)
            || version.major() != desired.engine_version.major())
    {
        let detail =
            format!("must be {version}, as in the snapshot; it can be raised once the database is there");
        objections.push(Objection::field("/engineVersion", detail));
    }
    objections
}

/// What a Save changes at a database that is there, or everything that is wrong with it.
///
/// # Errors
/// All objections.
pub fn check_change(
    current: &CreatedSettings,
    desired: &CreatedSettings,
    situation: Situation<'_>,
) -> Result<Vec<Change>, Vec<Objection>> {
    let identifier = situation.identifier;
    let Some(live) = situation.live else {
        return Err(vec![Objection::state(format!(
            "The DB instance {identifier} is gone. It was deleted outside of stagedb, so there is nothing to change. \
             Remove the database from the stage; then it can be restored from a snapshot."
        ))]);
    };
    let mut objections = Vec::new();
    if current.database_name != desired.database_name {
        let detail = format!("cannot be changed; the database was created as {}", current.database_name);
        objections.push(Objection::field("/databaseName", detail));
    }
    if desired.from_snapshot.is_some() && desired.from_snapshot != current.from_snapshot {
        let detail = "is only for a stage without a database; remove the database first, which leaves a final snapshot";
        objections.push(Objection::field("/fromSnapshot", detail));
    }
    if let Status::Usable { optimizing } = live.status {
        objections.extend(check_storage(current, desired, live, optimizing, situation));
    } else {
        objections.push(Objection::state(format!(
            "The DB instance {identifier} is in the status {}. It can be changed when it is available.",
            live.status
        )));
    }
    let version = live.engine_version.unwrap_or(desired.engine_version);
    if current.instance_class != desired.instance_class
        || current.storage != desired.storage
        || (desired.multi_az && !current.multi_az)
        || current.max_storage != desired.max_storage
        || !desired.engine_version.is_reached_by(version)
    {
        objections.extend(check_orderable(desired, version.max(desired.engine_version), situation.orderable));
    }
    if current.max_storage != desired.max_storage || current.storage != desired.storage {
        objections.extend(check_ceiling(desired, desired.storage.get().max(live.storage_gib)));
    }
    objections.extend(check_version(current, desired, version, situation));
    objections.extend(check_what_waits(current, desired, live, version, situation));
    if objections.is_empty() { Ok(changes(current, desired, live)) } else { Err(objections) }
}

fn check_storage(
    current: &CreatedSettings,
    desired: &CreatedSettings,
    live: &Instance,
    optimizing: bool,
    situation: Situation<'_>,
) -> Option<Objection> {
    let (live, wanted) = (live.storage_gib, desired.storage.get());
    if wanted < live && desired.storage != current.storage {
        return Some(Objection::field("/storageGiB", format!("cannot shrink; it is {live} GiB now")));
    }
    if wanted <= live {
        return None;
    }
    let identifier = situation.identifier;
    if let Some(earliest) = earliest_storage_change(situation.storage_changed_at, situation.now) {
        let at = in_words(earliest);
        return Some(Objection::state(format!(
            "The storage of {identifier} was changed less than six hours ago, and RDS takes the next change at the earliest \
             at {at}. The instance class can be changed meanwhile."
        )));
    }
    if optimizing {
        return Some(Objection::state(format!(
            "The storage of {identifier} is still being optimised after its last change, which can take longer than six \
             hours. RDS takes the next change when that is done. The instance class can be changed meanwhile."
        )));
    }
    let least = minimum_growth(live);
    (wanted < least).then(|| {
        let detail = format!("must grow by at least 10 %, to {least} GiB or more; it is {live} GiB now");
        Objection::field("/storageGiB", detail)
    })
}

fn check_orderable(
    desired: &CreatedSettings,
    version: EngineVersion,
    orderable: Option<Orderable>,
) -> Vec<Objection> {
    let class = &desired.instance_class;
    let Some(orderable) = orderable else {
        let detail = format!(
            "must be a DB instance class that can be ordered here for PostgreSQL {version} with gp3 storage"
        );
        return vec![Objection::field("/instanceClass", detail)];
    };
    let mut objections = Vec::new();
    let (min, max) = (orderable.min_storage_gib, orderable.max_storage_gib);
    if !(min..=max).contains(&desired.storage.get()) {
        let detail = format!("must be {min} to {max} GiB for the class {class}");
        objections.push(Objection::field("/storageGiB", detail));
    }
    if desired.multi_az && !orderable.has_multi_az {
        objections.push(Objection::field("/multiAz", format!("must be false for the class {class}")));
    }
    if let Some(ceiling) = desired.max_storage {
        if !orderable.has_autoscaling {
            objections
                .push(Objection::field("/maxStorageGiB", format!("must be null for the class {class}")));
        } else if ceiling.get() > max {
            let detail = format!("must be at most {max} GiB for the class {class}");
            objections.push(Objection::field("/maxStorageGiB", detail));
        }
    }
    objections
}

fn check_ceiling(desired: &CreatedSettings, storage: u32) -> Option<Objection> {
    let least = minimum_growth(storage);
    let too_low = desired.max_storage.is_some_and(|ceiling| ceiling.get() < least);
    too_low.then(|| {
        let detail = format!(
            "must be at least {least} GiB, 10 % above the storage of {storage} GiB, or null for no automatic growth"
        );
        Objection::field("/maxStorageGiB", detail)
    })
}

fn check_version(
    current: &CreatedSettings,
    desired: &CreatedSettings,
    live: EngineVersion,
    situation: Situation<'_>,
) -> Option<Objection> {
    let wanted = desired.engine_version;
    if wanted == current.engine_version {
        return None;
    }
    if wanted.is_reached_by(live) {
        // Of the live major version, a major version alone asks for nothing new.
        let asks_for_less = wanted != live && wanted.to_string() != live.major().to_string();
        return asks_for_less.then(|| {
            let detail = format!("cannot be lowered; it is {live} now");
            Objection::field("/engineVersion", detail)
        });
    }
    let is_offered = situation.upgrades.iter().any(|offered| {
        *offered == wanted
            || (wanted.to_string() == wanted.major().to_string() && offered.major() == wanted.major())
    });
    if !is_offered {
        let offered: Vec<_> = situation.upgrades.iter().map(ToString::to_string).collect();
        let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
        let detail = format!("must be a version that RDS upgrades {live} to: {offered}");
        return Some(Objection::field("/engineVersion", detail));
    }
    let identifier = situation.identifier;
    let needs_confirmation = wanted.major() != live.major() && situation.confirm != Some(identifier);
    needs_confirmation.then(|| {
        let detail = format!(
            "must be {identifier}, because the upgrade from the major version {} to {} cannot be undone",
            live.major(),
            wanted.major()
        );
        Objection::field("/confirm", detail)
    })
}

/// A major upgrade that waits for the maintenance window would be made by any change that is made at once.
fn check_what_waits(
    current: &CreatedSettings,
    desired: &CreatedSettings,
    live: &Instance,
    version: EngineVersion,
    situation: Situation<'_>,
) -> Option<Objection> {
    let pending = live.pending.engine_version.filter(|pending| pending.major() > version.major())?;
    let is_flushed = desired.apply == Apply::Now
        && desired.engine_version == current.engine_version
        && situation.confirm != Some(situation.identifier);
    is_flushed.then(|| {
        let identifier = situation.identifier;
        let detail = format!(
            "must be {identifier}, because the upgrade to {pending}, which waits for the maintenance window and cannot be \
             undone, would be made now as well"
        );
        Objection::field("/confirm", detail)
    })
}

fn changes(current: &CreatedSettings, desired: &CreatedSettings, live: &Instance) -> Vec<Change> {
    let when = desired.apply;
    let change = |field, before: String, after: String, effect, can_be_undone, detail| Change {
        field,
        before: Some(before),
        after,
        effect,
        can_be_undone,
        when: if effect == Effect::Interruption { when } else { Apply::Now },
        detail,
    };
    let mut changes = Vec::new();
    if live.instance_class != desired.instance_class.as_ref() {
        let detail = if live.multi_az {
            "The standby takes over and connections end, usually for one to two minutes."
        } else {
            "The database restarts and connections end, usually for several minutes."
        };
        let (before, after) = (live.instance_class.clone(), desired.instance_class.to_string());
        changes.push(change("instanceClass", before, after, Effect::Interruption, true, detail));
    }
    if desired.storage.get() > live.storage_gib {
        let detail = "Storage never shrinks again, and RDS takes the next change of it at the earliest six hours later.";
        let (before, after) = (live.storage_gib.to_string(), desired.storage.get().to_string());
        changes.push(Change { when, ..change("storageGiB", before, after, Effect::InPlace, false, detail) });
    }
    if current.max_storage != desired.max_storage {
        let detail =
            "RDS grows the storage up to this by itself when it is nearly full. Storage never shrinks again.";
        let (before, after) = (ceiling_in_words(current.max_storage), ceiling_in_words(desired.max_storage));
        changes.push(change("maxStorageGiB", before, after, Effect::InPlace, true, detail));
    }
    if live.multi_az != desired.multi_az {
        let detail = if desired.multi_az {
            "RDS makes a standby in another availability zone. Writes may be slower meanwhile."
        } else {
            "The standby goes. If the availability zone fails, the database is away until it is restored."
        };
        let (before, after) = (live.multi_az.to_string(), desired.multi_az.to_string());
        changes.push(Change { when, ..change("multiAz", before, after, Effect::InPlace, true, detail) });
    }
    let days = desired.backup_retention.days();
    if live.backup_retention_days != days {
        let fewer = days < live.backup_retention_days;
        let detail =
            if fewer { "Older automated backups are deleted." } else { "Backups are kept for longer." };
        let (before, after) = (live.backup_retention_days.to_string(), days.to_string());
        changes.push(change("backupRetentionDays", before, after, Effect::InPlace, !fewer, detail));
    }
    if let Some(version) = live.engine_version.filter(|live| !desired.engine_version.is_reached_by(*live)) {
        let detail = if version.major() == desired.engine_version.major() {
            "The database restarts with the new version, usually within several minutes."
        } else {
            "A snapshot is taken first. Then the database is away while RDS upgrades its data, usually for ten minutes to \
             an hour. Test the application with the new version on another stage before."
        };
        let (before, after) = (version.to_string(), desired.engine_version.to_string());
        changes.push(change("engineVersion", before, after, Effect::Interruption, false, detail));
    }
    let unwanted = live.pending.engine_version.filter(|p| p.major() > desired.engine_version.major());
    if let Some(pending) = unwanted.filter(|_| current.engine_version != desired.engine_version) {
        let detail = "The upgrade that waits for the maintenance window is cancelled.";
        let after = live.engine_version.map_or_else(String::new, |version| version.to_string());
        changes.push(change("engineVersion", pending.to_string(), after, Effect::InPlace, true, detail));
    }
    if current.apply != desired.apply {
        let detail = match desired.apply {
            Apply::Now => "What waits for the maintenance window is done in this rebuild.",
            Apply::MaintenanceWindow => "What interrupts the database waits for its maintenance window.",
        };
        let (before, after) = (current.apply.to_string(), desired.apply.to_string());
        changes.push(change("apply", before, after, Effect::InPlace, true, detail));
    }
    changes
}

fn ceiling_in_words(ceiling: Option<StorageGiB>) -> String {
    ceiling.map_or_else(|| "none".to_owned(), |gib| gib.get().to_string())
}

/// A time to the minute, rounded up, in UTC.
fn in_words(at: OffsetDateTime) -> String {
    let past = i64::from(at.second()) * 1_000_000_000 + i64::from(at.nanosecond());
    let up = if past == 0 { at } else { at + Duration::minutes(1) - Duration::nanoseconds(past) };
    up.to_offset(time::UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}
