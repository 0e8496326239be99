//! Which stack each sample event is about.

use std::path::Path;

use publish_variables::stack_id;
use serde_json::{Value, json};

#[test]
fn every_sample_event_names_its_stack() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/publish-variables");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let event: Value =
            serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        let expected = "arn:aws:cloudformation:us-east-1:123456789012:stack/test-django2-dev/\
                        6f1d2c30-c7a5-11f0-8d3b-0e9a1b2c3d4e";
        assert_eq!(stack_id(&event).unwrap(), expected);
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn an_event_without_a_stack_is_an_error_and_not_silently_dropped() {
    for event in [json!(null), json!({}), json!({"detail": {"stack-id": 1}})] {
        assert!(stack_id(&event).is_err(), "{event}");
    }
}
