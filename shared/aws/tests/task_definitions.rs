//! The new revision of a task definition, as it arrives at ECS. A real HTTP server stands in for ECS.
//!
//! `task-definition.json` has a value for every member of a task definition in the ECS API model. A test in
//! `local/aws/tests/test_ecs.py` compares the two.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use aws::{SdkConfig, TaskDefinitions};
use database::SecretReference;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const DESCRIBED: &str = include_str!("task-definition.json");

/// Answers `DescribeTaskDefinition` with the fixture, and keeps the requests to `RegisterTaskDefinition`.
async fn ecs() -> (SdkConfig, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let registered = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&registered);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (head, body) = read(&mut stream).await;
            let reply = if head.contains("RegisterTaskDefinition") {
                kept.lock().unwrap().push(serde_json::from_str(&body).unwrap());
                r#"{"taskDefinition":{"taskDefinitionArn":"arn:next"}}"#.to_owned()
            } else {
                DESCRIBED.to_owned()
            };
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.1\r\n";
            let reply = format!("{head}Content-Length: {}\r\n\r\n{reply}", reply.len());
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    let config = aws::load().into_builder().endpoint_url(endpoint);
    let config = config.region(aws_config::Region::new("us-east-1")).credentials_provider(
        aws_sdk_ecs::config::SharedCredentialsProvider::new(aws_sdk_ecs::config::Credentials::new(
            "key", "secret", None, None, "test",
        )),
    );
    (config.build(), registered)
}

async fn read(stream: &mut tokio::net::TcpStream) -> (String, String) {
    let mut text = String::new();
    loop {
        let mut buffer = [0; 8192];
        let length = stream.read(&mut buffer).await.unwrap();
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let expected =
            head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        if body.len() >= expected.unwrap_or_default().parse().unwrap_or(0) {
            return (head.to_owned(), body.to_owned());
        }
    }
}

#[tokio::test]
async fn a_new_revision_keeps_every_field_and_changes_one_containers_secrets() {
    let (config, registered) = ecs().await;
    let definitions = TaskDefinitions::new(&config);
    let secrets = [
        SecretReference { name: "API_KEY".to_owned(), value_from: "arn:of-before".to_owned() },
        SecretReference { name: "PG_HOST".to_owned(), value_from: "arn:secret:host::".to_owned() },
    ];
    let definition = definitions.get("arn:current").await.unwrap();
    assert_eq!(definitions.register(definition, "web", &secrets).await.unwrap().arn(), "arn:next");

    let described: Value = serde_json::from_str(DESCRIBED).unwrap();
    let mut expected = described["taskDefinition"].clone();
    // What ECS itself sets for a revision, and doesn't accept in a request.
    for of_ecs in [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "deregisteredAt",
        "deleteRequestedAt",
        "registeredBy",
    ] {
        assert!(expected.as_object_mut().unwrap().remove(of_ecs).is_some(), "{of_ecs} is in the fixture");
    }
    expected["containerDefinitions"][0]["secrets"] = json!([
        {"name": "API_KEY", "valueFrom": "arn:of-before"},
        {"name": "PG_HOST", "valueFrom": "arn:secret:host::"},
    ]);
    expected["tags"] = described["tags"].clone();
    let registered = registered.lock().unwrap();
    assert_eq!(registered.len(), 1);
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&registered[0][field], value, "{field}");
    }
    assert_eq!(registered[0], expected);
}
