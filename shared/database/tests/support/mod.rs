//! Settings for tests. A setting that a test doesn't name has its default.

use database::{CreatedPart, CreatedSettings, Rule, Shown};

/// A small database, as most tests want it.
pub(crate) fn settings() -> CreatedSettings {
    let part = CreatedPart {
        instance_class: Some("db.t4g.micro".to_owned().try_into().unwrap()),
        storage: Some(20.try_into().unwrap()),
        database_name: Some("app".to_owned().try_into().unwrap()),
        engine_version: Some("17".to_owned().try_into().unwrap()),
        ..CreatedPart::default()
    };
    part.complete().unwrap()
}

/// What RDS shows of an instance that is as these settings say.
pub(crate) fn shown(settings: &CreatedSettings) -> Shown {
    let in_place = |rule| matches!(rule, Rule::InPlace(_));
    let values = settings.values().into_iter().filter(|(setting, _)| in_place(setting.rule));
    values.fold(Shown::default(), |shown, (setting, value)| shown.with(setting, Some(value)))
}
