//! A stage stack that an earlier version of the template made.

use serde_json::{Value, json};

use crate::world::{
    eventually, follow, instance, micro, query, save, save_and_follow, secret, stack_status, world,
};

/// The template of the first version.
const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/fixtures/first-stage.yaml");

#[test]
fn a_stage_stack_of_the_first_version_is_changed_and_nothing_is_replaced() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    query(&secret(&local, "dev"), "create table kept (row text); insert into kept values ('written before')");
    let stack = || {
        let all =
            local.aws(&["cloudformation", "describe-stacks", "--stack-name", "test-django2-dev"]).unwrap();
        all["Stacks"][0].clone()
    };

    // As the first version left it: its template, with the parameters that it had.
    let body = format!("file://{TEMPLATE}");
    let mut call: Vec<String> = [
        "cloudformation",
        "update-stack",
        "--stack-name",
        "test-django2-dev",
        "--template-body",
        &body,
        "--parameters",
    ]
    .map(str::to_owned)
    .into();
    let has = std::fs::read_to_string(TEMPLATE).unwrap();
    for parameter in stack()["Parameters"].as_array().unwrap() {
        let key = parameter["ParameterKey"].as_str().unwrap();
        if has.contains(&format!("\n  {key}:\n")) {
            call.push(format!("ParameterKey={key},UsePreviousValue=true"));
        }
    }
    local.aws(&call.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    eventually("the stack has the first version's template", || {
        let template =
            local.aws(&["cloudformation", "get-template", "--stack-name", "test-django2-dev"]).unwrap();
        template["TemplateBody"].to_string().contains("Made and updated by stagedb")
            && stack_status(&local).as_deref() == Some("UPDATE_COMPLETE")
    });

    let before = (instance(&local, "dev").unwrap(), stack());
    let mut changes = micro();
    changes["instanceClass"] = json!("db.t4g.small");
    changes["backupRetentionDays"] = json!(14);
    save(&local, "dev", &changes, 202);
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "complete", "{rebuild:?}");

    let after = instance(&local, "dev").unwrap();
    assert_eq!(
        (&after["DBInstanceClass"], &after["BackupRetentionPeriod"]),
        (&json!("db.t4g.small"), &json!(14))
    );
    for same in ["DBInstanceIdentifier", "DbiResourceId", "InstanceCreateTime", "Endpoint"] {
        assert_eq!(after[same], before.0[same], "{same}");
    }
    let outputs = |stack: &Value, name: &str| {
        let all = stack["Outputs"].as_array().unwrap();
        all.iter().find(|output| output["OutputKey"] == name).map(|output| output["OutputValue"].clone())
    };
    let secret_arn = outputs(&before.1, "SecretArn");
    assert!(secret_arn.is_some(), "{}", before.1);
    assert_eq!(outputs(&stack(), "SecretArn"), secret_arn);
    assert_eq!(query(&secret(&local, "dev"), "select row from kept"), "written before");
}
