//! Stage stacks that earlier versions of the template made.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use local::LocalAws;
use serde_json::{Value, json};

use crate::world::{
    STACK, THEIR_PASSWORD, described, eventually, follow, instance, query, rules, save, secret, service,
    stage_path, their_instance, their_network, variables_of_service, world,
};

/// The template of the first version.
const FIRST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/fixtures/first-stage.yaml");
/// The template of the last version in which a stage had exactly one service.
const ONE_SERVICE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/fixtures/one-service-stage.yaml");

const NAME: &str = "test-django2-prod";
const GENERATION: &str = "20261122-115501-1a2b3c4d";

fn stack(local: &LocalAws) -> Value {
    local.aws(&["cloudformation", "describe-stacks", "--stack-name", NAME]).unwrap()["Stacks"][0].clone()
}

fn pairs(stack: &Value, list: &str, key: &str, value: &str) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pairs = stack[list].as_array().unwrap().iter();
    pairs.map(|pair| (text(&pair[key]), text(&pair[value]))).collect()
}

fn outputs(local: &LocalAws) -> BTreeMap<String, String> {
    pairs(&stack(local), "Outputs", "OutputKey", "OutputValue")
}

/// Makes the stack of the stage `prod` from an earlier template, as that version would have, with these settings.
fn make(local: &LocalAws, template: &str, settings: &[(&str, &str)]) {
    let text = std::fs::read_to_string(template).unwrap();
    let mut parameters = pairs(&stack(local), "Parameters", "ParameterKey", "ParameterValue");
    let role = parameters["ExecutionRoleArns"].clone();
    let group = parameters["ServiceSecurityGroupIds"].clone();
    assert_eq!(local.api("DELETE", &stage_path("prod", ""), None).unwrap().status, 202);
    let gone = || local.api("GET", &stage_path("prod", ""), None).unwrap().status == 404;
    eventually("the stage is deleted", gone);
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    parameters.extend(
        [
            ("Cluster", "demo"),
            ("Service", NAME),
            ("Container", "web"),
            ("ServiceSecurityGroupId", &group),
            ("ExecutionRoleArn", &role),
            ("Generation", GENERATION),
        ]
        .map(owned),
    );
    parameters.extend(settings.iter().copied().map(owned));
    let body = format!("file://{template}");
    let mut call: Vec<String> =
        ["cloudformation", "create-stack", "--stack-name", NAME, "--template-body", &body]
            .map(str::to_owned)
            .into();
    call.extend(
        ["--tags", "Key=stagedb:stack,Value=test-django2", "Key=stagedb:stage,Value=prod"].map(str::to_owned),
    );
    call.push("--parameters".to_owned());
    let known = parameters.iter().filter(|(name, _)| text.contains(&format!("\n  {name}:\n")));
    call.extend(
        known
            .map(|(name, value)| format!("ParameterKey={name},ParameterValue={}", value.replace(',', "\\,"))),
    );
    local.aws(&call.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    eventually("the stack of the earlier version is complete", || {
        stack(local)["StackStatus"] == "CREATE_COMPLETE"
    });
    eventually("the containers have their variables", || variables_of_service(local, NAME).len() == 5);
}

const CREATED: [(&str, &str); 4] =
    [("Source", "created"), ("InstanceClass", "db.t4g.micro"), ("StorageGiB", "20"), ("DatabaseName", "app")];

/// The security groups that can connect to a group's members.
fn sources(local: &LocalAws, group: &str) -> Vec<String> {
    let source =
        |rule: &Value| rule["ReferencedGroupInfo"]["GroupId"].as_str().unwrap_or_default().to_owned();
    rules(local, group).iter().map(source).collect()
}

/// Does something while another thread looks, again and again, whether the service can connect, can read the secret,
/// and has its variables.
fn never_cut_off(local: &LocalAws, group: &str, act: impl FnOnce()) {
    let service = service(local, "prod");
    let source =
        service["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"][0].as_str().unwrap();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut looks = 0;
            while !ended.load(Ordering::Relaxed) {
                assert!(sources(local, group).contains(&source.to_owned()), "the service can't connect");
                let body = json!({"SecretId": "prod-test-django2-postgres"});
                let policy = local.post_json("secretsmanager.GetResourcePolicy", &body).unwrap();
                assert!(policy["ResourcePolicy"].as_str().is_some_and(|policy| policy.contains(":role/")));
                assert_eq!(variables_of_service(local, NAME).len(), 5);
                looks += 1;
                thread::sleep(Duration::from_millis(20));
            }
            looks
        });
        // Also if it panics, because the scope waits for the other thread.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        ended.store(true, Ordering::Relaxed);
        if let Err(panicked) = done {
            std::panic::resume_unwind(panicked);
        }
        assert!(looks.join().unwrap() > 5);
    });
}

fn own_group(local: &LocalAws) -> String {
    let resources = local.aws(&["cloudformation", "describe-stack-resources", "--stack-name", NAME]).unwrap();
    let mut all = resources["StackResources"].as_array().unwrap().iter();
    let group = all.find(|resource| resource["LogicalResourceId"] == "DatabaseSecurityGroup").unwrap();
    group["PhysicalResourceId"].as_str().unwrap().to_owned()
}

#[test]
fn a_stage_stack_of_an_earlier_version_is_changed_and_nothing_is_replaced_or_cut_off() {
    for template in [FIRST, ONE_SERVICE] {
        let local = world();
        make(&local, template, &CREATED);
        query(
            &secret(&local, "prod"),
            "create table kept (row text); insert into kept values ('written before')",
        );
        let before = (instance(&local, "prod").unwrap(), outputs(&local), own_group(&local));
        never_cut_off(&local, &before.2, || {
            let changes = json!({
                "source": "created", "instanceClass": "db.t4g.small", "storageGiB": 20, "databaseName": "app",
                "backupRetentionDays": 14,
            });
            save(&local, "prod", &changes, 202);
            let (rebuild, _) = follow(&local, "prod");
            assert_eq!(rebuild.phase, "complete", "{rebuild:?}");
        });
        let after = instance(&local, "prod").unwrap();
        assert_eq!(
            (&after["DBInstanceClass"], &after["BackupRetentionPeriod"]),
            (&json!("db.t4g.small"), &json!(14))
        );
        for same in ["DBInstanceIdentifier", "DbiResourceId", "InstanceCreateTime", "Endpoint"] {
            assert_eq!(after[same], before.0[same], "{same}");
        }
        assert_eq!(outputs(&local)["SecretArn"], before.1["SecretArn"]);
        assert_eq!(own_group(&local), before.2);
        assert_eq!(query(&secret(&local, "prod"), "select row from kept"), "written before");
        let stage = local.api("GET", &stage_path("prod", ""), None).unwrap().body;
        assert_eq!(stage["services"], json!([{"cluster": "demo", "name": NAME, "container": "web"}]));
    }
}

#[test]
fn the_first_save_of_an_earlier_version_that_fails_is_rolled_back_and_can_be_repeated() {
    let local = world();
    make(&local, ONE_SERVICE, &CREATED);
    let group = own_group(&local);
    let rules_before = sources(&local, &group);
    let denied = json!([{
        "service": "ec2", "operation": "AuthorizeSecurityGroupIngress", "code": "UnauthorizedOperation", "message": "not allowed", "times": 1,
    }]);
    never_cut_off(&local, &group, || {
        local.set_faults(&denied).unwrap();
        let answer = local.api("POST", &stage_path("prod", "/rebuild"), None).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text);
        eventually("it's rolled back", || stack(&local)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE");
        local.clear_faults().unwrap();
        assert_eq!(sources(&local, &group), rules_before);
        let answer = local.api("POST", &stage_path("prod", "/rebuild"), None).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert_eq!(follow(&local, "prod").0.phase, "complete");
    });
    // The local AWS gives each database its own port, so the rule of the earlier version isn't the one that is needed.
    let after = sources(&local, &group);
    assert!(after.iter().all(|source| rules_before.contains(source)), "{after:?}");
}

#[test]
fn an_attached_database_of_an_earlier_version_stays_attached() {
    let local = world();
    let group = their_network(&local);
    their_instance(&local, "orders", &group);
    let text = json!({"username": "clerk", "password": THEIR_PASSWORD}).to_string();
    let made = local
        .aws(&[
            "secretsmanager",
            "create-secret",
            "--name",
            "orders",
            "--secret-string",
            &text,
            "--tags",
            "Key=stagedb:attachable,Value=true",
        ])
        .unwrap();
    let arn = made["ARN"].as_str().unwrap();
    let before = described(&local, "orders");
    make(
        &local,
        ONE_SERVICE,
        &[
            ("Source", "attached"),
            ("AttachedKind", "instance"),
            ("AttachedIdentifier", "orders"),
            ("DatabaseName", "orders"),
            ("CredentialsSecretArn", arn),
        ],
    );
    let one = sources(&local, &group);
    never_cut_off(&local, &group, || {
        let answer = local.api("POST", &stage_path("prod", "/rebuild"), None).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text);
        let (rebuild, _) = follow(&local, "prod");
        assert_eq!(rebuild.phase, "complete", "{rebuild:?}");
    });
    assert_eq!(sources(&local, &group), one, "the same rule");
    assert_eq!(described(&local, "orders"), before);
    assert!(local.container_environment(STACK, "prod").unwrap().contains_key("PG_HOST"));
}

#[test]
fn the_rule_of_an_earlier_version_goes_with_its_service_and_comes_back_with_a_rollback() {
    let local = world();
    make(&local, ONE_SERVICE, &CREATED);
    let group = own_group(&local);
    let before = sources(&local, &group);
    let new = crate::services::another_service(&local, "reports");
    let other = json!({"services": [{"cluster": "demo", "name": "reports", "container": "run"}]});
    let register = || {
        let answer = local.api("PUT", &stage_path("prod", ""), Some(&other)).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text);
    };
    let denied = json!([{
        "service": "ec2", "operation": "AuthorizeSecurityGroupIngress", "code": "UnauthorizedOperation", "message": "not allowed", "times": 1,
    }]);
    local.set_faults(&denied).unwrap();
    register();
    eventually("it's rolled back", || stack(&local)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE");
    local.clear_faults().unwrap();
    assert_eq!(sources(&local, &group), before);
    register();
    assert_eq!(follow(&local, "prod").0.phase, "complete");
    assert_eq!(sources(&local, &group), [new]);
}
