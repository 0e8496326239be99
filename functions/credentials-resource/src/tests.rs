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
    let credentials =
        Desired::Credentials { secret_arn: secret_arn.to_owned(), generation: generation.clone() };
    let connection = Desired::Connection {
        secret_arn: secret_arn.to_owned(),
        generation,
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
        ("credentials-delete.json", Desired::Nothing),
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
