//! A removed database is deleted with a final snapshot, and a rollback restores it.

use local::LocalAws;
use serde_json::{Value, json};

use crate::world::{
    PASSWORD, STACK, eventually, follow, instance, micro, query, save_and_follow, secret, stack_status,
    stage_path, world,
};

#[test]
fn a_removed_database_leaves_a_final_snapshot_and_its_containers_lose_the_variables() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let before = secret(&local, "dev");
    query(&before, "create table kept (row text); insert into kept values ('written before')");

    let remove = |confirm: &str| {
        local.api("DELETE", &stage_path("dev", "/database"), Some(&json!({"confirm": confirm}))).unwrap()
    };
    let refused = remove("test-django2-prod-postgres");
    assert_eq!(refused.status, 422);
    let words = "/confirm must be test-django2-dev-postgres, the identifier of the database to remove.";
    assert_eq!(refused.body["detail"], words);
    let stage = local.api("DELETE", &stage_path("dev", ""), None).unwrap();
    assert_eq!(stage.status, 409, "a stage with a database can't be deleted: {}", stage.text);

    assert_eq!(remove("test-django2-dev-postgres").status, 202);
    assert_eq!(follow(&local, "dev").0.phase, "complete");
    assert_eq!(remove("test-django2-dev-postgres").body["detail"], "The stage has no database.");
    eventually("the variables are gone", || {
        !local.container_environment(STACK, "dev").unwrap().keys().any(|name| name.starts_with("PG_"))
    });
    eventually("the instance is gone", || instance(&local, "dev").is_none());
    let snapshots = snapshots(&local);
    let [snapshot] = snapshots.as_slice() else { panic!("not one snapshot: {snapshots:?}") };
    assert_eq!(snapshot["Status"], "available");
    assert!(snapshot["DBSnapshotIdentifier"].as_str().unwrap().starts_with("test-django2-dev-postgres-"));
    assert_eq!(secret(&local, "dev"), before, "the secret keeps its last value");

    // The same generation is desired again, as in a rollback after a removal, so its data is restored.
    update_stage_stack(&local, &[("Source", "created")]);
    let after = secret(&local, "dev");
    assert_eq!(after[PASSWORD], before[PASSWORD]);
    assert_eq!(query(&after, "select row from kept"), "written before");
    assert_eq!(instance(&local, "dev").unwrap()["DeletionProtection"], true);
}

#[test]
fn a_new_database_after_a_removal_is_empty_and_has_a_new_password() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let before = secret(&local, "dev");
    query(&before, "create table old (row text)");
    let confirm = json!({"confirm": "test-django2-dev-postgres"});
    assert_eq!(local.api("DELETE", &stage_path("dev", "/database"), Some(&confirm)).unwrap().status, 202);
    assert_eq!(follow(&local, "dev").0.phase, "complete");

    // RDS may still be deleting the old instance. The new one waits for that.
    save_and_follow(&local, "dev", &micro());
    let after = secret(&local, "dev");
    assert_ne!(after[PASSWORD], before[PASSWORD]);
    assert_eq!(query(&after, "select count(*) from pg_tables where tablename = 'old'"), "0");
    assert_eq!(snapshots(&local).len(), 1, "the old data is in its final snapshot");
}

#[test]
fn a_stage_without_a_database_can_be_deleted_and_registered_again() {
    let local = world();
    let gone = || local.api("GET", &stage_path("prod", "/rebuild"), None).unwrap().status == 404;
    assert_eq!(local.api("DELETE", &stage_path("prod", ""), None).unwrap().status, 202);
    eventually("the stage is deleted", gone);
    let stacks = local.api("GET", "/api/stacks", None).unwrap();
    let stages = stacks.body["stacks"][0]["stages"].as_array().unwrap();
    assert_eq!(stages.iter().map(|stage| &stage["name"]).collect::<Vec<_>>(), ["dev"]);

    let body = json!({"services": [{"cluster": "demo", "name": "test-django2-prod", "container": "web"}]});
    assert_eq!(local.api("PUT", &stage_path("prod", ""), Some(&body)).unwrap().status, 202);
    assert_eq!(follow(&local, "prod").0.phase, "complete");
    save_and_follow(&local, "prod", &micro());
}

#[test]
fn deleting_the_whole_stage_stack_waits_for_the_final_snapshot_and_removes_the_variables() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let stack = ["--stack-name", "test-django2-dev"];
    let refused = local.aws(&[&["cloudformation", "delete-stack"][..], &stack].concat());
    assert!(refused.is_err(), "it is protected from deletion");

    let unprotect = ["cloudformation", "update-termination-protection", "--no-enable-termination-protection"];
    local.aws(&[&unprotect[..], &stack].concat()).unwrap();
    local.aws(&[&["cloudformation", "delete-stack"][..], &stack].concat()).unwrap();
    eventually("the stage stack is deleted", || stack_status(&local).is_none());
    assert_eq!(instance(&local, "dev"), None);
    assert_eq!(snapshots(&local).len(), 1);
    eventually("the variables are gone", || {
        let secrets = crate::world::container(&local, "dev")["secrets"].clone();
        secrets.as_array().is_none_or(Vec::is_empty)
    });
}

fn snapshots(local: &LocalAws) -> Vec<Value> {
    let found = local.aws(&["rds", "describe-db-snapshots"]).unwrap();
    found["DBSnapshots"].as_array().unwrap().clone()
}

/// Updates the stage stack without the API, as CloudFormation would in a rollback.
pub(crate) fn update_stage_stack(local: &LocalAws, changes: &[(&str, &str)]) {
    let name = "test-django2-dev";
    let described = local.aws(&["cloudformation", "describe-stacks", "--stack-name", name]).unwrap();
    let parameters: Vec<Value> = described["Stacks"][0]["Parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| {
            let key = parameter["ParameterKey"].as_str().unwrap();
            match changes.iter().find(|(changed, _)| *changed == key) {
                Some((_, value)) => json!({"ParameterKey": key, "ParameterValue": value}),
                None => json!({"ParameterKey": key, "UsePreviousValue": true}),
            }
        })
        .collect();
    let parameters = json!(parameters).to_string();
    let update =
        ["cloudformation", "update-stack", "--stack-name", name, "--use-previous-template", "--parameters"];
    local.aws(&[&update[..], &[&parameters]].concat()).unwrap();
    eventually("the update is complete", || stack_status(local).as_deref() == Some("UPDATE_COMPLETE"));
}
