//! The rules for a save: what it can change, what each change does, and what is refused before anything starts.
//!
//! The API applies the same rules to a save and to its preview, so both say the same.

use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Apply, Change, CreatedSettings, EngineVersion, Instance, Snapshot, SnapshotStatus, Status,
    changes::changes, minimum_growth,
};

/// After a storage change, RDS accepts no further one for six hours (RDS user guide, "Increasing DB instance storage
/// capacity"), or until storage optimization is done, whichever is longer.
pub const STORAGE_REST: Duration = Duration::hours(6);

/// What RDS shows at the time of a save.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The DB instance identifier of the stage's database.
    pub identifier: &'a str,
    /// The stage's own instance, if it exists.
    pub live: Option<&'a Instance>,
    /// When its storage was last changed, if that was within the last hours.
    pub storage_changed_at: Option<OffsetDateTime>,
    /// The time of the save.
    pub now: OffsetDateTime,
    /// The options that RDS offers for the desired class in the live version.
    pub orderable: Option<Orderable>,
    /// The versions that RDS can upgrade the live one to.
    pub upgrades: &'a [EngineVersion],
    /// What the user typed to confirm a change that can't be undone.
    pub confirm: Option<&'a str>,
}

/// What RDS offers for an instance class in a version, with gp3 storage in a VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orderable {
    /// The least storage in GiB.
    pub min_storage_gib: u32,
    /// The most storage in GiB.
    pub max_storage_gib: u32,
    /// Whether it can have a standby.
    pub has_multi_az: bool,
    /// Whether it supports storage autoscaling.
    pub has_autoscaling: bool,
}

/// Why a save is refused, as a message for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The field to change. `None` if the state of the database doesn't allow the save.
    pub pointer: Option<&'static str>,
    /// What's wrong, and what's allowed.
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

/// When the storage can be changed again, if that isn't now.
#[must_use]
pub fn earliest_storage_change(
    changed_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    changed_at.map(|at| at + STORAGE_REST).filter(|earliest| *earliest > now)
}

/// Refuses a new database that RDS wouldn't create.
#[must_use]
pub fn check_creation(desired: &CreatedSettings, orderable: Option<Orderable>) -> Vec<Objection> {
    let mut objections = check_orderable(desired, desired.engine_version, orderable);
    objections.extend(check_max_storage(desired, desired.storage.get()));
    if desired.apply == Apply::MaintenanceWindow {
        objections.push(Objection::field("/apply", "must be now for a new database"));
    }
    objections.extend(check_rotation(desired));
    objections
}

/// Containers that log in as the master user would fail to connect after a rotation.
fn check_rotation(desired: &CreatedSettings) -> Option<Objection> {
    let is_possible = desired.app_login || desired.rotation.days().is_none();
    let detail =
        "must be 0 without the app login, because only that can be rotated without failed connections";
    (!is_possible).then(|| Objection::field("/rotationDays", detail))
}

/// Refuses settings that don't fit the snapshot they restore.
#[must_use]
pub fn check_restoration(desired: &CreatedSettings, snapshot: &Snapshot) -> Vec<Objection> {
    let mut objections = Vec::new();
    let id = &snapshot.id;
    match snapshot.status {
        SnapshotStatus::Available => {}
        SnapshotStatus::Creating => {
            objections.push(Objection::state(format!(
                "The snapshot {id} is still being created. Save again when it's available."
            )));
        }
        SnapshotStatus::Failed => {
            objections
                .push(Objection::field("/fromSnapshot", "must be an available snapshot. This one failed"));
        }
    }
    let (taken, wanted) = (snapshot.storage_gib, desired.storage.get());
    let least = minimum_growth(taken);
    if wanted < taken || (taken < wanted && wanted < least) {
        let detail = format!("must be {taken} GiB, as in the snapshot, or at least {least} GiB");
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
        let detail = format!(
            "must be {version}, as in the snapshot. You can upgrade it once the database is available"
        );
        objections.push(Objection::field("/engineVersion", detail));
    }
    objections
}

/// What a save changes in an existing database, or everything that's wrong with it.
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
            "The DB instance {identifier} was deleted outside of stagedb, so there is nothing to change. Remove the database \
             from the stage. Then you can restore it from a snapshot."
        ))]);
    };
    let mut objections = Vec::new();
    if current.database_name != desired.database_name {
        let detail = format!("can't be changed. The database was created as {}", current.database_name);
        objections.push(Objection::field("/databaseName", detail));
    }
    if desired.from_snapshot.is_some() && desired.from_snapshot != current.from_snapshot {
        let detail =
            "is only for a stage without a database. Remove the database first, which takes a final snapshot";
        objections.push(Objection::field("/fromSnapshot", detail));
    }
    if let Status::Usable { optimizing } = live.status {
        objections.extend(check_storage(current, desired, live, optimizing, situation));
    } else {
        objections.push(Objection::state(format!(
            "The DB instance {identifier} has the status {}. You can change it when it's available.",
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
        objections.extend(check_max_storage(desired, desired.storage.get().max(live.storage_gib)));
    }
    objections.extend(check_rotation(desired));
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
        return Some(Objection::field("/storageGiB", format!("can't be decreased. It's {live} GiB now")));
    }
    if wanted <= live {
        return None;
    }
    let identifier = situation.identifier;
    if let Some(earliest) = earliest_storage_change(situation.storage_changed_at, situation.now) {
        let at = to_the_minute(earliest);
        return Some(Objection::state(format!(
            "The storage of {identifier} was changed less than six hours ago. RDS doesn't accept another storage change before \
             {at}. You can change the instance class in the meantime."
        )));
    }
    if optimizing {
        return Some(Objection::state(format!(
            "RDS is still optimizing the storage of {identifier} after its last change, which can take more than six hours. \
             You can change the storage again when that's done. You can change the instance class in the meantime."
        )));
    }
    let least = minimum_growth(live);
    (wanted < least).then(|| {
        let detail = format!("must increase by at least 10%, to {least} GiB or more. It's {live} GiB now");
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
            "must be a DB instance class that RDS offers in this Region for PostgreSQL {version} with gp3 storage"
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
    if let Some(max_storage) = desired.max_storage {
        if !orderable.has_autoscaling {
            objections
                .push(Objection::field("/maxStorageGiB", format!("must be null for the class {class}")));
        } else if max_storage.get() > max {
            let detail = format!("must be at most {max} GiB for the class {class}");
            objections.push(Objection::field("/maxStorageGiB", detail));
        }
    }
    objections
}

fn check_max_storage(desired: &CreatedSettings, storage: u32) -> Option<Objection> {
    let least = minimum_growth(storage);
    let too_low = desired.max_storage.is_some_and(|max_storage| max_storage.get() < least);
    too_low.then(|| {
        let detail = format!(
            "must be at least {least} GiB, 10% above the storage of {storage} GiB, or null to turn storage autoscaling off"
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
        // The live major version alone asks for nothing new.
        let asks_for_less = wanted != live && wanted.to_string() != live.major().to_string();
        return asks_for_less.then(|| {
            let detail = format!("can't be downgraded. It's {live} now");
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
        let detail = format!("must be a version that RDS can upgrade {live} to: {offered}");
        return Some(Objection::field("/engineVersion", detail));
    }
    let identifier = situation.identifier;
    let needs_confirmation = wanted.major() != live.major() && situation.confirm != Some(identifier);
    needs_confirmation.then(|| {
        let detail = format!(
            "must be {identifier}, because you can't undo the upgrade from major version {} to {}",
            live.major(),
            wanted.major()
        );
        Objection::field("/confirm", detail)
    })
}

/// Any change that's applied immediately would also start a major upgrade that waits for the maintenance window.
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
            "must be {identifier}, because this save also starts the upgrade to {pending} that waits for the maintenance \
             window. You can't undo it"
        );
        Objection::field("/confirm", detail)
    })
}

/// A time to the minute, rounded up, in UTC.
fn to_the_minute(at: OffsetDateTime) -> String {
    let past = i64::from(at.second()) * 1_000_000_000 + i64::from(at.nanosecond());
    let up = if past == 0 { at } else { at + Duration::minutes(1) - Duration::nanoseconds(past) };
    up.to_offset(time::UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}
