//! The protocol as CloudFormation sees it: a real HTTP server stands in for it.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use custom_resource::{Addressee, Answer, Outcome, Request, Responder, answer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// The server behind the response URL. It keeps every request.
struct Bucket {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Bucket {
    /// Refuses the first `refusals` requests.
    async fn start(mut refusals: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut text = String::new();
                while !complete(&text) {
                    let mut buffer = [0; 8192];
                    let length = stream.read(&mut buffer).await.unwrap();
                    text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
                }
                kept.lock().unwrap().push(text);
                let status = if refusals > 0 { "503 Slow Down" } else { "200 OK" };
                refusals = refusals.saturating_sub(1);
                let reply = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
        });
        Self { address, requests }
    }

    fn event(&self, request_type: &str) -> Value {
        json!({
            "RequestType": request_type,
            "ResponseURL": format!("http://{}/answer?X-Amz-Signature=key", self.address),
            "StackId": "arn:stack",
            "RequestId": "request-1",
            "LogicalResourceId": "Database",
            "ResourceType": "Custom::Thing",
            "ResourceProperties": { "Stack": "shop", "Stage": "dev" },
        })
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The only answer that arrived.
    fn answer(&self) -> Value {
        let requests = self.requests();
        let [request] = requests.as_slice() else { panic!("not one answer: {requests:?}") };
        serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

fn complete(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    body.len() >= length.unwrap().parse().unwrap()
}

const PLENTY: Duration = Duration::from_mins(1);

fn responder() -> Responder {
    Responder::new(Some(aws_smithy_http_client::Builder::new().build_http()))
}

async fn answered(event: &Value, outcome: Option<Outcome>) {
    let work = |_: Addressee, _: Request| async { outcome };
    answer(event, PLENTY, &responder(), Request::physical_id, work).await.unwrap();
}

fn success() -> Outcome {
    Outcome::Success(BTreeMap::from([("Host", "db.example".to_owned())]))
}

#[tokio::test]
async fn a_success_is_put_with_its_attributes_and_without_a_content_type() {
    let bucket = Bucket::start(0).await;
    answered(&bucket.event("Create"), Some(success())).await;
    assert_eq!(
        bucket.answer(),
        json!({
            "Status": "SUCCESS",
            "PhysicalResourceId": "Thing/shop-dev-postgres",
            "StackId": "arn:stack",
            "RequestId": "request-1",
            "LogicalResourceId": "Database",
            "Data": { "Host": "db.example" },
        })
    );
    let request = bucket.requests().remove(0);
    assert!(request.starts_with("PUT /answer?X-Amz-Signature=key HTTP/1.1\r\n"), "{request}");
    assert!(!request.to_lowercase().contains("content-type"), "{request}");
}

#[tokio::test]
async fn an_update_or_a_delete_keeps_the_incoming_id_also_when_it_fails() {
    for request_type in ["Update", "Delete"] {
        for outcome in [success(), Outcome::Failed("no".to_owned())] {
            let bucket = Bucket::start(0).await;
            let mut event = bucket.event(request_type);
            event["PhysicalResourceId"] = json!("an-id-of-before");
            answered(&event, Some(outcome)).await;
            assert_eq!(bucket.answer()["PhysicalResourceId"], "an-id-of-before");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_refused_twice_is_sent_again_and_is_the_same() {
    let bucket = Bucket::start(2).await;
    answered(&bucket.event("Create"), Some(success())).await;
    let requests = bucket.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request == &requests[0]));
}

#[tokio::test]
async fn an_answer_that_never_arrives_is_an_error_that_does_not_show_the_url() {
    let bucket = Bucket::start(u32::MAX).await;
    let work = |_: Addressee, _: Request| async { Some(success()) };
    let event = bucket.event("Create");
    let error = answer(&event, PLENTY, &responder(), Request::physical_id, work).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("Signature"), "{error:?}");
    assert_eq!(bucket.requests().len(), 5);
}

#[tokio::test]
async fn nothing_is_answered_when_the_answer_comes_later() {
    let bucket = Bucket::start(0).await;
    answered(&bucket.event("Create"), None).await;
    assert_eq!(bucket.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_panic_is_answered_with_a_failure() {
    let bucket = Bucket::start(0).await;
    let work = |_: Addressee, _: Request| async { panic!("a defect") };
    answer(&bucket.event("Create"), PLENTY, &responder(), Request::physical_id, work).await.unwrap();
    let answer = bucket.answer();
    assert_eq!(answer["Status"], "FAILED");
    assert_eq!(answer["PhysicalResourceId"], "Thing/shop-dev-postgres");
    assert!(!answer["Reason"].as_str().unwrap().contains("a defect"));
}

#[tokio::test]
async fn work_that_would_outlive_the_function_is_answered_with_a_failure() {
    let bucket = Bucket::start(0).await;
    let work = |_: Addressee, _: Request| std::future::pending();
    let time_left = Duration::from_millis(6_050);
    answer(&bucket.event("Create"), time_left, &responder(), Request::physical_id, work).await.unwrap();
    assert!(bucket.answer()["Reason"].as_str().unwrap().contains("ran out of time"));
}

#[tokio::test]
async fn an_invalid_request_is_answered_with_the_property_that_is_wrong() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 6] = [
        (|e| e["RequestType"] = json!("Replace"), "RequestType must be Create, Update, or Delete"),
        (|e| e["RequestType"] = json!(null), "RequestType must be Create, Update, or Delete"),
        (|e| e["ResourceProperties"] = json!([]), "the property Stack is missing"),
        (|e| e["ResourceProperties"]["Stage"] = json!(1), "the property Stage must be a string"),
        (|e| e["ResourceProperties"]["Stage"] = json!(""), "the property Stage must not be empty"),
        (
            |e| e["ResourceProperties"]["Stage"] = json!("DEV"),
            "the property Stage must start with a lowercase letter",
        ),
    ];
    for (change, expected) in cases {
        let bucket = Bucket::start(0).await;
        let mut event = bucket.event("Create");
        change(&mut event);
        answered(&event, Some(success())).await;
        let answer = bucket.answer();
        assert_eq!(answer["Status"], "FAILED", "{expected}");
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains(expected), "{reason}");
    }
}

#[tokio::test]
async fn what_was_refused_as_invalid_can_be_deleted() {
    let bucket = Bucket::start(0).await;
    let mut event = bucket.event("Create");
    event["ResourceProperties"] = json!({});
    answered(&event, Some(success())).await;
    let id = bucket.answer()["PhysicalResourceId"].clone();

    let bucket = Bucket::start(0).await;
    let mut event = bucket.event("Delete");
    event["ResourceProperties"] = json!({});
    event["PhysicalResourceId"] = id;
    answered(&event, Some(success())).await;
    assert_eq!(bucket.answer()["Status"], "SUCCESS");
}

#[tokio::test]
async fn a_delete_that_cannot_be_read_succeeds_unless_the_physical_id_is_ours() {
    let made_up = "shop-dev-Database-1QZ7EXAMPLE";
    let ours = "PostgresDatabase/shop-dev-postgres";
    for properties in
        [json!({}), json!(null), json!({"Stack": "shop", "Stage": ["dev"]}), json!({"Stack": "SHOP"})]
    {
        for (id, expected) in [(made_up, "SUCCESS"), ("shop-dev-postgres", "SUCCESS"), (ours, "FAILED")] {
            let bucket = Bucket::start(0).await;
            let mut event = bucket.event("Delete");
            event["ResourceProperties"] = properties.clone();
            event["PhysicalResourceId"] = json!(id);
            answered(&event, Some(success())).await;
            let answer = bucket.answer();
            assert_eq!(
                (answer["Status"].as_str(), answer["PhysicalResourceId"].as_str()),
                (Some(expected), Some(id))
            );
            if expected == "FAILED" {
                let reason = answer["Reason"].as_str().unwrap();
                assert!(
                    reason.starts_with("It can't be deleted, because the request isn't valid: the property "),
                    "{reason}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_event_without_an_address_to_answer_is_an_error_that_names_the_field() {
    for field in ["ResponseURL", "StackId", "RequestId", "LogicalResourceId"] {
        let bucket = Bucket::start(0).await;
        let mut event = bucket.event("Create");
        event[field] = json!("");
        let work = |_: Addressee, _: Request| async { Some(success()) };
        let error = answer(&event, PLENTY, &responder(), Request::physical_id, work).await.unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }
    for event in [json!(null), json!([]), json!("text"), json!({})] {
        assert!(Addressee::from_event(&event).is_err());
    }
}

#[test]
fn an_answer_has_at_most_4096_bytes_and_a_cut_reason_is_still_text() {
    let event = json!({"ResponseURL": "u", "StackId": "s", "RequestId": "r", "LogicalResourceId": "l"});
    let addressee = Addressee::from_event(&event).unwrap();
    for character in ["a", "é", "\"", "\u{1}", "𝄞"] {
        for length in [0, 1, 4000, 10_000] {
            let reason = character.repeat(length);
            let answer = Answer::new(&addressee, "id", Outcome::Failed(reason.clone()));
            let body = answer.body(&addressee);
            assert!(body.len() <= 4096, "{character} {length}: {} bytes", body.len());
            let body: Value = serde_json::from_slice(&body).unwrap();
            let sent = body["Reason"].as_str().unwrap();
            assert!(!sent.is_empty(), "FAILED needs a reason");
            assert!(reason.is_empty() || reason.starts_with(sent));
            assert!(length < 10_000 || body.to_string().len() > 3_900, "it isn't shortened more than needed");
        }
    }
}

#[test]
fn what_must_not_be_logged_is_not_in_any_debug_text() {
    let event = json!({
        "RequestType": "Create", "ResponseURL": "https://s3/x?Signature=key", "StackId": "s", "RequestId": "r",
        "LogicalResourceId": "l", "ResourceProperties": {"Password": "hunter2"},
    });
    let addressee = Addressee::from_event(&event).unwrap();
    let request = Request::from_event(&event).unwrap();
    let text = format!("{addressee:?} {request:?}");
    assert!(!text.contains("key") && !text.contains("hunter2"), "{text}");
    assert!(text.contains("Password"), "a property's name may be logged");
}
