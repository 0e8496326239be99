//! A failed creation is rolled back with a reason and without leftovers, and can be tried again.

use serde_json::json;

use crate::world::{
    STACK, container, eventually, follow, instance, micro, query, save, save_and_follow, secret, settings,
    stack_status, world,
};

#[test]
fn a_creation_that_rds_refuses_is_rolled_back_with_a_reason_and_can_be_retried() {
    let local = world();
    let before = container(&local, "dev");
    let refused = "Cannot create a db.t4g.medium instance because there is insufficient capacity";
    local
        .set_faults(&json!([{
            "service": "rds", "operation": "CreateDBInstance", "code": "InsufficientDBInstanceCapacity",
            "message": refused, "times": 1,
        }]))
        .unwrap();
    save(&local, "dev", &settings("db.t4g.medium", 20), 202);
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "rolled-back");
    assert_eq!(rebuild.reason, Some(format!("RDS refused: {refused} (InsufficientDBInstanceCapacity)")));
    assert_eq!(stack_status(&local).as_deref(), Some("UPDATE_ROLLBACK_COMPLETE"));
    assert_eq!(instance(&local, "dev"), None, "no unfinished database");
    assert_eq!(container(&local, "dev"), before, "the containers are as they were");

    save_and_follow(&local, "dev", &micro());
    assert_eq!(query(&secret(&local, "dev"), "select 1"), "1");
}

#[test]
fn an_identifier_that_stagedb_does_not_manage_is_refused_before_and_during_a_rebuild_and_left_alone() {
    let local = world();
    let identifier = format!("{STACK}-dev-postgres");
    local
        .aws(&[
            "rds",
            "create-db-instance",
            "--db-instance-identifier",
            &identifier,
            "--engine",
            "postgres",
            "--db-instance-class",
            "db.t4g.micro",
            "--allocated-storage",
            "20",
            "--master-username",
            "theirs",
            "--master-user-password",
            "their-password",
            "--tags",
            "Key=team,Value=other",
        ])
        .unwrap();
    eventually("their instance is available", || {
        instance(&local, "dev").is_some_and(|instance| instance["DBInstanceStatus"] == "available")
    });
    let theirs = instance(&local, "dev").unwrap();

    let problem = save(&local, "dev", &micro(), 409);
    assert!(problem["detail"].as_str().unwrap().contains("this stage didn't create it"), "{problem}");

    // As if it were created between the check and the creation.
    local
        .set_faults(&json!([{
            "service": "rds", "operation": "DescribeDBInstances", "code": "DBInstanceNotFound",
            "message": "not found", "times": 1,
        }]))
        .unwrap();
    save(&local, "dev", &micro(), 202);
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "rolled-back");
    let reason = rebuild.reason.unwrap();
    assert!(reason.contains("already exists, and this stage didn't create it"), "{reason}");
    assert_eq!(instance(&local, "dev").unwrap(), theirs, "it saw no write");

    local
        .aws(&["rds", "delete-db-instance", "--db-instance-identifier", &identifier, "--skip-final-snapshot"])
        .unwrap();
    eventually("their instance is gone", || instance(&local, "dev").is_none());
    save_and_follow(&local, "dev", &micro());
}

#[test]
fn a_creation_that_fails_after_the_database_was_made_leaves_a_final_snapshot_and_no_instance() {
    let local = world();
    save(&local, "dev", &micro(), 202);
    // The credentials are written before the database is created. The write after it fails.
    eventually("the database is being made", || instance(&local, "dev").is_some());
    local
        .set_faults(&json!([{
            "service": "secretsmanager", "operation": "PutSecretValue", "code": "AccessDeniedException",
            "message": "User is not authorized to perform this", "times": null,
        }]))
        .unwrap();
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "rolled-back");
    let reason =
        "The connection couldn't be tested: User is not authorized to perform this (AccessDeniedException)";
    assert_eq!(rebuild.reason.as_deref(), Some(reason));
    let failed: Vec<_> =
        rebuild.steps.iter().filter(|s| s.status == "failed").map(|s| s.name.as_str()).collect();
    assert_eq!(failed, ["proof"]);
    eventually("the instance is gone", || instance(&local, "dev").is_none());
    let snapshots = local.aws(&["rds", "describe-db-snapshots"]).unwrap();
    assert_eq!(
        snapshots["DBSnapshots"].as_array().unwrap().len(),
        1,
        "it was available, so it may have data"
    );

    local.clear_faults().unwrap();
    save_and_follow(&local, "dev", &micro());
    assert_eq!(query(&secret(&local, "dev"), "select 1"), "1");
}
