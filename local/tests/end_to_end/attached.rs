//! An existing database that stagedb doesn't manage: attached to stages, and never changed.

use local::LocalAws;
use serde_json::{Value, json};

use crate::created::the_examples_connect;
use crate::world::{
    PASSWORD, STACK, THEIR_PASSWORD, container, delete_stack_by_force, described, described_cluster,
    eventually, follow, query, remove, rules, save, save_and_follow, secret, shown, stack_status, stage_path,
    their_cluster, their_instance, their_network, world,
};

/// A secret that stagedb may read, because of its tag, or because of its name if it's `databases/…`.
fn make_secret(local: &LocalAws, name: &str, value: &Value) -> String {
    let tag = json!({"Key": "stagedb:attachable", "Value": (!name.starts_with("databases/")).to_string()});
    let body = json!({
        "Name": name, "SecretString": value.to_string(), "ClientRequestToken": "the-first-version-of-their-secret",
        "Tags": [tag],
    });
    let made = local.post_json("secretsmanager.CreateSecret", &body).unwrap();
    made["ARN"].as_str().unwrap().to_owned()
}

fn listed(local: &LocalAws, identifier: &str) -> Value {
    let mut path = format!("/api/databases?stack={STACK}&stage=dev");
    loop {
        let answer = local.api("GET", &path, None).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        let databases = answer.body["databases"].as_array().unwrap();
        if let Some(found) = databases.iter().find(|found| found["identifier"] == identifier) {
            return found.clone();
        }
        let Some(token) = answer.body["nextToken"].as_str() else { panic!("{identifier} is on no page") };
        path = format!("/api/databases?stack={STACK}&stage=dev&nextToken={token}");
    }
}

#[test]
fn an_attached_instance_serves_two_stages_and_stays_as_it_was() {
    let local = world();
    let group = their_network(&local);
    their_instance(&local, "orders", &group);
    let before = described(&local, "orders");
    let arn = make_secret(
        &local,
        "databases/orders",
        &json!({"username": "clerk", "password": THEIR_PASSWORD, "host": "elsewhere"}),
    );
    let found = listed(&local, "orders");
    assert_eq!(
        (&found["attachable"], &found["kind"], &found["usedBy"]),
        (&json!(true), &json!("instance"), &json!([]))
    );

    // With the ARN of a secret.
    let by_secret = json!({
        "source": "attached", "identifier": "orders", "databaseName": "orders", "credentials": {"secretArn": arn},
    });
    let saved = save(&local, "dev", &by_secret, 202);
    assert!(
        saved["warnings"][0].as_str().unwrap().starts_with("The secret is for the host elsewhere"),
        "{saved}"
    );
    assert_eq!(follow(&local, "dev").0.phase, "complete");
    the_secret_has_the_seven_keys(&local, "dev", "orders");
    the_examples_connect(&local, "dev", "connected to orders as clerk on PostgreSQL");
    let made = rules(&local, &group);
    let [rule] = made.as_slice() else { panic!("not exactly one rule: {made:?}") };
    assert_eq!(
        (&rule["FromPort"], &rule["ToPort"], &rule["IpProtocol"]),
        (&rule["ToPort"], &rule["FromPort"], &json!("tcp"))
    );
    assert_eq!(rule["FromPort"], before["Endpoint"]["Port"]);
    assert_eq!(shown(&local, "dev")["settings"]["credentials"]["secretArn"], arn.as_str());
    save(&local, "dev", &by_secret, 200);

    // With typed credentials, on the second stage, whose service is in the same security group.
    let typed = json!({
        "source": "attached", "identifier": "orders", "databaseName": "orders",
        "credentials": {"username": "clerk", "password": THEIR_PASSWORD},
    });
    save_and_follow(&local, "prod", &typed);
    the_examples_connect(&local, "prod", "connected to orders as clerk on PostgreSQL");
    assert_eq!(rules(&local, &group).len(), 1, "EC2 has each rule only once");
    assert_eq!(shown(&local, "prod")["usedBy"], json!(["test-django2/dev"]));
    assert_eq!(listed(&local, "orders")["usedBy"], json!(["test-django2/dev", "test-django2/prod"]));
    save(&local, "prod", &typed, 200);

    a_rotated_password_comes_with_the_next_rebuild(&local, &arn);
    no_typed_password_is_anywhere_but_in_secrets(&local);

    the_source_secret_can_be_deleted(&local, &arn);

    remove(&local, "dev", "orders");
    eventually("the variables are gone", || {
        !local.container_environment(STACK, "dev").unwrap().keys().any(|name| name.starts_with("PG_"))
    });
    assert_eq!(rules(&local, &group).len(), 1, "the other stage still needs it");
    the_examples_connect(&local, "prod", "connected to orders as clerk on PostgreSQL");

    delete_stack_by_force(&local, "test-django2-prod");
    eventually("the rule is removed with the last stage", || rules(&local, &group).is_empty());
    eventually("the variables are gone", || {
        container(&local, "prod")["secrets"].as_array().is_none_or(Vec::is_empty)
    });
    assert_eq!(described(&local, "orders"), before, "byte for byte as it was");
    assert_eq!(local.aws(&["rds", "describe-db-snapshots"]).unwrap()["DBSnapshots"], json!([]));
}

#[test]
fn a_rotated_password_comes_with_a_save_of_another_setting() {
    let local = world();
    let group = their_network(&local);
    their_instance(&local, "orders", &group);
    let arn = make_secret(&local, "orders", &json!({"username": "clerk", "password": THEIR_PASSWORD}));
    let settings = |database_name: &str| {
        json!({
            "source": "attached", "identifier": "orders", "databaseName": database_name,
            "credentials": {"secretArn": arn},
        })
    };
    save_and_follow(&local, "dev", &settings("orders"));
    the_examples_connect(&local, "dev", "connected to orders as clerk on PostgreSQL");

    query(&secret(&local, "dev"), "create database archive");
    rotate(&local, &arn, "rotated-Password-1");
    // The save has the same credentials as before, and only another setting changes.
    save_and_follow(&local, "dev", &settings("archive"));
    the_examples_connect(&local, "dev", "connected to archive as clerk on PostgreSQL");

    rotate(&local, &arn, THEIR_PASSWORD);
    let same = json!({"source": "attached", "identifier": "orders", "databaseName": "orders"});
    save_and_follow(&local, "dev", &same);
    the_examples_connect(&local, "dev", "connected to orders as clerk on PostgreSQL");
}

/// Attaches a database with the credentials of a secret. Returns what gives its user another password.
pub(crate) fn an_attached_database(local: &LocalAws) -> impl Fn(&LocalAws, &str) {
    let group = their_network(local);
    their_instance(local, "orders", &group);
    let arn = make_secret(local, "orders", &json!({"username": "clerk", "password": THEIR_PASSWORD}));
    let settings = json!({
        "source": "attached", "identifier": "orders", "databaseName": "orders", "credentials": {"secretArn": arn},
    });
    save_and_follow(local, "dev", &settings);
    move |local, password| rotate(local, &arn, password)
}

/// Gives the user of the attached database another password, and writes it into the secret that it's copied from.
fn rotate(local: &LocalAws, arn: &str, password: &str) {
    query(&secret(local, "dev"), &format!("alter role clerk password '{password}'"));
    let body = json!({
        "SecretId": arn, "SecretString": json!({"username": "clerk", "password": password}).to_string(),
        "ClientRequestToken": format!("a-later-version-of-their-secret-{}", password.len()),
    });
    local.post_json("secretsmanager.PutSecretValue", &body).unwrap();
}

fn the_secret_has_the_seven_keys(local: &LocalAws, stage: &str, identifier: &str) {
    let value = secret(local, stage);
    let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["dbInstanceIdentifier", "dbname", "engine", "host", PASSWORD, "port", "username"]);
    assert_eq!(value["dbInstanceIdentifier"], identifier);
}

fn a_rotated_password_comes_with_the_next_rebuild(local: &LocalAws, arn: &str) {
    for password in ["rotated-Password-1", THEIR_PASSWORD] {
        rotate(local, arn, password);
        assert_eq!(local.api("POST", &stage_path("dev", "/rebuild"), None).unwrap().status, 202);
        assert_eq!(follow(local, "dev").0.phase, "complete");
        the_secret_has_the_seven_keys(local, "dev", "orders");
        the_examples_connect(local, "dev", "connected to orders as clerk on PostgreSQL");
    }
}

/// Without the secret, a rebuild is refused, and a rollback uses the copied credentials.
fn the_source_secret_can_be_deleted(local: &LocalAws, arn: &str) {
    let delete = json!({"SecretId": arn, "ForceDeleteWithoutRecovery": true});
    local.post_json("secretsmanager.DeleteSecret", &delete).unwrap();
    let refused = local.api("POST", &stage_path("dev", "/rebuild"), None).unwrap();
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("can't be copied from"), "{}", refused.text);

    let denied = json!([{
        "service": "ec2", "operation": "DescribeSecurityGroupRules", "code": "UnauthorizedOperation",
        "message": "You are not authorized to perform this operation.", "times": null,
    }]);
    their_instance(local, "bills", &their_group(local, "orders"));
    local.set_faults(&denied).unwrap();
    let other = json!({
        "source": "attached", "identifier": "bills", "databaseName": "orders",
        "credentials": {"username": "clerk", "password": THEIR_PASSWORD},
    });
    save(local, "dev", &other, 202);
    eventually("it is rolled back, or its rollback fails", || {
        let status = stack_status(local).unwrap();
        status.starts_with("UPDATE_ROLLBACK") && !status.contains("IN_PROGRESS")
    });
    local.clear_faults().unwrap();
    if stack_status(local).as_deref() == Some("UPDATE_ROLLBACK_FAILED") {
        assert_eq!(local.api("POST", &stage_path("dev", "/rebuild"), None).unwrap().status, 202);
        eventually("it is rolled back", || {
            stack_status(local).as_deref() == Some("UPDATE_ROLLBACK_COMPLETE")
        });
    }
    the_secret_has_the_seven_keys(local, "dev", "orders");
    the_examples_connect(local, "dev", "connected to orders as clerk on PostgreSQL");
}

fn their_group(local: &LocalAws, identifier: &str) -> String {
    let group = &described(local, identifier)["VpcSecurityGroups"][0]["VpcSecurityGroupId"];
    group.as_str().unwrap().to_owned()
}

/// Looks at everything that someone without access to the secrets may be able to read.
fn no_typed_password_is_anywhere_but_in_secrets(local: &LocalAws) {
    let mut places = vec![("the functions' logs".to_owned(), local.function_logs().unwrap())];
    let mut look = |arguments: &[&str]| {
        let found = local.aws(arguments).unwrap();
        places.push((arguments.join(" "), found.to_string()));
        found
    };
    look(&["cloudformation", "describe-stacks"]);
    for stack in ["test-django2-dev", "test-django2-prod"] {
        look(&["cloudformation", "describe-stack-events", "--stack-name", stack]);
        look(&["cloudformation", "describe-stack-resources", "--stack-name", stack]);
    }
    look(&["ecs", "describe-task-definition", "--task-definition", "test-django2-prod", "--include", "TAGS"]);
    look(&["ec2", "describe-security-group-rules"]);
    let machines = look(&["stepfunctions", "list-state-machines"]);
    let arn = machines["stateMachines"][0]["stateMachineArn"].as_str().unwrap();
    for execution in look(&["stepfunctions", "list-executions", "--state-machine-arn", arn])["executions"]
        .as_array()
        .unwrap()
    {
        let arn = execution["executionArn"].as_str().unwrap();
        look(&["stepfunctions", "get-execution-history", "--execution-arn", arn]);
    }
    for (place, text) in &places {
        for password in [THEIR_PASSWORD, "rotated-Password-1"] {
            assert!(!text.contains(password), "a typed password is in {place}");
        }
    }
}

#[test]
fn an_attached_aurora_cluster_is_detached_by_a_rollback_and_by_a_removal() {
    let local = world();
    let group = their_network(&local);
    their_cluster(&local, "ledger", &group);
    let before = (described_cluster(&local, "ledger"), described(&local, "ledger-1"));
    let found = listed(&local, "ledger");
    assert_eq!(
        (&found["attachable"], &found["engine"]),
        (&json!(true), &json!("aurora-postgresql")),
        "{found}"
    );

    let typed = json!({
        "source": "attached", "identifier": "ledger", "databaseName": "ledger",
        "credentials": {"username": "clerk", "password": THEIR_PASSWORD},
    });
    // One of the last resources of the stage stack fails, so everything before it is rolled back.
    let denied = json!([{
        "service": "ec2", "operation": "DescribeSecurityGroupRules", "code": "UnauthorizedOperation",
        "message": "You are not authorized to perform this operation.", "times": 1,
        "when": {"Filter.1.Name": "group-id"},
    }]);
    local.set_faults(&denied).unwrap();
    save(&local, "dev", &typed, 202);
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "rolled-back", "{rebuild:?}");
    let reason = rebuild.reason.unwrap();
    assert!(reason.starts_with("EC2 refused a rule that lets a service connect"), "{reason}");
    assert_eq!(shown(&local, "dev")["settings"]["source"], "none");
    assert_eq!(rules(&local, &group), Vec::<Value>::new());
    assert_eq!((described_cluster(&local, "ledger"), described(&local, "ledger-1")), before);

    save_and_follow(&local, "dev", &typed);
    the_secret_has_the_seven_keys(&local, "dev", "ledger");
    the_examples_connect(&local, "dev", "connected to ledger as clerk on PostgreSQL");
    assert_eq!(shown(&local, "dev")["settings"]["kind"], "cluster");
    // Another database in the same DB cluster, with the same credentials.
    let secret = secret(&local, "dev");
    query(&secret, "create database archive");
    save_and_follow(
        &local,
        "dev",
        &json!({"source": "attached", "identifier": "ledger", "databaseName": "archive"}),
    );
    the_examples_connect(&local, "dev", "connected to archive as clerk on PostgreSQL");

    remove(&local, "dev", "ledger");
    assert_eq!(rules(&local, &group), Vec::<Value>::new());
    assert_eq!((described_cluster(&local, "ledger"), described(&local, "ledger-1")), before, "byte for byte");
    assert_eq!(stack_status(&local).as_deref(), Some("UPDATE_COMPLETE"));
}

#[test]
fn a_rule_that_was_there_before_is_used_and_stays_as_it_was() {
    let local = world();
    let group = their_network(&local);
    their_instance(&local, "orders", &group);
    let port = described(&local, "orders")["Endpoint"]["Port"].to_string();
    let service = crate::world::service(&local, "dev");
    let source =
        service["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"][0].as_str().unwrap();
    let authorize = ["ec2", "authorize-security-group-ingress", "--group-id", &group, "--protocol", "tcp"];
    local.aws(&[&authorize[..], &["--port", &port, "--source-group", source]].concat()).unwrap();
    let before = rules(&local, &group);

    let typed = json!({
        "source": "attached", "identifier": "orders", "databaseName": "orders",
        "credentials": {"username": "clerk", "password": THEIR_PASSWORD},
    });
    save_and_follow(&local, "dev", &typed);
    assert_eq!(rules(&local, &group).len(), 1);
    remove(&local, "dev", "orders");
    assert_eq!(rules(&local, &group), before);
}

#[test]
fn credentials_that_were_typed_long_ago_are_forgotten() {
    let local = world();
    let group = their_network(&local);
    their_instance(&local, "orders", &group);
    let typed = |username: &str| {
        json!({
            "source": "attached", "identifier": "orders", "databaseName": "orders",
            "credentials": {"username": username, "password": THEIR_PASSWORD},
        })
    };
    save_and_follow(&local, "dev", &typed("clerk"));
    query(&secret(&local, "dev"), &format!("create role auditor login password '{THEIR_PASSWORD}'"));
    let id = format!("dev-{STACK}-postgres");
    for month in 1..=12 {
        let label = format!("generation-2020{month:02}01-120000-00000000");
        let body = json!({
            "SecretId": id, "SecretString": "{}", "VersionStages": [label],
            "ClientRequestToken": format!("the-version-of-a-month-long-ago-{month:02}"),
        });
        local.post_json("secretsmanager.PutSecretValue", &body).unwrap();
    }
    save_and_follow(&local, "dev", &typed("auditor"));
    let described = local.post_json("secretsmanager.DescribeSecret", &json!({"SecretId": id})).unwrap();
    let labels = described["VersionIdsToStages"].to_string();
    assert!(!labels.contains("generation-20200101") && labels.contains("generation-20201201"), "{labels}");
}
