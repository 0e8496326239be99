//! What each sample event says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use record_changes::{About, Event};
use serde_json::{Value, json};

const STACK: &str = "arn:aws:cloudformation:us-east-1:123456789012:stack/test-django2-dev/6f1d2c30-c7a5-11f0-8d3b-0e9a1b2c3d4e";

fn sample(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/record-changes").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_sample_event_says_what_it_is_about() {
    let instance = |kind: &str, message: &str| About::Instance {
        identifier: "test-django2-dev-postgres".to_owned(),
        kind: kind.to_owned(),
        message: message.into(),
    };
    let samples = [
        (
            "update-complete.json",
            About::Stack { id: STACK.to_owned(), token: Some("request-JKJaXmPLvHcESHA-".to_owned()) },
        ),
        (
            "deployment-in-progress.json",
            About::Deployment { cluster: "demo".to_owned(), service: "test-django2-dev".to_owned() },
        ),
        (
            "class-changed.json",
            instance("RDS-EVENT-0014", "Finished applying modification to DB instance class."),
        ),
        ("instance-deleted.json", instance("RDS-EVENT-0003", "DB instance deleted.")),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/record-changes");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), samples.len());
    for (name, about) in samples {
        assert_eq!(Event::read(&sample(name)).unwrap().about, about, "{name}");
    }
}

#[test]
fn the_time_is_when_it_happened_and_not_when_it_was_sent() {
    let event = Event::read(&sample("class-changed.json")).unwrap();
    assert_eq!(event.at.to_string(), "2026-11-27 14:02:55.123 +00:00:00");
}

#[test]
fn an_operation_without_a_token_is_not_one_of_stagedb() {
    for token in [json!(null), json!("")] {
        let mut event = sample("update-complete.json");
        event["detail"]["client-request-token"] = token;
        assert_eq!(Event::read(&event).unwrap().about, About::Stack { id: STACK.to_owned(), token: None });
    }
}

#[test]
fn an_event_that_no_rule_of_ours_delivers_is_an_error_and_not_silently_dropped() {
    for event in [json!(null), json!({}), json!({"source": "aws.ec2", "detail-type": "x", "id": "1"})] {
        assert_eq!(Event::read(&event), None, "{event}");
    }
    let mut ended = sample("deployment-in-progress.json");
    ended["detail"]["eventName"] = json!("SERVICE_DEPLOYMENT_COMPLETED");
    assert_eq!(Event::read(&ended).unwrap().about, About::Nothing);
}
