//! What each sample event is a hint about.

use std::path::Path;

use database::Stage;
use publish_variables::{Hint, hint};
use serde_json::{Value, json};

const STACK: &str = "arn:aws:cloudformation:us-east-1:123456789012:stack/test-django2-dev/6f1d2c30-c7a5-11f0-8d3b-0e9a1b2c3d4e";
const SERVICE: &str = "arn:aws:ecs:us-east-1:123456789012:service/demo/test-django2-dev";

#[test]
fn every_sample_event_is_a_hint_about_its_stack_its_service_or_its_stage() {
    let stack = Hint::Stack(STACK.to_owned());
    let deployment = |has_started| Hint::Deployment { service: SERVICE.to_owned(), has_started };
    let stage = Stage { stack: "test-django2".try_into().unwrap(), stage: "dev".try_into().unwrap() };
    let samples = [
        ("create-complete.json", stack.clone()),
        ("update-complete.json", stack.clone()),
        ("update-rollback-complete.json", stack.clone()),
        ("delete-complete.json", stack),
        ("deployment-in-progress.json", deployment(true)),
        ("deployment-completed.json", deployment(false)),
        ("deployment-failed.json", deployment(false)),
        ("deployment-rolling-back.json", deployment(true)),
        ("variables-missing.json", Hint::Missing(stage)),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/publish-variables");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), samples.len());
    for (name, expected) in samples {
        let event: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap();
        assert_eq!(hint(&event), Some(expected), "{name}");
    }
}

#[test]
fn an_event_without_a_stack_is_an_error_and_not_silently_dropped() {
    for event in [json!(null), json!({}), json!({"source": "aws.cloudformation", "detail": {"stack-id": 1}})]
    {
        assert_eq!(hint(&event), None, "{event}");
    }
}
