//! The API resolves every state that CloudFormation doesn't leave on its own.

use local::Timings;
use serde_json::{Value, json};

use crate::world::{
    eventually, follow, instance, micro, query, save, save_and_follow, secret, settings, shown, stack_status,
    stage_path, world,
};

/// RDS no longer shows the DB instance with this identifier.
fn silence(identifier: &str) -> Value {
    json!([{
        "service": "rds", "operation": "DescribeDBInstances", "code": "AccessDenied", "message": "not allowed",
        "times": null, "when": {"DBInstanceIdentifier": identifier},
    }])
}

#[test]
fn a_rollback_that_failed_goes_on_by_a_rebuild() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    query(&secret(&local, "dev"), "create table kept (row text); insert into kept values ('written before')");
    local.set_timings(&Timings { rds_modify_seconds: Some(3.0), ..Timings::default() }).unwrap();
    save(&local, "dev", &settings("db.t4g.small", 20), 202);
    eventually("the class is being changed", || {
        instance(&local, "dev").unwrap()["DBInstanceStatus"] == "modifying"
    });
    local.set_faults(&silence("test-django2-dev-postgres")).unwrap();
    eventually("the rollback fails too", || {
        stack_status(&local).as_deref() == Some("UPDATE_ROLLBACK_FAILED")
    });

    let rebuild = local.api("GET", &stage_path("dev", "/rebuild"), None).unwrap().body;
    assert_eq!(rebuild["phase"], "failed");
    assert_eq!(rebuild["reason"], "RDS refused: not allowed");
    assert_eq!(
        rebuild["nextStep"],
        "Fix the cause, then rebuild to continue the rollback. If the rollback fails a second time, rebuild again, and it \
         skips the resources that it can't restore."
    );
    local.clear_faults().unwrap();
    let saved = local.api("PUT", &stage_path("dev", "/database"), Some(&micro())).unwrap();
    assert_eq!(saved.status, 409);
    assert!(saved.text.contains("Continue the rollback with POST"), "{}", saved.text);

    let key = [("Idempotency-Key", "go-on-with-the-rollback")];
    for _ in 0..2 {
        let answer = local.api_with("POST", &stage_path("dev", "/rebuild"), &key, None).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text);
    }
    eventually("the rollback is complete", || {
        stack_status(&local).as_deref() == Some("UPDATE_ROLLBACK_COMPLETE")
    });
    assert_eq!(follow(&local, "dev").0.phase, "rolled-back");
    eventually("it is available", || shown(&local, "dev")["state"] == "available");
    local.set_timings(&Timings { rds_modify_seconds: Some(0.5), ..Timings::default() }).unwrap();
    save_and_follow(&local, "dev", &settings("db.t4g.medium", 20));
    assert_eq!(query(&secret(&local, "dev"), "select row from kept"), "written before");
}

#[test]
fn a_rollback_that_can_never_succeed_leaves_out_what_is_in_its_way() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    local.set_timings(&Timings { rds_modify_seconds: Some(3.0), ..Timings::default() }).unwrap();
    save(&local, "dev", &settings("db.t4g.small", 20), 202);
    eventually("the class is being changed", || {
        instance(&local, "dev").unwrap()["DBInstanceStatus"] == "modifying"
    });
    local.set_faults(&silence("test-django2-dev-postgres")).unwrap();
    let failed = || stack_status(&local).as_deref() == Some("UPDATE_ROLLBACK_FAILED");
    eventually("the rollback fails too", failed);
    let go_on = || local.api("POST", &stage_path("dev", "/rebuild"), None).unwrap();
    assert_eq!(go_on().status, 202);
    eventually("it fails again", failed);
    assert_eq!(go_on().status, 202);
    eventually("it is skipped", || stack_status(&local).as_deref() == Some("UPDATE_ROLLBACK_COMPLETE"));

    local.clear_faults().unwrap();
    local.set_timings(&Timings { rds_modify_seconds: Some(0.5), ..Timings::default() }).unwrap();
    eventually("it is available", || shown(&local, "dev")["state"] == "available");
    save_and_follow(&local, "dev", &settings("db.t4g.medium", 20));
    assert_eq!(instance(&local, "dev").unwrap()["DBInstanceClass"], "db.t4g.medium");
}

#[test]
fn a_failed_deletion_can_be_retried() {
    let local = world();
    local.set_faults(&silence("test-django2-prod-postgres")).unwrap();
    let delete = || local.api("DELETE", &stage_path("prod", ""), None).unwrap();
    assert_eq!(delete().status, 202);
    let rebuild = || local.api("GET", &stage_path("prod", "/rebuild"), None).unwrap();
    eventually("the deletion fails", || rebuild().body["phase"] == "failed");
    assert_eq!(rebuild().body["nextStep"], "Fix the cause, then delete the stage again.");
    let saved = local.api("PUT", &stage_path("prod", "/database"), Some(&micro())).unwrap();
    assert!(saved.text.contains("Delete it again with DELETE"), "{}", saved.text);
    local.clear_faults().unwrap();

    assert_eq!(delete().status, 202);
    eventually("the stage is deleted", || rebuild().status == 404);
}
