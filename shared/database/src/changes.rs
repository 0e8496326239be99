//! What a save does to the database, setting by setting, as the preview shows it.

use serde_json::Value as Json;

use crate::{Apply, CreatedSettings, Downtime, Instance, Rule, Setting, SettingValue, in_words};

/// What happens to one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The field in the body of the save.
    pub field: &'static str,
    /// Its value now. `None` if it's new.
    pub before: Option<String>,
    /// Its value after the save.
    pub after: String,
    /// What that does to the database.
    pub effect: Effect,
    /// Whether the earlier value can be restored.
    pub can_be_undone: bool,
    /// When it happens.
    pub when: Apply,
    /// What the user should know before saving.
    pub detail: &'static str,
    /// For how long connections failed the last time, if that was measured.
    pub last_downtime: Option<Downtime>,
}

/// What a change does to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is new.
    New,
    /// It keeps running.
    InPlace,
    /// It's unavailable for a while.
    Interruption,
}

/// The settings that a new database is created with.
#[must_use]
pub fn creation(desired: &CreatedSettings) -> Vec<Change> {
    let new = |(setting, value): (&'static Setting, Json)| {
        // Without a snapshot, there is nothing to show.
        let is_absent = value.is_null() && matches!(setting.rule, Rule::Fixed);
        Some(Change {
            field: setting.name,
            before: None,
            after: in_words(&value),
            effect: Effect::New,
            can_be_undone: true,
            when: Apply::Now,
            detail: setting.later.filter(|_| !is_absent)?,
            last_downtime: None,
        })
    };
    desired.values().into_iter().filter_map(new).collect()
}

/// What changes in which user the containers log in as. RDS isn't needed for that.
fn of_logins(current: &CreatedSettings, desired: &CreatedSettings) -> Vec<Change> {
    let change = |field, before, after, detail| Change {
        field,
        before: Some(before),
        after,
        effect: Effect::InPlace,
        can_be_undone: true,
        when: Apply::Now,
        detail,
        last_downtime: None,
    };
    let mut changes = Vec::new();
    if current.app_login != desired.app_login {
        let detail = if desired.app_login {
            "The containers log in as app_1 or app_2, which act as the role app. That role gets what the master user owns in this \
             database, for which each table is locked for a moment. The master user's password moves to a secret that the \
             containers can't read. Until the last container from before has stopped, both can log in."
        } else {
            "The containers log in as the master user, which can manage roles and reach all databases. When the last container \
             from before has stopped, the master user gets what the role app owns, and app_1 and app_2 can't log in anymore."
        };
        let [before, after] = [current.app_login, desired.app_login].map(|is_on| is_on.to_string());
        changes.push(change("appLogin", before, after, detail));
    }
    if current.rotation != desired.rotation {
        let detail = if desired.rotation.days().is_some() {
            "stagedb rotates the passwords when the last rotation was this many days ago. Each rotation rebuilds the stage, which \
             redeploys the containers."
        } else {
            "stagedb rotates the passwords only if you ask for it."
        };
        let [before, after] = [current.rotation, desired.rotation].map(|days| in_words(&days.to_json()));
        changes.push(change("rotationDays", before, after, detail));
    }
    changes
}

fn last_downtime(live: &Instance, field: &str) -> Option<Downtime> {
    live.downtime.clone().filter(|downtime| downtime.fields.iter().any(|of| of == field))
}

/// What changes in an existing database, setting by setting.
pub(crate) fn changes(current: &CreatedSettings, desired: &CreatedSettings, live: &Instance) -> Vec<Change> {
    let when = desired.apply;
    let change = |field, before: String, after: String, effect, can_be_undone, detail| Change {
        field,
        before: Some(before),
        after,
        effect,
        can_be_undone,
        when: if effect == Effect::Interruption { when } else { Apply::Now },
        detail,
        last_downtime: last_downtime(live, field),
    };
    let mut changes = Vec::new();
    if live.instance_class != desired.instance_class.as_ref() {
        let has_standby = live.shown.get(&CreatedSettings::multi_az) == Some(&Json::Bool(true));
        let detail = if has_standby {
            "RDS fails over to the standby. Open connections are closed, and the database is unavailable, usually for one to \
             two minutes."
        } else {
            "The database restarts. Open connections are closed, and the database is unavailable, usually for several minutes."
        };
        let (before, after) = (live.instance_class.clone(), desired.instance_class.to_string());
        changes.push(change("instanceClass", before, after, Effect::Interruption, true, detail));
    }
    if desired.storage.get() > live.storage_gib {
        let detail = "You can't decrease the storage later, and RDS doesn't accept another storage change for six hours.";
        let (before, after) = (live.storage_gib.to_string(), desired.storage.get().to_string());
        changes.push(Change { when, ..change("storageGiB", before, after, Effect::InPlace, false, detail) });
    }
    if current.max_storage != desired.max_storage {
        let detail = "RDS increases the storage up to this limit when it's nearly full. You can't decrease the \
                      storage later.";
        let (before, after) =
            (in_words(&current.max_storage.to_json()), in_words(&desired.max_storage.to_json()));
        changes.push(change("maxStorageGiB", before, after, Effect::InPlace, true, detail));
    }
    for (setting, after) in desired.values() {
        let Rule::InPlace(consequence) = setting.rule else { continue };
        let before = live.shown.get(setting).unwrap_or(&Json::Null);
        if *before != after {
            let consequence = consequence(before, &after);
            changes.push(Change {
                field: setting.name,
                before: Some(in_words(before)),
                after: in_words(&after),
                effect: Effect::InPlace,
                can_be_undone: consequence.can_be_undone,
                when: if consequence.can_wait { desired.apply } else { Apply::Now },
                detail: consequence.detail,
                last_downtime: last_downtime(live, setting.name),
            });
        }
    }
    if let Some(version) = live.engine_version.filter(|live| !desired.engine_version.is_reached_by(*live)) {
        let detail = if version.major() == desired.engine_version.major() {
            "The database restarts with the new version, usually within several minutes."
        } else {
            "stagedb takes a snapshot first. Then the database is unavailable while RDS upgrades it, usually for ten minutes to \
             an hour. Test your application with the new version on another stage first."
        };
        let (before, after) = (version.to_string(), desired.engine_version.to_string());
        changes.push(change("engineVersion", before, after, Effect::Interruption, false, detail));
    }
    let unwanted = live.pending.engine_version.filter(|p| p.major() > desired.engine_version.major());
    if let Some(pending) = unwanted.filter(|_| current.engine_version != desired.engine_version) {
        let detail = "RDS cancels the upgrade that waits for the maintenance window.";
        let after = live.engine_version.map_or_else(String::new, |version| version.to_string());
        changes.push(change("engineVersion", pending.to_string(), after, Effect::InPlace, true, detail));
    }
    changes.extend(of_logins(current, desired));
    if current.apply != desired.apply {
        let detail = match desired.apply {
            Apply::Now => "Changes that wait for the maintenance window are made in this rebuild.",
            Apply::MaintenanceWindow => {
                "Changes that interrupt the database wait for its maintenance window."
            }
        };
        let [before, after] = [current.apply, desired.apply].map(|apply| apply.as_str().to_owned());
        changes.push(change("apply", before, after, Effect::InPlace, true, detail));
    }
    changes
}
