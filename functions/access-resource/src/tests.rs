//! What a request asks for.

use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/access-resource")
}

fn sample(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder().join(name)).unwrap()).unwrap()
}

fn asked(event: &Value) -> Result<Vec<Wanted>, InvalidRequest> {
    wanted(&Request::from_event(event).unwrap())
}

fn from(group: &str, port: u16, source_group: &str, identifier: &str) -> Wanted {
    let text = str::to_owned;
    Wanted { group: text(group), port, source_group: text(source_group), identifier: text(identifier) }
}

const THEIRS: &str = "sg-0a1b2c3d4e5f60718";
const OURS: &str = "sg-0d4c3b2a190817161";
const WEB: &str = "sg-0fedcba9876543210";
const WORKER: &str = "sg-0123456789abcdef0";

#[test]
fn every_sample_event_asks_for_what_its_name_says() {
    let samples = [
        ("create-without-database.json", vec![]),
        (
            "update-create.json",
            vec![
                from(OURS, 5432, WEB, "test-django2-dev-postgres"),
                from(OURS, 5432, WORKER, "test-django2-dev-postgres"),
            ],
        ),
        ("update-attach.json", vec![from(THEIRS, 5433, WEB, "orders"), from(THEIRS, 5433, WORKER, "orders")]),
        ("update-detach.json", vec![]),
        ("roll-back-to-an-earlier-version.json", vec![from(THEIRS, 5433, WEB, "orders")]),
        ("delete.json", vec![]),
    ];
    assert_eq!(std::fs::read_dir(folder()).unwrap().count(), samples.len());
    for (name, expected) in samples {
        assert!(Addressee::from_event(&sample(name)).is_ok(), "{name}");
        assert_eq!(asked(&sample(name)), Ok(expected), "{name}");
    }
}

#[test]
fn a_property_that_is_not_valid_is_named_with_what_is_allowed() {
    for (property, value, expected) in [
        ("Port", json!("none"), "the property Port must be a whole number"),
        ("Port", json!("65536"), "the property Port must be a port, 1 to 65535"),
        ("ServiceSecurityGroupIds", json!(null), "the property ServiceSecurityGroupId is missing"),
        (
            "ServiceSecurityGroupIds",
            json!("sg-1,,sg-2"),
            "the property ServiceSecurityGroupIds must be security group IDs, separated by commas",
        ),
        ("Identifier", json!(""), "the property Identifier must not be empty"),
    ] {
        let mut event = sample("update-attach.json");
        event["ResourceProperties"][property] = value;
        assert_eq!(asked(&event).unwrap_err().to_string(), expected);
    }
    let mut event = sample("update-attach.json");
    event["ResourceType"] = json!("Custom::PostgresDatabase");
    assert_eq!(asked(&event).unwrap_err().to_string(), "ResourceType must be Custom::PostgresAccess");
}

#[test]
fn a_created_database_of_an_earlier_version_needs_no_rule_of_ours() {
    let mut event = sample("roll-back-to-an-earlier-version.json");
    event["ResourceProperties"]["Source"] = json!("created");
    assert_eq!(asked(&event), Ok(vec![]));
}
