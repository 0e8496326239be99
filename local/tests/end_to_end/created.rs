//! Creating a database, using it, and changing it.

use std::path::Path;
use std::process::Command;

use local::LocalAws;
use serde_json::{Value, json};

use crate::world::{
    PASSWORD, STACK, container, definitions, deployment, instance, jq, micro, psql, query, save,
    save_and_follow, secret, service, settings, stage_path, world,
};

#[test]
fn a_stage_gets_a_database_and_its_containers_see_it() {
    let local = world();
    let before = local.container_environment(STACK, "dev").unwrap();
    let prod_before = container(&local, "prod");

    let phases = save_and_follow(&local, "dev", &micro());
    assert_eq!(phases, ["updating", "redeploying", "complete"]);

    the_secret_is_found_by_the_documented_command(&local, "dev");
    the_credentials_log_in_over_tls_and_no_others_do(&local);
    the_containers_see_the_variables_beside_what_they_had(&local, &before);
    the_examples_connect(&local, "dev", "connected to app as postgres on PostgreSQL");
    the_instance_is_made_as_promised(&local);
    assert_eq!(container(&local, "prod"), prod_before, "the other stage is as it was");

    save_and_follow(&local, "prod", &micro());
    the_secret_is_found_by_the_documented_command(&local, "dev");
    the_secret_is_found_by_the_documented_command(&local, "prod");
    assert_ne!(secret(&local, "dev")[PASSWORD], secret(&local, "prod")[PASSWORD]);

    a_save_that_changes_nothing_starts_nothing(&local);
    a_change_keeps_the_data_and_redeploys_once(&local);
    a_repeated_event_redeploys_nothing(&local);
    the_lists_show_both_stages(&local);
    no_password_is_anywhere_but_in_the_secret(&local);
}

fn the_secret_is_found_by_the_documented_command(local: &LocalAws, stage: &str) {
    let filter = format!("Key=tag-value,Values={STACK}");
    let listed = local
        .aws(&[
            "secretsmanager",
            "list-secrets",
            "--region",
            "us-east-1",
            "--filters",
            "Key=tag-key,Values=aws:cloudformation:stack-name",
            &filter,
        ])
        .unwrap();
    let found = jq(&format!(".[][] | select(.Name|test(\"^{stage}\"))"), &listed);
    let [found] = found.as_slice() else { panic!("not one secret: {found:?}") };
    assert!(found["Description"].as_str().unwrap().contains(STACK), "{found}");

    let value = secret(local, stage);
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let seven = ["dbInstanceIdentifier", "dbname", "engine", "host", PASSWORD, "port", "username"];
    assert_eq!(keys, seven);
    assert_eq!(value["engine"], "postgres");
    assert_eq!(value["dbname"], "app");
    assert_eq!(value["dbInstanceIdentifier"], format!("{STACK}-{stage}-postgres"));
}

fn the_credentials_log_in_over_tls_and_no_others_do(local: &LocalAws) {
    let secret = secret(local, "dev");
    assert_eq!(query(&secret, "select ssl from pg_stat_ssl where pid = pg_backend_pid()"), "t");
    let wrong = psql(&secret, "not-the-password", "select 1");
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("password authentication failed"));
}

fn the_containers_see_the_variables_beside_what_they_had(
    local: &LocalAws,
    before: &local::ContainerEnvironment,
) {
    let secret = secret(local, "dev");
    let mut expected = before.clone();
    for (name, key) in [
        ("PG_HOST", "host"),
        ("PG_DATABASE", "dbname"),
        ("PG_USER", "username"),
        ("PG_CREDENTIALS_SECRET", PASSWORD),
    ] {
        expected.insert(name.to_owned(), secret[key].as_str().unwrap().to_owned());
    }
    expected.insert("PG_PORT".to_owned(), secret["port"].to_string());
    assert!(!before.is_empty(), "the demo's container has variables of its own");
    assert!(local.container_environment(STACK, "dev").unwrap() == expected, "not the values of the secret");

    let answer = local.api("GET", &stage_path("dev", "/runtime-variables"), None).unwrap();
    assert_eq!(
        answer.body["services"][0]["variables"],
        json!([
            {"name": "PG_HOST", "secretKey": "host"},
            {"name": "PG_PORT", "secretKey": "port"},
            {"name": "PG_DATABASE", "secretKey": "dbname"},
            {"name": "PG_USER", "secretKey": "username"},
            {"name": "PG_CREDENTIALS_SECRET", "secretKey": PASSWORD},
        ])
    );
    assert!(!answer.text.contains(secret[PASSWORD].as_str().unwrap()));
}

pub(crate) fn the_examples_connect(local: &LocalAws, stage: &str, expected: &str) {
    let node = local.workspace().path("examples/node");
    if !Path::new(&node).join("node_modules").exists() {
        let installed = Command::new("npm").arg("ci").current_dir(&node).output().unwrap();
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    }
    for command in [["python3", "examples/python/main.py"], ["node", "examples/node/main.js"]] {
        let output = local.run_in_container(STACK, stage, &command).unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.starts_with(expected), "{command:?}: {output:?}");
    }
}

fn the_instance_is_made_as_promised(local: &LocalAws) {
    let instance = instance(local, "dev").unwrap();
    for (attribute, expected) in [
        ("StorageEncrypted", json!(true)),
        ("PubliclyAccessible", json!(false)),
        ("DeletionProtection", json!(true)),
        ("BackupRetentionPeriod", json!(7)),
        ("StorageType", json!("gp3")),
        ("AllocatedStorage", json!(20)),
        ("DBInstanceClass", json!("db.t4g.micro")),
        ("AutoMinorVersionUpgrade", json!(true)),
        ("CopyTagsToSnapshot", json!(true)),
        ("EngineLifecycleSupport", json!("open-source-rds-extended-support-disabled")),
        ("DBName", json!("app")),
    ] {
        assert_eq!(instance[attribute], expected, "{attribute}");
    }
    let tag = |key: &str| {
        let tags = instance["TagList"].as_array().unwrap();
        tags.iter().find(|tag| tag["Key"] == key).unwrap()["Value"].as_str().unwrap().to_owned()
    };
    assert_eq!(tag("stagedb:stack"), STACK);
    assert_eq!(tag("stagedb:stage"), "dev");
    assert_eq!(tag("stagedb:logical-id"), "Database");
    assert!(tag("stagedb:stage-stack-id").contains("stack/test-django2-dev/"));
    assert!(!tag("stagedb:generation").is_empty());

    let stacks =
        local.aws(&["cloudformation", "describe-stacks", "--stack-name", "test-django2-dev"]).unwrap();
    assert_eq!(stacks["Stacks"][0]["EnableTerminationProtection"], true);
    let policy = local
        .aws(&["secretsmanager", "get-resource-policy", "--secret-id", "dev-test-django2-postgres"])
        .unwrap();
    let policy: Value = serde_json::from_str(policy["ResourcePolicy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Action"], "secretsmanager:GetSecretValue");
    let readers = policy["Statement"][0]["Principal"]["AWS"].as_array().unwrap();
    assert!(readers.iter().all(|role| role.as_str().unwrap().contains(":role/")), "{readers:?}");
}

fn a_save_that_changes_nothing_starts_nothing(local: &LocalAws) {
    let before = deployment(local, "dev");
    let rebuild = local.api("GET", &stage_path("dev", "/rebuild"), None).unwrap().body;
    save(local, "dev", &micro(), 200);
    assert_eq!(local.api("GET", &stage_path("dev", "/rebuild"), None).unwrap().body, rebuild);
    assert_eq!(deployment(local, "dev"), before);
}

fn a_change_keeps_the_data_and_redeploys_once(local: &LocalAws) {
    let secret = secret(local, "dev");
    query(&secret, "create table kept (row text); insert into kept values ('written before')");
    let before = instance(local, "dev").unwrap();
    let revision = service(local, "dev")["taskDefinition"].clone();
    let redeployments =
        || local.function_logs().unwrap().matches("redeployed with the same variables").count();
    assert_eq!(redeployments(), 0);

    save_and_follow(local, "dev", &settings("db.t4g.small", 40));
    assert_eq!(redeployments(), 2, "the containers of both services were redeployed once");
    assert_eq!(service(local, "dev")["taskDefinition"], revision, "with the variables they had");

    let after = instance(local, "dev").unwrap();
    assert_eq!(after["DBInstanceClass"], "db.t4g.small");
    assert_eq!(after["AllocatedStorage"], 40);
    for same in ["DBInstanceIdentifier", "DbiResourceId", "InstanceCreateTime"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(query(&crate::world::secret(local, "dev"), "select row from kept"), "written before");

    let shown = local.api("GET", &stage_path("dev", "/database"), None).unwrap();
    let mut expected = json!({"source": "created"});
    for setting in definitions().iter().filter(|setting| setting["name"] != "fromSnapshot") {
        expected[setting["name"].as_str().unwrap()] = setting["default"].clone();
    }
    let chosen = json!({
        "source": "created", "instanceClass": "db.t4g.small", "storageGiB": 40, "maxStorageGiB": null,
        "multiAz": false, "backupRetentionDays": 7, "engineVersion": "17", "databaseName": "app", "apply": "now",
    });
    for (name, value) in chosen.as_object().unwrap() {
        expected[name] = value.clone();
    }
    assert_eq!(shown.body["settings"], expected);
    assert_eq!(shown.body["state"], "available");
    assert_eq!(shown.body["live"]["storageGiB"], 40);
    assert_eq!(shown.body["live"]["endpoint"]["port"], secret["port"]);
    assert_eq!(shown.body["changeable"]["minStorageGiB"], 44);
    assert!(!shown.text.contains(secret[PASSWORD].as_str().unwrap()));
}

fn a_repeated_event_redeploys_nothing(local: &LocalAws) {
    let before = deployment(local, "dev");
    let stack =
        local.aws(&["cloudformation", "describe-stacks", "--stack-name", "test-django2-dev"]).unwrap();
    let event = json!({
        "source": "aws.cloudformation",
        "detail-type": "CloudFormation Stack Status Change",
        "detail": {"stack-id": stack["Stacks"][0]["StackId"], "status-details": {"status": "UPDATE_COMPLETE"}},
    });
    invoke(local, "stagedb-publish-variables", &event);
    assert_eq!(deployment(local, "dev"), before);
}

pub(crate) fn invoke(local: &LocalAws, function: &str, event: &Value) {
    let output = local.run_dir().join("invoked.json");
    let payload = event.to_string();
    let answer = local
        .aws(&[
            "lambda",
            "invoke",
            "--function-name",
            function,
            "--payload",
            &payload,
            output.to_str().unwrap(),
        ])
        .unwrap();
    assert_eq!(answer["FunctionError"], Value::Null, "{answer}");
}

fn the_lists_show_both_stages(local: &LocalAws) {
    let stacks = local.api("GET", "/api/stacks", None).unwrap();
    assert_eq!(
        stacks.body["stacks"],
        json!([{"name": STACK, "stages": [
            {"name": "dev", "state": "complete", "source": "created"},
            {"name": "prod", "state": "complete", "source": "created"},
        ]}])
    );
}

/// Looks at everything that someone without access to the secret may be able to read.
fn no_password_is_anywhere_but_in_the_secret(local: &LocalAws) {
    let mut places = vec![("the functions' logs".to_owned(), local.function_logs().unwrap())];
    let mut look = |arguments: &[&str]| {
        let found = local.aws(arguments).unwrap();
        places.push((arguments.join(" "), found.to_string()));
        found
    };
    look(&["cloudformation", "describe-stacks"]);
    for stack in ["stagedb", "test-django2-dev", "test-django2-prod"] {
        look(&["cloudformation", "describe-stack-events", "--stack-name", stack]);
        look(&["cloudformation", "describe-stack-resources", "--stack-name", stack]);
        look(&["cloudformation", "get-template", "--stack-name", stack]);
    }
    look(&["rds", "describe-db-instances"]);
    look(&["secretsmanager", "list-secrets"]);
    for family in ["test-django2-dev", "test-django2-prod"] {
        look(&["ecs", "describe-task-definition", "--task-definition", family, "--include", "TAGS"]);
    }
    for name in [
        "settings-api",
        "database-resource",
        "database-progress",
        "client-progress",
        "credentials-resource",
        "access-resource",
    ] {
        look(&["lambda", "get-function-configuration", "--function-name", &format!("stagedb-{name}")]);
    }
    let machines = look(&["stepfunctions", "list-state-machines"]);
    let arn = machines["stateMachines"][0]["stateMachineArn"].as_str().unwrap();
    let executions = look(&["stepfunctions", "list-executions", "--state-machine-arn", arn]);
    let executions = executions["executions"].as_array().unwrap();
    assert!(executions.len() >= 4, "two stages, a creation of each: {executions:?}");
    for execution in executions {
        look(&[
            "stepfunctions",
            "get-execution-history",
            "--execution-arn",
            execution["executionArn"].as_str().unwrap(),
        ]);
    }
    look(&["logs", "filter-log-events", "--log-group-name", "/stagedb/clients"]);
    let clients = local.control("GET", "/_local/ecs/tasks", None).unwrap();
    assert!(clients.as_array().unwrap().len() >= 2, "a client of each stage: {clients}");
    places.push(("the clients' tasks".to_owned(), clients.to_string()));
    for stage in ["dev", "prod"] {
        let secret = secret(local, stage);
        let password = secret[PASSWORD].as_str().unwrap();
        assert!(password.len() >= 32);
        for (place, text) in &places {
            assert!(!text.contains(password), "the password of {stage} is in {place}");
        }
    }
    let logs = &places[0].1;
    assert!(
        logs.contains("\"stack\":\"test-django2\"") && logs.contains("\"request_id\""),
        "logs name their stage"
    );
    assert!(!logs.contains("cfn-response"), "no log has a response URL");
}
