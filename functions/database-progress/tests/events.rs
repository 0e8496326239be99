//! What each sample event asks for, and the errors for properties that aren't valid.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;

use custom_resource::{Addressee, InvalidRequest, Request};
use database::{
    AttachedKind, AttachmentTarget, Created, CreatedPart, CreatedSettings, Desired, Generation, Operation,
    Previous,
};
use database_progress::{DatabaseRequest, database_request};
use serde_json::{Value, json};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/database-progress")
}

/// The request in a sample event.
fn sample(name: &str) -> Value {
    let event: Value = serde_json::from_str(&std::fs::read_to_string(folder().join(name)).unwrap()).unwrap();
    event["request"].clone()
}

fn asked(event: &Value) -> Result<DatabaseRequest, InvalidRequest> {
    database_request(&Addressee::from_event(event).unwrap(), &Request::from_event(event).unwrap())
}

fn generation() -> Generation {
    "20261122-135501".to_owned().try_into().unwrap()
}

fn created(class: &str, storage: i64) -> Desired {
    Desired::Created(Created {
        generation: generation(),
        settings: CreatedPart {
            instance_class: Some(class.to_owned().try_into().unwrap()),
            storage: Some(storage.try_into().unwrap()),
            database_name: Some("app".to_owned().try_into().unwrap()),
            engine_version: Some("17".to_owned().try_into().unwrap()),
            ..CreatedPart::default()
        }
        .complete()
        .unwrap(),
        subnet_group: "test-django2-dev-subnetgroup-1a2b3c4d5e6f".to_owned(),
        security_group: "sg-0123456789abcdef0".to_owned(),
    })
}

#[test]
fn every_sample_event_asks_for_what_its_name_says() {
    let (micro, small) = (created("db.t4g.micro", 20), created("db.t4g.small", 40));
    let restored = {
        let Desired::Created(created) = micro.clone() else { unreachable!() };
        Desired::Created(Created {
            generation: "20261122-150000".to_owned().try_into().unwrap(),
            settings: CreatedSettings {
                from_snapshot: Some(
                    "test-django2-dev-postgres-20261122-135501-1".to_owned().try_into().unwrap(),
                ),
                max_storage: Some(100.try_into().unwrap()),
                multi_az: true,
                backup_retention: 14.try_into().unwrap(),
                engine_version: "17.5".to_owned().try_into().unwrap(),
                ..created.settings
            },
            ..created
        })
    };
    let attached = Desired::Attached(AttachmentTarget {
        kind: AttachedKind::Cluster,
        identifier: "orders".to_owned().try_into().unwrap(),
        database_name: "Orders-2".to_owned().try_into().unwrap(),
    });
    let samples = [
        ("update-attach.json", Operation::Update, attached, None),
        ("update-restore.json", Operation::Update, restored, Some(generation())),
        ("create-without-database.json", Operation::Create, Desired::None, None),
        ("update-add.json", Operation::Update, micro, None),
        ("update-resize.json", Operation::Update, small, Some(generation())),
        ("update-remove.json", Operation::Update, Desired::None, Some(generation())),
        ("delete.json", Operation::Delete, Desired::None, None),
    ];
    assert_eq!(std::fs::read_dir(folder()).unwrap().count(), samples.len());
    for (name, operation, desired, previous_generation) in samples {
        let asked = asked(&sample(name)).unwrap();
        assert_eq!(asked.physical_id, "PostgresDatabase/test-django2-dev-postgres", "{name}");
        let request = asked.request;
        let previous = Previous { generation: previous_generation, ..Previous::default() };
        assert_eq!(
            (request.operation, request.desired, request.previous),
            (operation, desired, previous),
            "{name}"
        );
        assert_eq!(request.token, "5a2f4c7e6b1d4f0a", "{name}");
        assert_eq!(request.owner.logical_id, "Database", "{name}");
    }
}

#[test]
fn a_property_that_is_not_valid_is_named_with_what_is_allowed() {
    for (property, value, expected) in [
        ("Source", json!("elsewhere"), "the property Source must be none, created, or attached"),
        ("Stack", json!(null), "the property Stack is missing"),
        ("Generation", json!(null), "the property Generation is missing"),
        (
            "InstanceClass",
            json!("none"),
            "the property InstanceClass must be a DB instance class such as db.t4g.micro",
        ),
        ("StorageGiB", json!("a lot"), "the property StorageGiB must be a whole number"),
        ("StorageGiB", json!("19"), "the property StorageGiB must be 20 to 65536 GiB, not 19"),
        ("StorageGiB", json!(20), "the property StorageGiB must be a string"),
        ("MultiAz", json!("yes"), "the property MultiAz must be true or false"),
        ("MaxStorageGiB", json!("1"), "the property MaxStorageGiB must be 20 to 65536 GiB, not 1"),
        ("BackupRetentionDays", json!("36"), "the property BackupRetentionDays must be 1 to 35 days, not 36"),
        ("Apply", json!("later"), "the property Apply must be now or maintenance-window"),
        ("SubnetGroupName", json!(""), "the property SubnetGroupName must not be empty"),
        ("SecretArn", json!({}), "the property SecretArn must be a string"),
    ] {
        let mut event = sample("update-add.json");
        event["ResourceProperties"][property] = value;
        assert_eq!(asked(&event).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_deletion_does_not_need_the_properties_of_a_database_to_be_valid() {
    let mut event = sample("delete.json");
    event["ResourceProperties"]["InstanceClass"] = json!("a format of the past");
    assert_eq!(asked(&event).unwrap().request.desired, Desired::None);
}

#[test]
fn a_deletion_of_an_id_that_was_never_given_claims_no_database() {
    let mut event = sample("delete.json");
    event["PhysicalResourceId"] = json!("test-django2-dev-Database-1ABCDEFGHIJKL");
    let owner = asked(&event).unwrap().request.owner;
    assert_ne!(owner.logical_id, "Database", "no instance has such a tag");
}
