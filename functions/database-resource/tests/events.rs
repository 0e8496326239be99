//! What each sample event means to the function.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use custom_resource::{Addressee, Request};
use database::SettleRequest;
use database_resource::Event;
use serde_json::{Value, json};

fn samples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/database-resource");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let event = serde_json::from_str(&std::fs::read_to_string(entry.path()).unwrap()).unwrap();
        (entry.file_name().into_string().unwrap(), event)
    };
    std::fs::read_dir(folder).unwrap().map(read).collect()
}

#[test]
fn every_sample_event_is_a_request_that_can_be_answered_or_the_failure_of_one_or_the_end_of_a_rebuild() {
    let mut failures = Vec::new();
    for (name, event) in samples() {
        let request = match Event::from(event) {
            Event::Request(request) => request,
            Event::Failed { request, reason } => {
                failures.push((name.clone(), reason));
                request
            }
            Event::Settle(SettleRequest { stack_id, end, round }) => {
                let is_about_logins = name.starts_with("rebuild-") || name == "login-published.json";
                assert!(is_about_logins && stack_id.contains(":stack/test-django2-dev/"), "{name}");
                assert!(end.starts_with("2026-11-27T13:55:01.123Z ") && round == 0, "{name}: {end}");
                continue;
            }
            Event::Over => panic!("{name} asks for nothing"),
        };
        assert!(Addressee::from_event(&request).is_ok(), "{name}");
        let stage = Request::from_event(&request).unwrap().properties.stage().unwrap();
        assert_eq!(stage.to_string(), "test-django2/dev", "{name}");
    }
    failures.sort();
    let expected = [
        (
            "answer-failed.json",
            "The request couldn't be processed (States.Timeout). See the log of the function database-progress for the cause.",
        ),
        (
            "state-machine-timed-out.json",
            "The state machine that works on the database ran out of time. Save again.",
        ),
    ];
    assert_eq!(failures, expected.map(|(name, reason)| (name.to_owned(), reason.to_owned())));
}

#[test]
fn a_failure_that_the_state_machine_had_answered_is_not_answered_again() {
    let (_, mut event) =
        samples().into_iter().find(|(name, _)| name == "state-machine-timed-out.json").unwrap();
    let detail = event.get_mut("detail").unwrap().as_object_mut().unwrap();
    detail.insert("status".to_owned(), json!("FAILED"));
    detail.insert("error".to_owned(), json!("States.Runtime"));
    assert!(matches!(Event::from(event.clone()), Event::Failed { .. }), "it could not answer");
    event
        .get_mut("detail")
        .unwrap()
        .as_object_mut()
        .unwrap()
        .insert("error".to_owned(), json!("DatabaseProgressFailed"));
    assert_eq!(Event::from(event), Event::Over);
}

#[test]
fn nobody_waits_for_an_answer_to_a_test_of_a_connection() {
    let input = json!({"request": null, "test": {}}).to_string();
    for event in [
        json!({"answerFailed": {"request": null, "error": "States.Timeout"}}),
        json!({"source": "aws.states", "detail": {"status": "TIMED_OUT", "input": input}}),
    ] {
        assert_eq!(Event::from(event), Event::Over);
    }
}

#[test]
fn a_failure_without_its_request_has_nobody_to_answer_and_is_not_mistaken_for_a_request() {
    for event in [
        json!({"answerFailed": null}),
        json!({"answerFailed": {}}),
        json!({"source": "aws.states", "detail": {"status": "ABORTED", "input": "not json"}}),
        json!({"source": "aws.states"}),
    ] {
        let Event::Failed { request, .. } = Event::from(event.clone()) else {
            panic!("{event} is a request")
        };
        assert!(Addressee::from_event(&request).is_err(), "{event}");
    }
}
