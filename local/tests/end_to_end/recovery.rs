//! What goes wrong between requests, and how to recover.

use local::Timings;
use serde_json::{Value, json};

use crate::world::{STACK, eventually, follow, instance, micro, save, save_and_follow, secret, world};

#[test]
fn a_request_that_cloudformation_does_not_wait_for_changes_nothing_and_the_running_one_goes_on() {
    let local = world();
    local.set_timings(&Timings { rds_create_seconds: Some(5.0), ..Timings::default() }).unwrap();
    save(&local, "dev", &micro(), 202);
    eventually("the database is being made", || instance(&local, "dev").is_some());

    // Lambda may deliver an earlier request late, while CloudFormation waits for another one.
    let stack =
        local.aws(&["cloudformation", "describe-stacks", "--stack-name", "test-django2-dev"]).unwrap();
    let late = json!({
        "RequestType": "Update", "RequestId": "a-late-request", "StackId": stack["Stacks"][0]["StackId"],
        "ResponseURL": local.address_for_answers().unwrap(), "LogicalResourceId": "Database",
        "ResourceType": "Custom::PostgresDatabase", "PhysicalResourceId": "PostgresDatabase/test-django2-dev-postgres",
        "ResourceProperties": {
            "Stack": STACK, "Stage": "dev", "Source": "none", "Generation": "none", "SecretArn": "arn:secret",
        },
    });
    crate::created::invoke(&local, "stagedb-database-resource", &late);

    assert_eq!(follow(&local, "dev").0.phase, "complete");
    assert!(instance(&local, "dev").is_some(), "it isn't removed");
    eventually("both executions have ended", || {
        let machines = local.aws(&["stepfunctions", "list-state-machines"]).unwrap();
        let arn = machines["stateMachines"][0]["stateMachineArn"].as_str().unwrap();
        let executions =
            local.aws(&["stepfunctions", "list-executions", "--state-machine-arn", arn]).unwrap();
        let executions = executions["executions"].as_array().unwrap();
        let is_late = |e: &Value| e["name"].as_str().unwrap().ends_with("a-late-request");
        executions.iter().any(is_late) && executions.iter().all(|e| e["status"] == "SUCCEEDED")
    });
    assert!(instance(&local, "dev").is_some(), "it isn't removed later, either");
}

#[test]
fn a_failed_registration_can_be_retried() {
    let local = world();
    let ecs = "AmazonEC2ContainerServiceV20141113";
    let mut service = json!({
        "cluster": "demo", "serviceName": "shop-dev", "desiredCount": 1,
        "taskDefinition": crate::world::service(&local, "dev")["taskDefinition"],
        "networkConfiguration": crate::world::service(&local, "dev")["networkConfiguration"],
    });
    service["launchType"] = json!("FARGATE");
    local.post_json(&format!("{ecs}.CreateService"), &service).unwrap();
    let register = || {
        let body = json!({"services": [{"cluster": "demo", "name": "shop-dev", "container": "web"}]});
        local.api("PUT", "/api/stacks/shop/stages/dev", Some(&body)).unwrap()
    };
    let phase = || local.api("GET", "/api/stacks/shop/stages/dev/rebuild", None).unwrap().body;

    let denied = json!([{
        "service": "rds", "operation": "DescribeDBInstances", "code": "AccessDenied", "message": "not allowed",
        "times": null, "when": {"DBInstanceIdentifier": "shop-dev-postgres"},
    }]);
    local.set_faults(&denied).unwrap();
    assert_eq!(register().status, 202);
    eventually("the registration fails", || phase()["phase"] == "failed");
    assert_eq!(phase()["reason"], "RDS refused: not allowed");
    local.clear_faults().unwrap();

    let saved = local.api("PUT", "/api/stacks/shop/stages/dev/database", Some(&micro())).unwrap();
    assert_eq!(saved.status, 409);
    assert!(saved.text.contains("Register it again"), "{}", saved.text);
    let first = register();
    assert_eq!(first.status, 409, "{}", first.text);
    assert!(first.text.contains("is being deleted"), "{}", first.text);
    eventually("the stage is registered", || register().status == 202 || phase()["phase"] == "complete");
    eventually("the registration is complete", || phase()["phase"] == "complete");
}

#[test]
fn the_labels_of_old_generations_make_room_for_new_ones() {
    let local = world();
    let id = format!("dev-{STACK}-postgres");
    let label = |number: u32| format!("generation-20200101-0000{number:02}");
    for number in 0..14 {
        let body = json!({
            "SecretId": id, "SecretString": json!({"username": "postgres", "password": "old"}).to_string(),
            "ClientRequestToken": format!("an-old-version-of-the-secret-{number:08}"),
            "VersionStages": [label(number)],
        });
        local.post_json("secretsmanager.PutSecretValue", &body).unwrap();
    }
    save_and_follow(&local, "dev", &micro());
    let described = local.post_json("secretsmanager.DescribeSecret", &json!({"SecretId": id})).unwrap();
    let versions = described["VersionIdsToStages"].as_object().unwrap();
    let labels: Vec<&str> =
        versions.values().flat_map(|labels| labels.as_array().unwrap()).filter_map(Value::as_str).collect();
    let generations = labels.iter().filter(|label| label.starts_with("generation-")).count();
    assert_eq!(generations, 11, "ten old ones and the new one: {labels:?}");
    assert!(!labels.contains(&label(3).as_str()), "the oldest are gone: {labels:?}");
    assert!(labels.contains(&label(4).as_str()), "the newest are kept: {labels:?}");
    assert_ne!(secret(&local, "dev")["password"], "old");
}

#[test]
fn an_invalid_secret_fails_a_rebuild_with_a_reason_and_is_not_overwritten() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let id = format!("dev-{STACK}-postgres");
    let described = local.post_json("secretsmanager.DescribeSecret", &json!({"SecretId": id})).unwrap();
    let versions = described["VersionIdsToStages"].as_object().unwrap();
    let labels = versions.values().flat_map(|labels| labels.as_array().unwrap()).filter_map(Value::as_str);
    let label = labels.filter(|label| label.starts_with("generation-")).max().unwrap().to_owned();
    let body = json!({
        "SecretId": id, "SecretString": "spoilt", "ClientRequestToken": "a-version-of-somebody-else-000000",
        "VersionStages": ["AWSCURRENT", label],
    });
    local.post_json("secretsmanager.PutSecretValue", &body).unwrap();

    let again = local.api("POST", &crate::world::stage_path("dev", "/rebuild"), None).unwrap();
    assert_eq!(again.status, 202, "{}", again.text);
    let (rebuild, _) = follow(&local, "dev");
    let reason = rebuild.reason.unwrap();
    assert!(reason.contains("isn't the JSON that stagedb wrote"), "{reason}");
    let current = local.post_json("secretsmanager.GetSecretValue", &json!({"SecretId": id})).unwrap();
    assert_eq!(current["SecretString"], "spoilt");
}
