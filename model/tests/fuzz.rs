//! Whatever an event contains, no function panics, and every request that can be answered is answered.
//!
//! An input that is a JSON object is the event itself, as in the corpus (`__fuzz__/`). Any other input chooses one of
//! the sample events in `events/` and what to change in it. `cargo test` replays the corpus, and then tries random
//! inputs, others in each run. If one fails, the test prints its bytes: keep them in the corpus. `BOLERO_RANDOM_ITERATIONS` sets how
//! many it tries. `cargo bolero test --package model --test fuzz custom_resources` searches further, guided by coverage.

#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;

use bolero::check;
use custom_resource::Addressee;
use model::{Kind, deliver};
use serde_json::{Value, json};

/// How many inputs CI tries for each kind of event. The long ones simulate the whole hour of a request.
const TRIES: usize = 2000;
const LONG_TRIES: usize = 1000;

/// The sample events of a function.
fn samples(function: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(function);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
}

/// Unexpected values.
fn hostile(which: u8) -> Value {
    match which % 24 {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(1e308),
        4 => json!(""),
        5 => json!(" "),
        6 => json!("none"),
        7 => json!("created"),
        8 => json!("attached"),
        9 => json!("orders"),
        10 => json!("Ünïcödé 🐘 \u{202e}\u{0}"),
        11 => json!("x".repeat(5000)),
        12 => json!("4294967296"),
        13 => json!("-20"),
        14 => json!("20261122-120002"),
        15 => json!("'; drop table users; --$(reboot)"),
        16 => json!("arn:aws:secretsmanager:eu-west-1:999999999999:secret:theirs-a1b2c3"),
        17 => json!("db.t4g.micro"),
        18 => json!("Delete"),
        19 => json!("Create"),
        20 => json!([]),
        21 => json!({}),
        22 => (0..60).fold(json!(1), |inside, _| json!([inside])),
        _ => json!("2026-11-22T14:53:02Z"),
    }
}

/// The number of places in a value, including those in JSON inside a string.
fn places(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(places).sum(),
        Value::Object(fields) => fields.values().map(places).sum(),
        Value::String(text) => inside(text).map_or(0, |value| places(&value)),
        _ => 0,
    }
}

/// How deep a value can be nested in an event. Lambda itself rejects what is deeper.
const LEVELS: usize = 127;

fn levels(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(levels).max().unwrap_or_default(),
        _ => 0,
    }
}

/// The JSON object in a string.
fn inside(text: &str) -> Option<Value> {
    serde_json::from_str::<Value>(text).ok().filter(Value::is_object)
}

/// Replaces the value at the place with this number. Returns whether the place was in this value.
fn replace(value: &mut Value, place: &mut usize, by: &Value) -> bool {
    if *place == 0 {
        *value = by.clone();
        return true;
    }
    *place -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| replace(item, place, by)),
        Value::Object(fields) => fields.values_mut().any(|field| replace(field, place, by)),
        Value::String(text) => inside(text).is_some_and(|mut object| {
            let done = replace(&mut object, place, by);
            *text = object.to_string();
            done
        }),
        _ => false,
    }
}

/// The event that an input represents.
fn event(samples: &[Value], input: &[u8]) -> Value {
    if let Ok(event) = serde_json::from_slice::<Value>(input)
        && event.is_object()
    {
        return event;
    }
    let (first, rest) = input.split_first().unwrap_or((&0, &[]));
    let mut event = samples[usize::from(*first) % samples.len()].clone();
    for change in rest.chunks_exact(3).take(4) {
        let mut place = usize::from(u16::from_be_bytes([change[0], change[1]])) % places(&event);
        let mut changed = event.clone();
        replace(&mut changed, &mut place, &hostile(change[2]));
        if levels(&changed) <= LEVELS {
            event = changed;
        }
    }
    event
}

/// Whether an answer to a request is expected, according to our own parsing of the event, at a URL that accepts it.
fn waits(request: &Value) -> bool {
    let url = request["ResponseURL"].as_str().unwrap_or_default();
    let is_url =
        url.parse::<http::Uri>().is_ok_and(|url| url.scheme_str() == Some("https") && url.host().is_some());
    is_url && Addressee::from_event(request).is_ok()
}

fn custom_resource(kind: Kind, event: &Value, request: &Value) {
    let delivered = deliver(kind, event);
    assert!(delivered.wrong.is_empty(), "{:?}\n{event:#}", delivered.wrong);
    let expected = u64::from(waits(request));
    assert_eq!(delivered.answers, expected, "answers to\n{event:#}");
}

#[test]
fn custom_resources() {
    let all = [
        (Kind::DatabaseResource, samples("database-resource")),
        (Kind::CredentialsResource, samples("credentials-resource")),
        (Kind::AccessResource, samples("access-resource")),
    ];
    check!().with_iterations(LONG_TRIES).for_each(|input: &[u8]| {
        for (kind, samples) in &all {
            let event = event(samples, input);
            let is_execution = event["source"] == "aws.states";
            let input = event["detail"]["input"].as_str().filter(|_| is_execution);
            let of_execution = input.and_then(inside).unwrap_or_default();
            let forms = [&event, &event["answerFailed"]["request"], &of_execution["request"]];
            let request = forms.into_iter().find(|form| !form["ResponseURL"].is_null()).unwrap_or(&event);
            custom_resource(*kind, &event, request);
        }
    });
}

/// The state machine retries a failed step, and in the end invokes another function to answer.
fn step(kind: Kind, event: &Value) {
    let delivered = deliver(kind, event);
    assert!(delivered.wrong.is_empty(), "{:?}\n{event:#}", delivered.wrong);
    let answered = delivered.answers > 0;
    let says_done = delivered.returned.as_ref().is_some_and(|next| next["done"] == true);
    assert!(answered || !says_done || !waits(&event["request"]), "{delivered:?}\n{event:#}");
}

#[test]
fn steps_of_a_database() {
    let samples = samples("database-progress");
    check!()
        .with_iterations(LONG_TRIES)
        .for_each(|input: &[u8]| step(Kind::DatabaseProgress, &event(&samples, input)));
}

#[test]
fn steps_of_a_client() {
    let samples = samples("client-progress");
    check!()
        .with_iterations(LONG_TRIES)
        .for_each(|input: &[u8]| step(Kind::ClientProgress, &event(&samples, input)));
}

#[test]
fn events_of_stacks() {
    let samples = samples("publish-variables");
    check!().with_iterations(TRIES).for_each(|input: &[u8]| {
        let event = event(&samples, input);
        let delivered = deliver(Kind::PublishVariables, &event);
        assert!(delivered.wrong.is_empty(), "{:?}\n{event:#}", delivered.wrong);
    });
}

#[test]
fn requests_to_the_api() {
    let samples = samples("settings-api");
    check!().with_iterations(TRIES).for_each(|input: &[u8]| {
        let event = event(&samples, input);
        let delivered = deliver(Kind::SettingsApi, &event);
        assert!(delivered.wrong.is_empty(), "{:?}\n{event:#}", delivered.wrong);
        // An event that is neither a request from API Gateway nor from the schedule is an error. A run of the schedule
        // returns nothing. A request gets a response with a message.
        let Some(answer) = delivered.returned else { return };
        if !event["scheduledAt"].is_null() {
            assert!(answer.is_null(), "{answer:#}\n{event:#}");
            return;
        }
        let status = answer["statusCode"].as_i64().unwrap();
        let is_fine = (200..500).contains(&status) || status == 503 || delivered.beyond_the_model;
        assert!(is_fine, "{answer:#}\n{event:#}");
        let body = answer["body"].as_str().unwrap_or("{}");
        assert!(serde_json::from_str::<Value>(body).is_ok(), "{answer:#}");
    });
}

#[test]
fn bodies_of_the_api() {
    let samples: Vec<_> =
        samples("settings-api").into_iter().filter(|event| event["body"].is_string()).collect();
    let bodies: Vec<_> = samples.iter().filter_map(|event| inside(event["body"].as_str()?)).collect();
    assert!(bodies.len() >= 3, "there are sample events");
    check!().with_iterations(TRIES / 3).for_each(|input: &[u8]| {
        for sample in &samples {
            for body in [event(&bodies, input).to_string(), String::from_utf8_lossy(input).into_owned()] {
                let mut event = sample.clone();
                event["body"] = json!(body);
                let delivered = deliver(Kind::SettingsApi, &event);
                assert!(delivered.wrong.is_empty(), "{:?}\n{event:#}", delivered.wrong);
                let status = delivered.returned.unwrap()["statusCode"].as_i64().unwrap();
                assert!((200..500).contains(&status) || delivered.beyond_the_model, "{status}\n{event:#}");
            }
        }
    });
}
