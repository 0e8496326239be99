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
    let own_again = own.clone();
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
    let expected = "The container web of the service test-django2-dev already has PG_HOST";
    assert!(detail.starts_with(expected), "{detail}");
    let conflicts = || {
        let shown = local.api("GET", &stage_path("dev", "/runtime-variables"), None).unwrap();
        shown.body["services"][0]["conflicts"].clone()
    };
    assert_eq!(conflicts(), json!([{"name": "PG_HOST"}]));
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
    assert_eq!(conflicts(), json!([]));
    assert!(local.container_environment(crate::world::STACK, "dev").unwrap().contains_key("PG_HOST"));
}
