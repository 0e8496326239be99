//! The API's responses to requests that never reach AWS, and its route for every sample event.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{path::Path, sync::Arc, time::Duration};

use aws::SdkConfig;
use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda::Invocation;
use serde_json::{Value, json};
use settings_api::{Configuration, SettingsApi, handle, handle_any};
use time::OffsetDateTime;

/// An API that can't reach AWS: a request that gets that far is a 503.
fn api() -> Arc<SettingsApi> {
    let config = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("us-east-1"))
        .build();
    let configuration = Configuration {
        credentials_function_arn: "arn:credentials".to_owned(),
        database_function_arn: "arn:database".to_owned(),
        stage_stack_role_arn: "arn:role".to_owned(),
        access_function_arn: "arn:access".to_owned(),
        client_image: "postgres:17".to_owned(),
        client_log_group: "/stagedb/clients".to_owned(),
        logins_role_arn: "arn:aws:iam::123456789012:role/logins".to_owned(),
        client_progress_arn: "arn:client".to_owned(),
        state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:stagedb-database".to_owned(),
        engine_version: "17".to_owned().try_into().unwrap(),
        task_roles: "arn:aws:iam::123456789012:role/*".into(),
        history_log_group: "history".to_owned(),
        user_pool_id: "us-east-1_Example".to_owned(),
        role_without_group: None,
    };
    Arc::new(SettingsApi::new(&config, configuration))
}

async fn answer(event: Value) -> ApiGatewayV2httpResponse {
    let time_left = Duration::from_secs(30);
    handle(
        api(),
        Invocation { event, request_id: "request-1".to_owned(), now: OffsetDateTime::UNIX_EPOCH, time_left },
    )
    .await
    .unwrap()
}

fn sample(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/settings-api").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

async fn problem(event: Value) -> (i64, Value) {
    let answer = answer(event).await;
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let body = answer.body.unwrap();
    (answer.status_code, serde_json::from_str(std::str::from_utf8(body.as_ref()).unwrap()).unwrap())
}

/// The fields of a database that stagedb creates, as `openapi.json` describes them.
fn fields_of_a_created_database() -> String {
    let openapi: Value = serde_json::from_str(include_str!("../../../openapi.json")).unwrap();
    let fields = openapi["components"]["schemas"]["Save"]["oneOf"][0]["properties"].as_object().unwrap();
    fields.keys().cloned().collect::<Vec<_>>().join(", ")
}

/// Checks every problem of a PUT, a line each: status and detail, then what's wrong with each field.
async fn check_put(name: &str, body: &Value, expected: &[&str]) {
    let mut event = sample(name);
    event["body"] = body.as_str().map_or_else(|| json!(body.to_string()), |text| json!(text));
    let (status, problem) = problem(event).await;
    let mut lines = vec![format!("{status} {}", problem["detail"].as_str().unwrap())];
    for error in problem["errors"].as_array().into_iter().flatten().filter(|_| status == 422) {
        let part = |name: &str| error[name].as_str().unwrap().to_owned();
        lines.push(format!("{} {}", part("pointer"), part("detail")));
    }
    if lines.len() == 2 {
        lines.remove(0);
    }
    assert_eq!(lines, expected, "{body}");
}

#[tokio::test]
async fn every_sample_event_finds_its_route() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/settings-api");
    let mut count = 0;
    for entry in std::fs::read_dir(samples).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "schedule.json" {
            continue;
        }
        if name == "get-openapi.json" {
            assert_eq!(answer(sample(&name)).await.status_code, 200, "it needs no AWS");
            count += 1;
            continue;
        }
        let (status, _) = problem(sample(&name)).await;
        assert_eq!(status, 503, "{name} gets as far as AWS, which the test can't reach");
        count += 1;
    }
    assert_eq!(count, 27);
}

#[tokio::test]
async fn the_schedule_fails_if_aws_cannot_be_reached_and_an_event_of_no_kind_is_refused() {
    let of = async |event| {
        let (request_id, time_left) = ("request-1".to_owned(), Duration::from_secs(30));
        let invocation = Invocation { event, request_id, now: OffsetDateTime::UNIX_EPOCH, time_left };
        handle_any(api(), invocation).await.unwrap_err().to_string()
    };
    assert_eq!(of(sample("schedule.json")).await, "the stages can't be listed");
    assert_eq!(of(json!({"scheduledAt": "tomorrow"})).await, "the event has no valid time");
    assert_eq!(of(json!({"detail": {}})).await, "the event isn't an HTTP API request");
}

#[tokio::test]
async fn an_aws_that_cannot_be_reached_is_reported_in_fixed_words_with_the_request_id() {
    let (_, problem) = problem(sample("get-database.json")).await;
    assert_eq!(
        problem,
        json!({
            "type": "urn:stagedb:problem:aws-unavailable",
            "title": "AWS didn't respond",
            "status": 503,
            "detail": "AWS didn't respond in time. The change may or may not have started. Check the rebuild, then try again.",
            "requestId": "JKJaXmPLvHcESHA=",
        })
    );
}

#[tokio::test]
async fn an_address_that_is_not_valid_is_refused_with_what_is_allowed() {
    let name = "must start with a lowercase letter and contain only lowercase letters, digits, and single hyphens between \
                them, such as test-django2.";
    let cases = [
        (
            "GET",
            "/api/nothing",
            404,
            "There is nothing at this URL. See GET /api/openapi.json for the API.".to_owned(),
        ),
        ("GET", "/", 404, "There is nothing at this URL. See GET /api/openapi.json for the API.".to_owned()),
        (
            "GET",
            "/api/stacks/a/stages/b/c",
            404,
            "There is nothing at this URL. See GET /api/openapi.json for the API.".to_owned(),
        ),
        ("POST", "/api/stacks", 405, "Use GET.".to_owned()),
        ("POST", "/api/stacks/a/stages/b", 405, "Use GET, PUT, or DELETE.".to_owned()),
        ("POST", "/api/stacks/a/stages/b/runtime-variables/snippets", 405, "Use GET.".to_owned()),
        ("PATCH", "/api/stacks/a/stages/b/database", 405, "Use GET, PUT, or DELETE.".to_owned()),
        ("PUT", "/api/stacks/a/stages/b/rebuild", 405, "Use GET or POST.".to_owned()),
        ("GET", "/api/stacks/A/stages/b/database", 400, format!("The stack name {name}")),
        ("GET", "/api/stacks/a/stages/%2e%2e/database", 400, format!("The stage name {name}")),
        ("GET", "/api/stacks/a/stages/ü/database", 400, format!("The stage name {name}")),
        (
            "GET",
            "/api/stacks//stages/b/database",
            400,
            "The stack name must be 1 to 32 characters long, not 0.".to_owned(),
        ),
        (
            "GET",
            "/api/stacks/a/stages/aaaaaaaaaaaaaaaaa/database",
            400,
            "The stage name must be 1 to 16 characters long, not 17.".to_owned(),
        ),
    ];
    for (method, path, status, detail) in cases {
        let mut event = sample("get-database.json");
        event["rawPath"] = json!(path);
        event["requestContext"]["http"]["method"] = json!(method);
        let (actual, problem) = problem(event).await;
        assert_eq!(
            (actual, problem["detail"].as_str().unwrap()),
            (status, detail.as_str()),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn an_unreadable_body_is_refused() {
    let object = "400 The body must be a JSON object.";
    let cases = [
        (json!(""), "400 The body isn't valid JSON. The error is at line 1, column 0."),
        (json!("{\"source\":"), "400 The body isn't valid JSON. The error is at line 1, column 10."),
        (json!("[]"), object),
        (json!("null"), object),
        (json!("\"created\""), object),
    ];
    for (body, expected) in cases {
        check_put("put-database.json", &body, &[expected]).await;
    }
    check_put(
        "put-database.json",
        &json!("[".repeat(10_000)),
        &["400 The body isn't valid JSON. The error is at line 1, column 128."],
    )
    .await;
    check_put(
        "put-database.json",
        &json!("x".repeat(20_000)),
        &["413 The body must be at most 16384 bytes long."],
    )
    .await;

    let mut event = sample("put-database.json");
    event["headers"]["content-type"] = json!("text/plain");
    let (status, problem) = problem(event).await;
    assert_eq!(
        (status, problem["detail"].as_str().unwrap()),
        (415, "The Content-Type must be application/json.")
    );
}

#[tokio::test]
async fn settings_that_are_not_valid_are_refused_with_the_field_and_what_is_allowed() {
    let valid = json!({"source": "created", "instanceClass": "db.t4g.micro", "storageGiB": 20, "databaseName": "app"});
    let class = "/instanceClass must be a DB instance class such as db.t4g.micro";
    let database_name = "/databaseName must be 1 to 63 characters: a lowercase letter, then lowercase letters, digits, and \
                         underscores, such as app";
    let unknown = |field: &str| {
        format!("{field} isn't a known field. The known fields are {}", fields_of_a_created_database())
    };
    let unknown = (unknown("/size"), unknown("/a~1b~0c"));
    let cases = [
        ("source", json!("elsewhere"), "/source must be created or attached"),
        ("source", json!(7), "/source must be a string"),
        ("source", json!(null), "/source is required"),
        ("instanceClass", json!("micro"), class),
        ("instanceClass", json!("db.t4g.micro; rm -rf /"), class),
        ("instanceClass", json!(["db.t4g.micro"]), "/instanceClass must be a string"),
        ("storageGiB", json!(19), "/storageGiB must be 20 to 65536 GiB, not 19"),
        ("storageGiB", json!(65_537), "/storageGiB must be 20 to 65536 GiB, not 65537"),
        ("storageGiB", json!(-1), "/storageGiB must be 20 to 65536 GiB, not -1"),
        ("storageGiB", json!(20.5), "/storageGiB must be a whole number"),
        ("storageGiB", json!("20"), "/storageGiB must be a whole number"),
        ("storageGiB", json!(1e300), "/storageGiB must be a whole number"),
        ("databaseName", json!("App"), database_name),
        ("databaseName", json!("a'; drop table users"), database_name),
        ("databaseName", json!("数据"), database_name),
        (
            "databaseName",
            json!("select"),
            "/databaseName can't be a word that PostgreSQL or RDS reserves, such as select",
        ),
        ("size", json!(1), &unknown.0),
        ("a/b~c", json!(1), &unknown.1),
    ];
    for (field, value, expected) in cases {
        let mut body = valid.clone();
        body[field] = value;
        check_put("put-database.json", &body, &[expected]).await;
    }
    check_put("put-database.json", &json!({}), &["/source is required"]).await;
    let all = [
        "422 Several fields aren't valid.",
        "/instanceClass is required",
        "/storageGiB is required",
        "/databaseName is required",
    ];
    check_put("put-database.json", &json!({"source": "created"}), &all).await;
}

#[tokio::test]
async fn a_registration_that_is_not_valid_is_refused_with_the_field_and_what_is_allowed() {
    let service = json!({"cluster": "demo", "name": "web", "container": "web"});
    let text = "must be 1 to 255 letters, digits, underscores, and hyphens";
    let with = |field: &str, value: Value| {
        let mut service = service.clone();
        service[field] = value;
        json!({"services": [service]})
    };
    let known = "The known fields are cluster, container, name";
    let cases: [(Value, Vec<String>); 11] = [
        (json!({"services": "web"}), vec!["/services must be a list of objects".to_owned()]),
        (json!({"services": ["web"]}), vec!["/services must be a list of objects".to_owned()]),
        (json!({"services": []}), vec!["/services must have 1 to 20 services, not 0".to_owned()]),
        (
            json!({"services": vec![service.clone(); 2]}),
            vec![
                "/services/1/name lists the service web in the cluster demo a second time. List it once"
                    .to_owned(),
            ],
        ),
        (with("container", json!("a\u{7}")), vec![format!("/services/0/container {text}")]),
        (with("name", json!("demo/web")), vec![format!("/services/0/name {text}")]),
        (with("port", json!(1)), vec![format!("/services/0/port isn't a known field. {known}")]),
        (
            json!({"services": [service], "jobs": [{"family": "migrate", "container": "a,b", "securityGroupId": "vpc-1"}]}),
            vec![
                "422 Several fields aren't valid.".to_owned(),
                format!("/jobs/0/container {text}"),
                "/jobs/0/securityGroupId must be the ID of a security group, such as sg-0123456789abcdef0"
                    .to_owned(),
            ],
        ),
        (
            json!({"services": [service], "restoreVariables": "no"}),
            vec!["/restoreVariables must be true or false".to_owned()],
        ),
        (
            json!({"vpcId": "vpc-1", "services": [service]}),
            vec![
                "/vpcId isn't a known field. The known fields are connectionProof, jobs, restoreVariables, services"
                    .to_owned(),
            ],
        ),
        (json!({}), vec!["/services is required".to_owned()]),
    ];
    for (body, expected) in cases {
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        check_put("put-stage.json", &body, &expected).await;
    }
}

#[tokio::test]
async fn a_removal_without_its_confirmation_is_refused() {
    let text = "is 1 to 255 characters, none of them a control character";
    for (body, expected) in [
        (json!({}), "/confirm is required".to_owned()),
        (json!({"confirm": true}), "/confirm must be a string".to_owned()),
        (json!({"confirm": ""}), format!("/confirm {}", text.replace("is 1", "must be 1"))),
        (
            json!({"confirm": "x", "force": true}),
            "/force isn't a known field. The known fields are confirm".to_owned(),
        ),
    ] {
        check_put("delete-database.json", &body, &[&expected]).await;
    }
}

#[tokio::test]
async fn an_event_that_is_no_request_is_an_error_without_its_text() {
    let event = json!({"requestContext": {"http": "hunter2"}});
    let time_left = Duration::from_secs(30);
    let invocation =
        Invocation { event, request_id: "request-1".to_owned(), now: OffsetDateTime::UNIX_EPOCH, time_left };
    let error = handle(api(), invocation).await.unwrap_err();
    assert_eq!(error.to_string(), "the event isn't an HTTP API request");
}
