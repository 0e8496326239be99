//! A container variable that stagedb didn't add.

use serde_json::json;

use crate::world::{container, follow, micro, save, save_and_follow, service, stage_path, world};

#[test]
fn a_variable_that_stagedb_did_not_put_there_is_reported_and_never_overwritten() {
    let local = world();
    let ecs = |operation: &str, body| {
        local.post_json(&format!("AmazonEC2ContainerServiceV20141113.{operation}"), &body).unwrap()
    };
    let definition = service(&local, "dev")["taskDefinition"].clone();
    let mut definition =
        ecs("DescribeTaskDefinition", json!({"taskDefinition": definition}))["taskDefinition"].clone();
    let fields = ["family", "containerDefinitions", "executionRoleArn", "networkMode", "cpu", "memory"];
    definition.as_object_mut().unwrap().retain(|name, _| fields.contains(&name.as_str()));
    let own = definition.clone();
    let (own_again, without) = (own.clone(), own.clone());
    definition["containerDefinitions"][0]["environment"] =
        json!([{"name": "PG_HOST", "value": "their-host"}]);
    let deploy = |definition| {
        let registered =
            ecs("RegisterTaskDefinition", definition)["taskDefinition"]["taskDefinitionArn"].clone();
        let update = json!({"cluster": "demo", "service": "test-django2-dev", "taskDefinition": registered});
        ecs("UpdateService", update);
    };
    deploy(definition);

    let problem = save(&local, "dev", &micro(), 409);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("The container already has PG_HOST"), "{detail}");
    let shown = local.api("GET", &stage_path("dev", "/runtime-variables"), None).unwrap();
    assert_eq!(shown.body["conflicts"], json!([{"name": "PG_HOST"}]));
    assert_eq!(container(&local, "dev")["environment"], json!([{"name": "PG_HOST", "value": "their-host"}]));

    // Added after the check: the database is created, the containers stay as they are, and the stage says why.
    deploy(own.clone());
    save(&local, "dev", &micro(), 202);
    let mut theirs = own;
    theirs["containerDefinitions"][0]["environment"] = json!([{"name": "PG_PORT", "value": "1"}]);
    deploy(theirs);
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "failed");
    assert!(rebuild.reason.unwrap().contains("already has PG_PORT"));
    assert_eq!(container(&local, "dev")["environment"], json!([{"name": "PG_PORT", "value": "1"}]));

    // Removed again: the same save gives the containers their variables, and nothing else changes.
    deploy(own_again);
    save_and_follow(&local, "dev", &micro());
    assert_eq!(
        local.api("GET", &stage_path("dev", "/runtime-variables"), None).unwrap().body["conflicts"],
        json!([])
    );

    // Deployed without them, as by a pipeline that doesn't know about stagedb, or by an ECS rollback.
    deploy(without);
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "failed");
    assert!(rebuild.reason.unwrap().contains("a task definition without the runtime variables"));
    let again = local.api("POST", &stage_path("dev", "/rebuild"), None).unwrap();
    assert_eq!(again.status, 202, "{}", again.text);
    assert_eq!(follow(&local, "dev").0.phase, "complete");
    assert!(local.container_environment(crate::world::STACK, "dev").unwrap().contains_key("PG_HOST"));
}
