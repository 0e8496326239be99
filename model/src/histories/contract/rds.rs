//! The rules of RDS that both the model and the local AWS implement, listed once and tested on both.
//!
//! The model uses them in thousands of histories with faults, in simulated time, and has no data. The local AWS uses
//! them in whole flows with a real Postgres, the AWS CLI, and a browser.

use std::{collections::BTreeSet, time::Duration};

use aws::{Credentials, Databases, WriteError};
use database::{
    Changes, Created, CreatedPart, CreatedSettings, Form, Generation, Instance, Owner, Rule, Setting,
    SnapshotId, SnapshotStatus, Stage, Status,
};
use serde_json::{Map, Value, json};

use super::Ground;

/// The rules. [`databases`] checks each of them, and refers to it by its text.
pub const RULES: &[&str] = &[
    "an instance that doesn't exist can't be changed",
    "a new instance appears immediately, has the status creating, and was never available",
    "an identifier can be used only once",
    "tags exist from the start",
    "no final snapshot is taken while an instance is being created",
    "an instance that is available has an endpoint and no deletion protection unless you asked for it",
    "an instance has the class, the storage, and the database name that it was created with",
    "an instance is created with every setting that RDS changes in place",
    "deletion protection changes immediately",
    "a protected instance can't be deleted",
    "storage can't be decreased",
    "storage grows by at least 10 %",
    "the autoscaling limit is at least 10 % above the storage",
    "the version can't be lowered",
    "class and storage can be changed together",
    "every setting that RDS changes in place is changed to what you asked for",
    "storage can't be changed again right after a change",
    "a deletion can't be started twice",
    "the final snapshot is available before the instance is gone",
    "the final snapshot has the tags of the instance",
    "only a snapshot that exists can be restored",
    "a restored instance has the storage and the database name of its snapshot, and the class that you asked for",
    "a snapshot identifier can be used only once",
    "an instance can be deleted without a final snapshot if you request that",
];

/// Records which rules were checked.
#[derive(Debug, Default)]
struct Checked(BTreeSet<&'static str>);

impl Checked {
    /// Checks that a rule holds.
    #[track_caller]
    fn rule(&mut self, rule: &'static str, holds: bool) {
        assert!(RULES.contains(&rule), "the list has no rule {rule:?}");
        assert!(holds, "this rule doesn't hold: {rule}");
        self.0.insert(rule);
    }
}

fn observe_again(result: &Result<(), WriteError>) -> bool {
    matches!(result, Err(WriteError::ObserveAgain(_)))
}

fn refused(result: &Result<(), WriteError>) -> bool {
    matches!(result, Err(WriteError::Refused(_)))
}

/// Checks the life cycle of an instance, and what RDS rejects.
///
/// # Panics
/// If a rule doesn't hold, or isn't checked.
pub async fn databases(ground: &Ground) {
    let databases = Databases::new(&ground.config);
    let stage = Stage { stage: "contract".try_into().unwrap(), ..ground.stage.clone() };
    let owner = Owner { stage_stack_id: "arn:stage-stack".to_owned(), logical_id: "Database".to_owned() };
    let created = created(ground);
    let mut checked = Checked::default();
    creation(&databases, &stage, &owner, &created, &mut checked).await;
    changes(&databases, &stage.identifier(), &created.settings, &mut checked).await;
    end(&databases, &stage, &owner, &created, &mut checked).await;
    let forgotten: Vec<_> = RULES.iter().filter(|rule| !checked.0.contains(*rule)).collect();
    assert!(forgotten.is_empty(), "not checked: {forgotten:?}");
}

async fn creation(
    databases: &Databases,
    stage: &Stage,
    owner: &Owner,
    created: &Created,
    checked: &mut Checked,
) {
    let identifier = stage.identifier();
    let credentials =
        Credentials { username: "postgres".to_owned(), password: "Password-1".to_owned().into() };
    let observe = async || databases.instance(&identifier).await.unwrap();
    let missing = databases.modify(&identifier, &protection(true)).await;
    checked.rule(
        "an instance that doesn't exist can't be changed",
        observe().await.is_none() && observe_again(&missing),
    );

    databases.create(stage, owner, created, &credentials).await.unwrap();
    let half_made = observe().await.expect("it appears immediately");
    checked.rule(
        "a new instance appears immediately, has the status creating, and was never available",
        half_made.status == Status::Creating && !half_made.was_available,
    );
    checked.rule(
        "tags exist from the start",
        half_made.owner.as_ref() == Some(owner) && half_made.generation.as_ref() == Some(&created.generation),
    );
    let twice = databases.create(stage, owner, created, &credentials).await;
    checked.rule("an identifier can be used only once", observe_again(&twice));
    let last = SnapshotId::final_of(&identifier, &created.generation, 1);
    let early = databases.delete(&identifier, Some(&last)).await;
    checked.rule("no final snapshot is taken while an instance is being created", observe_again(&early));

    let made = usable(databases, &identifier).await;
    checked.rule(
        "an instance that is available has an endpoint and no deletion protection unless you asked for it",
        made.was_available && made.endpoint.is_some() && !made.deletion_protection,
    );
    checked.rule(
        "an instance has the class, the storage, and the database name that it was created with",
        made.instance_class == "db.t4g.micro"
            && made.storage_gib == 20
            && made.database_name.as_deref() == Some("app"),
    );
    let differing: Vec<_> = in_place(&created.settings)
        .filter(|(setting, value)| made.shown.get(setting) != Some(value))
        .map(|(setting, _)| setting.name)
        .collect();
    assert!(differing.is_empty(), "created with other values: {differing:?} in {:?}", made.shown);
    checked.rule("an instance is created with every setting that RDS changes in place", true);
}

async fn changes(databases: &Databases, identifier: &str, settings: &CreatedSettings, checked: &mut Checked) {
    databases.modify(identifier, &protection(true)).await.unwrap();
    let protected = usable(databases, identifier).await;
    checked.rule("deletion protection changes immediately", protected.deletion_protection);
    let deletion = databases.delete(identifier, None).await;
    checked.rule("a protected instance can't be deleted", refused(&deletion));

    let modify = async |changes: Changes| databases.modify(identifier, &changes).await;
    let storage = |gib| Changes { storage_gib: Some(gib), ..Changes::default() };
    checked.rule("storage can't be decreased", refused(&modify(storage(10)).await));
    checked.rule("storage grows by at least 10 %", refused(&modify(storage(21)).await));
    let max_storage = Changes { max_storage_gib: Some(21), ..Changes::default() };
    checked.rule(
        "the autoscaling limit is at least 10 % above the storage",
        refused(&modify(max_storage).await),
    );
    let older = "13.1".to_owned().try_into().unwrap();
    let downgrade = Changes { engine_version: Some(older), ..Changes::default() };
    checked.rule("the version can't be lowered", refused(&modify(downgrade).await));

    let class = Some("db.t4g.small".to_owned().try_into().unwrap());
    modify(Changes { instance_class: class, ..storage(40) }).await.unwrap();
    until(databases, identifier, |instance| {
        instance.is_some_and(|i| i.storage_gib == 40 && i.instance_class == "db.t4g.small" && is_usable(i))
    })
    .await;
    checked.rule("class and storage can be changed together", true);
    checked.rule("storage can't be changed again right after a change", refused(&modify(storage(60)).await));

    for (setting, before) in in_place(settings) {
        let wanted = another(setting, &before);
        let mut errors = Vec::new();
        let body = Map::from_iter([(setting.name.to_owned(), wanted.clone())]);
        let settings = CreatedPart::from_body(&body, &mut errors);
        modify(Changes { settings, ..Changes::default() }).await.unwrap();
        until(databases, identifier, |instance| {
            instance.is_some_and(|i| i.shown.get(setting) == Some(&wanted) && is_usable(i))
        })
        .await;
    }
    checked.rule("every setting that RDS changes in place is changed to what you asked for", true);
}

async fn end(databases: &Databases, stage: &Stage, owner: &Owner, created: &Created, checked: &mut Checked) {
    let identifier = &stage.identifier();
    let last = SnapshotId::final_of(identifier, &created.generation, 1);
    databases.modify(identifier, &protection(false)).await.unwrap();
    usable(databases, identifier).await;
    databases.delete(identifier, Some(&last)).await.unwrap();
    let again = databases.delete(identifier, Some(&last)).await;
    checked.rule("a deletion can't be started twice", observe_again(&again));
    until(databases, identifier, |instance| instance.is_none()).await;
    let snapshots = databases.snapshots(identifier).await.unwrap();
    let snapshot = snapshots.iter().find(|snapshot| snapshot.id == last).expect("the final snapshot");
    checked.rule(
        "the final snapshot is available before the instance is gone",
        snapshot.status == SnapshotStatus::Available,
    );
    checked.rule(
        "the final snapshot has the tags of the instance",
        snapshot.owner.as_ref() == Some(owner) && snapshot.generation.as_ref() == Some(&created.generation),
    );

    let none = SnapshotId::final_of(identifier, &created.generation, 9);
    let missing = databases.restore(stage, owner, created, &none, true).await;
    checked.rule("only a snapshot that exists can be restored", refused(&missing));
    databases.restore(stage, owner, created, &last, true).await.unwrap();
    let restored = usable(databases, identifier).await;
    checked.rule(
        "a restored instance has the storage and the database name of its snapshot, and the class that you asked for",
        restored.storage_gib == 40
            && restored.instance_class == "db.t4g.micro"
            && restored.database_name.as_deref() == Some("app"),
    );

    let taken = databases.delete(identifier, Some(&last)).await;
    checked.rule("a snapshot identifier can be used only once", observe_again(&taken));
    databases.delete(identifier, None).await.unwrap();
    until(databases, identifier, |instance| instance.is_none()).await;
    checked.rule("an instance can be deleted without a final snapshot if you request that", true);
}

/// The settings that RDS changes in place, with their values.
fn in_place(settings: &CreatedSettings) -> impl Iterator<Item = (&'static Setting, Value)> {
    settings.values().into_iter().filter(|(setting, _)| matches!(setting.rule, Rule::InPlace(_)))
}

/// Another valid value of a setting.
fn another(setting: &Setting, value: &Value) -> Value {
    match setting.form {
        Form::Boolean => json!(*value != json!(true)),
        Form::Number { min, max } => {
            if *value == json!(max) {
                json!(min)
            } else {
                json!(max)
            }
        }
        Form::Choice(choice) => {
            json!(choice.words.iter().find(|word| *value != json!(word)).expect("a choice of at least two"))
        }
        Form::Text(text) => json!(text.example.or(setting.example).expect("an example")),
    }
}

fn created(ground: &Ground) -> Created {
    Created {
        generation: Generation::try_from("20261122-135501".to_owned()).unwrap(),
        settings: CreatedPart {
            instance_class: Some("db.t4g.micro".to_owned().try_into().unwrap()),
            storage: Some(20.try_into().unwrap()),
            database_name: Some("app".to_owned().try_into().unwrap()),
            engine_version: Some("17".to_owned().try_into().unwrap()),
            ..CreatedPart::default()
        }
        .complete()
        .unwrap(),
        subnet_group: ground.subnet_group.clone(),
        security_group: ground.security_group.clone(),
    }
}

fn protection(on: bool) -> Changes {
    Changes { deletion_protection: Some(on), ..Changes::default() }
}

fn is_usable(instance: &Instance) -> bool {
    matches!(instance.status, Status::Usable { .. }) && instance.endpoint.is_some()
}

async fn usable(databases: &Databases, identifier: &str) -> Instance {
    until(databases, identifier, |instance| instance.is_some_and(is_usable)).await.unwrap()
}

/// Waits until the instance is in the expected state, which takes a few minutes at most.
async fn until(
    databases: &Databases,
    identifier: &str,
    wanted: impl Fn(Option<&Instance>) -> bool,
) -> Option<Instance> {
    for _ in 0..3000 {
        let instance = databases.instance(identifier).await.unwrap();
        if wanted(instance.as_ref()) {
            return instance;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(wanted(None), "{identifier} isn't as it should be");
    None
}
