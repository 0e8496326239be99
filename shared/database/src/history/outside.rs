//! What was changed, but not through stagedb.

use time::{Duration, OffsetDateTime};

use super::{Changed, End};
use crate::{CreatedSettings, Instance, in_words};

/// Whether an operation of the stage's stack was running at a time, or had ended at most this long before.
#[must_use]
pub fn was_running(operations: &[End], at: OffsetDateTime, within: Duration) -> bool {
    let is_during =
        |end: &End| end.began_at <= at && end.ended_at.is_none_or(|ended_at| at <= ended_at + within);
    operations.iter().any(is_during)
}

/// How an instance differs from the settings that it was saved with. Changes that wait for the maintenance window aren't
/// differences, and RDS may grow the storage up to its limit.
#[must_use]
pub fn outside_changes(settings: &CreatedSettings, live: &Instance) -> Vec<Changed> {
    let mut changes = Vec::new();
    let mut compare = |name: &str, saved: String, live: String, pending: Option<String>| {
        if live != saved && pending.as_ref() != Some(&saved) {
            changes.push(Changed::new(name, Some(&saved), Some(&live)));
        }
    };
    let pending = &live.pending;
    let class = settings.instance_class.to_string();
    compare("instanceClass", class, live.instance_class.clone(), pending.instance_class.clone());
    let storage = settings.storage.get();
    if live.storage_gib != storage && live.max_storage_gib.is_none_or(|max| live.storage_gib > max) {
        let pending = pending.storage_gib.map(|storage| storage.to_string());
        compare("storageGiB", storage.to_string(), live.storage_gib.to_string(), pending);
    }
    let saved = settings.values();
    let waiting = pending.shown.clone().into_json();
    for (name, value) in live.shown.clone().into_json() {
        let Some((_, saved)) = saved.iter().find(|(setting, _)| setting.name == name) else { continue };
        // An instance that doesn't show a value doesn't differ.
        if !value.is_null() {
            compare(&name, in_words(saved), in_words(&value), waiting.get(&name).map(in_words));
        }
    }
    changes
}
