use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn sample(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/credentials-resource").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn asked(event: &Value) -> Result<Desired, InvalidRequest> {
    desired(&Request::from_event(event).unwrap())
}

#[test]
fn every_sample_event_asks_for_what_its_name_says() {
    let secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:dev-test-django2-postgres-AbCdEf";
    let generation: Generation = "20261122-135501".to_owned().try_into().unwrap();
    let credentials = Desired::Master {
        secret_arn: secret_arn.to_owned(),
        generation: generation.clone(),
        stage: stage(),
        was_app: false,
    };
    let connection = Desired::Connection {
        secret_arn: secret_arn.to_owned(),
        label: generation.staging_label(),
        connection: Connection {
            identifier: "test-django2-dev-postgres".to_owned(),
            host: "test-django2-dev-postgres.c9akciq32.us-east-1.rds.amazonaws.com".to_owned(),
            port: 5432,
            database_name: "app".to_owned().try_into().unwrap(),
        },
    };
    let generation: Generation = "20261122-140000".to_owned().try_into().unwrap();
    let attached = |from: Option<&str>| Desired::Attached {
        secret_arn: secret_arn.to_owned(),
        generation: generation.clone(),
        from: from.map(|arn| arn.to_owned().try_into().unwrap()),
    };
    let orders = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-QwErTy";
    let samples = [
        ("credentials-update-attached-with-secret.json", attached(Some(orders))),
        ("credentials-update-attached-typed.json", attached(None)),
        ("credentials-create-without-database.json", Desired::Nothing),
        ("credentials-update.json", credentials),
        ("credentials-delete.json", Desired::Deleted { stage: stage() }),
        ("connection-update.json", connection),
        ("connection-delete.json", Desired::Nothing),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/credentials-resource");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), samples.len());
    for (name, expected) in samples {
        assert!(Addressee::from_event(&sample(name)).is_ok(), "{name}");
        assert_eq!(asked(&sample(name)), Ok(expected), "{name}");
    }
}

fn stage() -> Stage {
    let text = |text: &str| text.to_owned();
    Stage { stack: text("test-django2").try_into().unwrap(), stage: text("dev").try_into().unwrap() }
}

#[test]
fn with_the_app_login_the_login_and_the_master_user_have_credentials_of_their_own() {
    let first: Login = "app_1/20261128-142201".to_owned().try_into().unwrap();
    let with = |name: &str, login: &str, before: Option<&str>| {
        let mut event = sample(name);
        event["ResourceProperties"]["Login"] = json!(login);
        if let Some(before) = before {
            let mut properties = event["ResourceProperties"].clone();
            properties["Login"] = json!(before);
            event["OldResourceProperties"] = properties;
        }
        asked(&event).unwrap()
    };
    let credentials = |login: &str, before| with("credentials-update.json", login, before);
    assert!(
        matches!(credentials("app_1/20261128-142201", Some("none")), Desired::App { login, .. } if login == first)
    );
    let back = credentials("master_1/20261128-142202", Some("app_1/20261128-142201"));
    assert!(matches!(back, Desired::Master { was_app: true, .. }), "{back:?}");
    let again = credentials("master_1/20261128-142202", Some("master_1/20261128-142202"));
    assert!(matches!(again, Desired::Master { was_app: false, .. }), "{again:?}");
    let label = |login: &str| match with("connection-update.json", login, None) {
        Desired::Connection { label, .. } => label,
        other => unreachable!("{other:?}"),
    };
    assert_eq!(label("app_1/20261128-142201"), "login-20261128-142201");
    assert_eq!(label("master_1/20261128-142201"), "generation-20261122-135501");
}

#[test]
fn a_property_that_is_not_valid_is_named_with_what_is_allowed() {
    for (property, value, expected) in [
        ("Source", json!("elsewhere"), "the property Source must be none, created, or attached"),
        ("SecretArn", json!(null), "the property SecretArn is missing"),
        ("Generation", json!("A B"), "the property Generation must be 1 to 32 lowercase letters"),
        ("Port", json!("none"), "the property Port must be a whole number"),
        ("Port", json!("65536"), "the property Port must be a port, 1 to 65535"),
        ("Port", json!(5432), "the property Port must be a string"),
        ("Host", json!(""), "the property Host must not be empty"),
        ("DatabaseName", json!("a b"), "the property DatabaseName must be 1 to 63 letters"),
    ] {
        let mut event = sample("connection-update.json");
        event["ResourceProperties"][property] = value;
        let error = asked(&event).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let mut event = sample("connection-update.json");
    event["ResourceType"] = json!("Custom::PostgresDatabase");
    assert!(
        asked(&event)
            .unwrap_err()
            .to_string()
            .starts_with("ResourceType must be Custom::PostgresCredentials or")
    );
}

#[test]
fn the_token_of_a_write_is_the_same_for_every_delivery_of_a_request_and_another_for_another() {
    let addressee = |name| Addressee::from_event(&sample(name)).unwrap();
    let first = addressee("credentials-update.json").token();
    assert_eq!(first, addressee("credentials-update.json").token());
    assert_ne!(first, addressee("connection-update.json").token(), "two resources of one operation");
    assert!((32..=64).contains(&first.len()), "Secrets Manager takes 32 to 64 characters");
}
