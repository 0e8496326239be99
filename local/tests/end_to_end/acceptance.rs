//! The acceptance run doesn't start where it can't end well. `.ci/run` runs all of it in the local AWS.

use local::can_start;
use serde_json::json;

use crate::world::world;

#[test]
fn an_acceptance_run_does_not_start_beside_what_an_earlier_one_has_left() {
    let local = world();
    let template = json!({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}).to_string();
    let create = [
        "cloudformation",
        "create-stack",
        "--stack-name",
        "stagedb-acceptance",
        "--template-body",
        &template,
    ];
    local.aws(&create).unwrap();
    let error = format!("{:#}", can_start(local).unwrap_err());
    assert!(
        error
            .contains("nothing was created, because an acceptance run has left the stack stagedb-acceptance"),
        "{error}"
    );
}

#[test]
fn an_acceptance_run_without_permissions_says_so_and_changes_nothing() {
    let local = world();
    let denied = json!([{
        "service": "rds", "operation": "DescribeDBInstances", "code": "AccessDenied", "message": "User is not authorized",
    }]);
    local.set_faults(&denied).unwrap();
    let error = format!("{:#}", can_start(local).unwrap_err());
    assert!(error.contains("the credentials may not do this, so nothing was created"), "{error}");
    assert!(error.contains("aws rds describe-db-instances") && error.contains("not authorized"), "{error}");
}

#[test]
fn an_acceptance_run_can_start_in_an_account_without_its_leftovers() {
    can_start(world()).unwrap();
}
