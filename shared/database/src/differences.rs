//! How a DB instance differs from the desired settings.

use std::time::Duration;

use crate::{
    Apply, Changes, Clock, Created, CreatedPart, EngineVersion, Instance, Request, Rule, StorageGiB,
    minimum_growth, step::SLOW_LOOK,
};

/// RDS starts a change that it has accepted within this time, unless the change waits for the maintenance window. After
/// this time, stagedb asks again.
const CHANGE_BEGINS_WITHIN: Duration = Duration::from_mins(2);

/// How an instance differs from the desired settings.
pub(crate) enum Differences {
    None,
    /// RDS has accepted the change but hasn't made it yet.
    ToCome,
    Changes(Changes),
    /// Everything else is as desired. The version is always changed on its own.
    Upgrade(EngineVersion),
}

/// How one value differs from the desired value.
enum Difference {
    None,
    ToCome,
    Change,
}

pub(crate) fn differences(
    request: &Request,
    instance: &Instance,
    created: &Created,
    clock: Clock,
) -> Differences {
    let (pending, wanted) = (&instance.pending, &created.settings);
    // A change that was accepted for the maintenance window doesn't start before it. So stagedb asks RDS again, but not
    // at every look.
    let asks_again = clock.elapsed >= CHANGE_BEGINS_WITHIN
        && clock.elapsed.as_secs() % CHANGE_BEGINS_WITHIN.as_secs() < SLOW_LOOK.as_secs();
    let begins_yet = !asks_again && !request.previous.is_deferred;
    let to_come = match wanted.apply {
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
    let mut changes = Changes { apply: wanted.apply, ..Changes::default() };
    let mut waits = false;
    let mut differs = |difference: Difference| {
        waits |= matches!(difference, Difference::ToCome);
        matches!(difference, Difference::Change)
    };

    let class = wanted.instance_class.as_ref();
    let will_be = pending.instance_class.as_deref().map(|pending| pending == class);
    if differs(difference(instance.instance_class == class, will_be)) {
        changes.instance_class = Some(wanted.instance_class.clone());
    }
    // A floor: storage autoscaling, or a rollback after an increase, leaves more storage than desired, and that's fine.
    let storage = wanted.storage.get();
    if storage > instance.storage_gib
        && differs(difference(false, pending.storage_gib.map(|gib| gib >= storage)))
    {
        let storage = storage.max(minimum_growth(instance.storage_gib));
        changes.storage_gib = Some(storage);
        // This much gp3 storage is striped, and has at least 12000 IOPS (RDS user guide, "gp3 storage").
        changes.iops = (storage >= STRIPED_GIB).then(|| instance.iops.unwrap_or(0).max(STRIPED_IOPS));
    }
    changes.settings = CreatedPart::of(wanted, |setting, wanted| {
        let is_live = instance.shown.get(setting) == Some(wanted);
        let will_be = pending.shown.get(setting).map(|pending| pending == wanted);
        matches!(setting.rule, Rule::InPlace(_)) && differs(difference(is_live, will_be))
    });
    changes.max_storage_gib = max_storage(instance, created, changes.storage_gib);
    // An instance is created without deletion protection, so that an unfinished one can be deleted in every status.
    if !instance.deletion_protection {
        changes.deletion_protection = Some(true);
    }
    if !instance.security_groups.contains(&created.security_group) {
        changes.security_group = Some(created.security_group.clone());
    }

    // Also a floor: RDS upgrades minor versions automatically, and never downgrades.
    let version = wanted.engine_version;
    let is_reached = instance.engine_version.is_none_or(|live| version.is_reached_by(live));
    let will_reach = pending.engine_version.map(|pending| version.is_reached_by(pending));
    let upgrades = !is_reached && differs(difference(false, will_reach));
    // An upgrade that waits for the maintenance window and is no longer wanted. Asking for the live version cancels it.
    let is_unwanted = pending.engine_version.is_some_and(|pending| pending.major() > version.major());
    let cancels = instance.engine_version.filter(|_| is_reached && is_unwanted);

    if !changes.is_empty() {
        Differences::Changes(changes)
    } else if waits {
        Differences::ToCome
    } else if let Some(live) = cancels {
        Differences::Upgrade(live)
    } else if upgrades {
        Differences::Upgrade(version)
    } else {
        Differences::None
    }
}

/// From this size on, gp3 storage is striped (RDS user guide, "gp3 storage").
const STRIPED_GIB: u32 = 400;
/// The minimum IOPS of striped gp3 storage.
const STRIPED_IOPS: u32 = 12_000;

/// The new limit of storage autoscaling, if it has to change. RDS accepts one that is 10% above the storage. A lower
/// one, as in a rollback after the storage increased, isn't set.
fn max_storage(instance: &Instance, created: &Created, grows_to: Option<u32>) -> Option<u32> {
    let storage = grows_to.or(instance.pending.storage_gib).unwrap_or(0).max(instance.storage_gib);
    match created.settings.max_storage.map(StorageGiB::get) {
        Some(wanted) if instance.max_storage_gib != Some(wanted) => {
            (wanted >= minimum_growth(storage)).then_some(wanted)
        }
        // In RDS, a limit equal to the storage turns autoscaling off.
        None if instance.max_storage_gib.is_some_and(|max| max > storage) => Some(storage),
        Some(_) | None => None,
    }
}

/// Whether the instance was available before, and nothing has to change.
pub(crate) fn is_as_desired(request: &Request, instance: &Instance, created: &Created, clock: Clock) -> bool {
    instance.was_available
        && instance.endpoint.is_some()
        && matches!(differences(request, instance, created, clock), Differences::None)
}
