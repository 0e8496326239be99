//! What each sample event asks for, and the errors for properties that aren't valid.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use client_progress::{ClientRequest, LoginSetup, Purpose, client_request};
use custom_resource::{InvalidRequest, Request};
use database::{ConnectionTest, DowntimeRequest, SettleRequest};
use serde::Deserialize as _;
use serde_json::{Value, json};

fn sample(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/client-progress");
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

fn asked(event: &Value) -> Result<Option<ClientRequest>, InvalidRequest> {
    client_request(&Request::from_event(&event["request"]).unwrap())
}

#[test]
fn every_sample_event_asks_for_what_its_name_says() {
    let proof = asked(&sample("update-prove.json")).unwrap().unwrap();
    assert_eq!(proof.connection.port, 5432);
    assert_eq!((proof.registration.services.len(), proof.registration.jobs.len()), (1, 1));
    assert_eq!(proof.log_group, "/stagedb/clients");
    assert_eq!(asked(&sample("update-skipped.json")), Ok(None));
    assert_eq!(asked(&sample("delete.json")), Ok(None));
    let logins = asked(&sample("update-logins.json")).unwrap().unwrap();
    let Purpose::Logins(LoginSetup { login, role_arn, .. }) = logins.purpose else {
        unreachable!("{:?}", logins.purpose)
    };
    assert_eq!(
        (login.app.user(), role_arn.as_str()),
        ("app_1", "arn:aws:iam::123456789012:role/stagedb-LoginsRole")
    );
    let settle = SettleRequest::deserialize(&sample("settle.json")["settle"]).unwrap();
    assert!(settle.stack_id.contains(":stack/test-django2-dev/"), "{settle:?}");
    let downtime = DowntimeRequest::deserialize(&sample("downtime.json")["downtime"]).unwrap();
    assert_eq!(downtime.fields, ["instanceClass", "multiAz"]);
    let test = ConnectionTest::deserialize(&sample("test.json")["test"]).unwrap();
    assert_eq!((test.identifier.as_str(), test.source_groups.len()), ("orders", 1));
}

#[test]
fn a_property_that_is_missing_or_not_valid_is_named() {
    let with = |name: &str, value: Value| {
        let mut event = sample("update-prove.json");
        event["request"]["ResourceProperties"][name] = value;
        asked(&event).unwrap_err().to_string()
    };
    for name in ["Stack", "Source", "Services", "SecretArn", "Generation", "Host", "TaskDefinitionArn"] {
        assert_eq!(with(name, Value::Null), format!("the property {name} is missing"));
    }
    assert!(with("Port", json!("0x")).starts_with("the property Port must be a"));
    assert!(with("Services", json!("demo")).starts_with("the property Services must be a list"));
    assert_eq!(
        with("ConnectionProof", json!("no")),
        "the property ConnectionProof must be required or skipped"
    );
    let mut event = sample("update-prove.json");
    event["request"]["ResourceType"] = json!("Custom::Else");
    assert_eq!(
        asked(&event).unwrap_err().to_string(),
        "ResourceType must be Custom::PostgresProof or Custom::PostgresLogins"
    );
}

#[test]
fn a_login_is_set_up_only_if_something_about_it_changes() {
    let with = |changed: &[(&str, &str)]| {
        let mut event = sample("update-logins.json");
        let before = event["request"]["ResourceProperties"].clone();
        event["request"]["OldResourceProperties"] = before;
        for (name, value) in changed {
            event["request"]["ResourceProperties"][*name] = json!(value);
        }
        asked(&event).unwrap().is_some()
    };
    assert!(!with(&[]));
    assert!(!with(&[
        ("Services", "demo/web/web"),
        ("Host", "elsewhere"),
        ("TaskDefinitionArn", "arn:other")
    ]));
    assert!(with(&[("Login", "app_2/20261128-142202")]));
    assert!(with(&[("Generation", "20261128-142202")]));
    assert!(!with(&[("Login", "master_1/20261128-142202")]));
    assert!(!with(&[("Login", "none")]));
    assert!(!with(&[("Source", "attached"), ("Login", "app_2/20261128-142202")]));
    // Restored data may have logins, also without the app login.
    let master = ("Login", "master_1/20261128-142202");
    assert!(!with(&[master, ("Generation", "20261128-142202")]));
    assert!(with(&[master, ("Generation", "20261128-142202"), ("FromSnapshot", "shop-dev-postgres-1")]));
}
