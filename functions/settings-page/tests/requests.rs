//! What the function answers, with or without a built page.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::{path::Path, sync::Arc, time::Duration};

use aws_lambda_events::{apigw::ApiGatewayV2httpResponse, encodings::Body};
use lambda::Invocation;
use serde_json::{Value, json};
use settings_page::{Configuration, Page, handle};
use time::OffsetDateTime;

async fn answer(method: &str, path: &str) -> ApiGatewayV2httpResponse {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/settings-page/get-page.json");
    let mut event: Value = serde_json::from_str(&std::fs::read_to_string(sample).unwrap()).unwrap();
    event["rawPath"] = json!(path);
    event["requestContext"]["http"]["method"] = json!(method);
    let configuration = Configuration {
        issuer: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Example".to_owned(),
        login_url: "https://stagedb.auth.us-east-1.amazoncognito.com".to_owned(),
        client_id: "1example23456789".to_owned(),
        region: "us-east-1".to_owned(),
    };
    let time_left = Duration::from_secs(10);
    let invocation =
        Invocation { event, request_id: "request-1".to_owned(), now: OffsetDateTime::UNIX_EPOCH, time_left };
    handle(Arc::new(Page::embedded(&configuration)), invocation).await.unwrap()
}

fn content(answer: &ApiGatewayV2httpResponse) -> &[u8] {
    let Some(Body::Binary(content)) = &answer.body else { panic!("{answer:?}") };
    content
}

#[tokio::test]
async fn every_screens_address_is_the_page_and_may_load_only_what_is_ours() {
    for path in ["/", "/stacks", "/stacks/test-django2/stages/dev/database"] {
        let answer = answer("GET", path).await;
        // 503 if this build has no page.
        assert!([200, 503].contains(&answer.status_code), "{path}");
        let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
        assert_eq!(header("cache-control"), "no-cache");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(
            policy.contains("connect-src 'self' https://stagedb.auth.us-east-1.amazoncognito.com;"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}

#[tokio::test]
async fn the_page_learns_where_to_sign_in() {
    let answer = answer("GET", "/config.json").await;
    assert_eq!(answer.status_code, 200);
    assert_eq!(
        serde_json::from_slice::<Value>(content(&answer)).unwrap(),
        json!({
            "issuer": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Example",
            "loginUrl": "https://stagedb.auth.us-east-1.amazoncognito.com",
            "clientId": "1example23456789",
            "region": "us-east-1",
        })
    );
}

#[tokio::test]
async fn what_is_no_screen_and_no_file_is_not_the_page_in_disguise() {
    for path in ["/assets/gone-12345678.js", "/favicon.ico", "/stacks/../../etc/passwd.txt", "/.env"] {
        assert_eq!(answer("GET", path).await.status_code, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(answer(method, "/").await.status_code, 405, "{method}");
    }
    assert!(content(&answer("HEAD", "/config.json").await).is_empty());
}
