//! Connections are tested from where the services run: before a database is attached, and in a rebuild before anything is
//! published.

use local::LocalAws;
use serde_json::{Value, json};

use crate::logins::clients_run_again;
use crate::world::{
    PASSWORD, STACK, THEIR_PASSWORD, container, ecs, eventually, follow, micro, query, rules, save,
    save_and_follow, secret, service, stage_path, their_instance, their_network, world,
};

fn orders(database: &str, username: &str, password: &str) -> Value {
    json!({
        "source": "attached", "identifier": "orders", "databaseName": database,
        "credentials": {"username": username, "password": password},
    })
}

/// Starts a test of a connection, and returns where its result will be.
fn start_test(local: &LocalAws, stage: &str, settings: &Value) -> String {
    let path = stage_path(stage, "/database/connection-test");
    let answer = local.api("POST", &path, Some(settings)).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.header("location").unwrap().to_owned()
}

/// Tests a connection, and waits for what was found.
fn test(local: &LocalAws, stage: &str, settings: &Value) -> Value {
    let location = start_test(local, stage, settings);
    let mut found = Value::Null;
    eventually("the test ends", || {
        found = result(local, &location);
        found["status"] != "running"
    });
    found
}

fn result(local: &LocalAws, location: &str) -> Value {
    let answer = local.api("GET", location, None).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

/// Attaches a database, which must fail, and returns the reason.
fn rolled_back(local: &LocalAws, stage: &str, settings: &Value) -> String {
    let before = (service(local, stage)["taskDefinition"].clone(), container(local, stage));
    save(local, stage, settings, 202);
    let (rebuild, _) = follow(local, stage);
    assert_eq!(rebuild.phase, "rolled-back", "{rebuild:?}");
    assert_eq!((service(local, stage)["taskDefinition"].clone(), container(local, stage)), before);
    rebuild.reason.unwrap()
}

/// Every client task that was ever run.
fn clients(local: &LocalAws) -> Vec<Value> {
    local.control("GET", "/_local/ecs/tasks", None).unwrap().as_array().unwrap().clone()
}

fn plan(local: &LocalAws, stage: &str, behavior: &str) {
    let family = format!("stagedb-{STACK}-{stage}");
    let test = format!("{family}-test");
    let plan = json!({"behavior": behavior, "times": null});
    local.control("PUT", "/_local/ecs/next-tasks", Some(&json!({family: plan, test: plan}))).unwrap();
}

fn source_group(local: &LocalAws, stage: &str) -> String {
    let service = service(local, stage);
    let groups = &service["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"];
    groups[0].as_str().unwrap().to_owned()
}

/// The execution role of a stage's service.
fn execution_role(local: &LocalAws, stage: &str) -> String {
    let definition = service(local, stage)["taskDefinition"].clone();
    let found = ecs(local, "DescribeTaskDefinition", &json!({"taskDefinition": definition}));
    let arn = found["taskDefinition"]["executionRoleArn"].as_str().unwrap();
    arn.rsplit('/').next().unwrap().to_owned()
}

#[test]
fn an_attachment_that_cannot_connect_is_rolled_back_with_its_own_reason_and_a_test_says_the_same() {
    let local = world();
    let group = their_network(&local);
    their_instance(&local, "orders", &group);
    let right = orders("orders", "clerk", THEIR_PASSWORD);
    let (source, role) = (source_group(&local, "dev"), execution_role(&local, "dev"));

    let check = |settings: &Value, reason: &str, next: &str| {
        let found = test(&local, "dev", settings);
        assert_eq!(found["status"], "failed", "{found}");
        let result = &found["results"][0];
        assert!(result["reason"].as_str().unwrap().starts_with(reason), "{found}");
        assert!(result["nextStep"].as_str().unwrap().starts_with(next), "{found}");
        assert_eq!(rules(&local, &group), Vec::<Value>::new(), "the test's rule is gone");
        let said = rolled_back(&local, "dev", settings);
        assert!(
            said.contains(&format!("(security group {source}, execution role {role}): {reason}")),
            "{said}"
        );
        assert_eq!(rules(&local, &group), Vec::<Value>::new(), "so is the rebuild's");
    };
    check(
        &orders("orders", "clerk", "not-their-password"),
        "password authentication failed for user \"clerk\"",
        "Correct the username or the password",
    );
    check(
        &orders("order", "clerk", THEIR_PASSWORD),
        "database \"order\" does not exist",
        "Correct the name of the database",
    );

    let egress = ["--group-id", &source, "--protocol", "-1", "--cidr", "0.0.0.0/0"];
    local.aws(&[&["ec2", "revoke-security-group-egress"][..], &egress].concat()).unwrap();
    check(&right, "no route: the database doesn't answer", "Let the service's security group send traffic");
    local.aws(&[&["ec2", "authorize-security-group-egress"][..], &egress].concat()).unwrap();

    let deny = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": "*",
    }]});
    let policy = ["--role-name", &role, "--policy-name", "deny"];
    let put = ["iam", "put-role-policy", "--policy-document", &deny.to_string()].map(str::to_owned);
    let put: Vec<&str> = put.iter().map(String::as_str).chain(policy).collect();
    local.aws(&put).unwrap();
    check(
        &right,
        "the execution role may not read the secret",
        "Remove what denies secretsmanager:GetSecretValue",
    );
    local.aws(&[&["iam", "delete-role-policy"][..], &policy].concat()).unwrap();

    plan(&local, "dev", "another-authority");
    check(&right, "TLS failed (", "Connect to the database at its own endpoint");
    clients_run_again(&local);

    let found = test(&local, "dev", &right);
    assert_eq!(
        (&found["status"], &found["certificateIsVerified"]),
        (&json!("connected"), &json!(true)),
        "{found}"
    );
    assert_eq!(found["results"][0]["securityGroups"], json!([source]));
    save_and_follow(&local, "dev", &right);
    let clients = clients(&local);
    assert!(clients.len() >= 10, "{}", clients.len());
    assert!(clients.iter().all(|task| task["lastStatus"] == "STOPPED"), "{clients:?}");
    for text in [json!(clients).to_string(), local.function_logs().unwrap(), logs_of_clients(&local)] {
        assert!(!text.contains(THEIR_PASSWORD) && !text.contains("not-their-password"), "{text}");
    }
}

/// Everything that client tasks wrote.
fn logs_of_clients(local: &LocalAws) -> String {
    let found = local.aws(&["logs", "filter-log-events", "--log-group-name", "/stagedb/clients"]).unwrap();
    let events = found["events"].to_string();
    assert!(events.contains("password authentication failed"), "{events}");
    events
}

#[test]
fn a_client_that_cannot_run_is_explained_and_the_test_can_be_skipped() {
    let local = world();
    let before = (service(&local, "dev")["taskDefinition"].clone(), container(&local, "dev"));
    for (behavior, reason) in [
        ("image", "ECS can't pull the client's image (CannotPullContainerError"),
        ("fargate-capacity", "ECS has no capacity for the client task (Capacity is unavailable"),
        ("capacity", "ECS has no capacity for the client task (RESOURCE:MEMORY)"),
        ("secrets-timeout", "ECS can't get the credentials from the secret (ResourceInitializationError"),
        ("killed", "the client was killed (exit code 137, OutOfMemoryError"),
        ("gone", "ECS no longer shows the client task"),
    ] {
        plan(&local, "dev", behavior);
        save(&local, "dev", &micro(), 202);
        let (rebuild, _) = follow(&local, "dev");
        assert_eq!(rebuild.phase, "rolled-back", "{behavior}: {rebuild:?}");
        let said = rebuild.reason.unwrap();
        assert!(said.contains(reason), "{behavior}: {said}");
        assert_eq!((service(&local, "dev")["taskDefinition"].clone(), container(&local, "dev")), before);
    }
    // A shortage that passes.
    let twice = json!({format!("stagedb-{STACK}-prod"): {"behavior": "capacity", "times": 2}});
    local.control("PUT", "/_local/ecs/next-tasks", Some(&twice)).unwrap();
    save_and_follow(&local, "prod", &micro());

    plan(&local, "dev", "image");
    let path = stage_path("dev", "");
    let stage = local.api("GET", &path, None).unwrap().body;
    assert_eq!(stage["connectionProof"], "required");
    let services = stage["services"].as_array().unwrap().iter();
    let services: Vec<_> = services
        .map(|s| json!({"cluster": s["cluster"], "name": s["name"], "container": s["container"]}))
        .collect();
    let skipped = json!({"services": services, "connectionProof": "skipped"});
    let answer = local.api("PUT", &path, Some(&skipped)).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(follow(&local, "dev").0.phase, "complete");
    assert_eq!(local.api("GET", &path, None).unwrap().body["connectionProof"], "skipped");
    save_and_follow(&local, "dev", &micro());
    assert_eq!(query(&secret(&local, "dev"), "select 1"), "1");
}

#[test]
fn a_failed_client_without_a_log_says_so_and_an_outdated_test_does_not_count() {
    let local = world();
    let group = their_network(&local);
    their_instance(&local, "orders", &group);
    plan(&local, "dev", "no-log");
    let found = test(&local, "dev", &orders("orders", "clerk", "not-their-password"));
    let reason = "psql failed with exit code 2, and its log is empty";
    assert_eq!(found["results"][0]["reason"], reason, "{found}");

    let path = stage_path("dev", "/database/connection-test");
    let answer = local.api("POST", &path, Some(&micro())).unwrap();
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert!(answer.text.contains("must be attached"), "{}", answer.text);
    for (id, status) in [("", 400), ("x", 400), ("0123456789abcdef", 404)] {
        let answer = local.api("GET", &format!("{path}?id={id}"), None).unwrap();
        assert_eq!(answer.status, status, "{id}: {}", answer.text);
    }
    // Another stage's test isn't shown.
    let id = found["id"].as_str().unwrap();
    let of_prod = stage_path("prod", "/database/connection-test");
    assert_eq!(local.api("GET", &format!("{of_prod}?id={id}"), None).unwrap().status, 404);
}

#[test]
fn odd_user_names_and_passwords_connect_from_the_client_and_from_the_containers() {
    let local = world();
    let group = their_network(&local);
    their_instance(&local, "orders", &group);
    save_and_follow(&local, "dev", &orders("orders", "clerk", THEIR_PASSWORD));
    let admin = secret(&local, "dev");
    let long = "x".repeat(99);
    for (user, password) in [
        (r#"o'r"d\e:r@s%20"#, r#"p'a"s\s:w@o%r$d `{}#&"#),
        ("bestellungen-ä-注文", "пароль-密码-é"),
        ("plain", long.as_str()),
    ] {
        let (name, quoted) = (user.replace('"', "\"\""), password.replace('\'', "''"));
        query(&admin, &format!("create role \"{name}\" login password '{quoted}'"));
        let settings = orders("orders", user, password);
        let found = test(&local, "dev", &settings);
        assert_eq!(found["status"], "connected", "{user}: {found}");
        save_and_follow(&local, "dev", &settings);
        let secret = secret(&local, "dev");
        assert_eq!((&secret["username"], &secret[PASSWORD]), (&json!(user), &json!(password)));
        let wrong = rolled_back(&local, "dev", &orders("orders", user, "wrong"));
        assert!(wrong.contains(&format!("password authentication failed for user \"{user}\"")), "{wrong}");
    }
}

#[test]
fn a_client_that_never_starts_or_never_stops_is_stopped_and_leaves_nothing() {
    let local = world();
    let group = their_network(&local);
    their_instance(&local, "orders", &group);
    let settings = orders("orders", "clerk", THEIR_PASSWORD);
    let mut tests = Vec::new();
    // One after the other, because a plan replaces the one before.
    for (stage, behavior) in [("dev", "never-starts"), ("prod", "never-stops")] {
        plan(&local, stage, behavior);
        tests.push(start_test(&local, stage, &settings));
        let family = format!("stagedb-{STACK}-{stage}-test");
        eventually("the client runs", || {
            clients(&local).iter().any(|task| task["taskDefinitionArn"].to_string().contains(&family))
        });
    }
    for (location, status) in tests.iter().zip(["PENDING", "RUNNING"]) {
        for _ in 0..5 {
            if result(&local, location)["status"] != "running" {
                break;
            }
            std::thread::sleep(std::time::Duration::from_secs(30));
        }
        let found = result(&local, location);
        let reason = format!("the client task didn't finish within 2 minutes; its last status was {status}");
        assert_eq!(found["results"][0]["reason"], reason, "{found}");
    }
    assert!(clients(&local).iter().all(|task| task["lastStatus"] == "STOPPED"));
    assert_eq!(rules(&local, &group), Vec::<Value>::new());
}

#[test]
fn a_service_in_a_network_that_cannot_connect_is_named_and_two_tests_do_not_mix() {
    let local = world();
    let group = their_network(&local);
    their_instance(&local, "orders", &group);
    let right = orders("orders", "clerk", THEIR_PASSWORD);
    let locations = [("clerk", THEIR_PASSWORD), ("clerk", "wrong")]
        .map(|(user, password)| start_test(&local, "dev", &orders("orders", user, password)));
    let mut statuses = Vec::new();
    for location in &locations {
        eventually("the test ends", || result(&local, location)["status"] != "running");
        statuses.push(result(&local, location));
    }
    assert_eq!(statuses[1]["results"][0]["reason"], "password authentication failed for user \"clerk\"");
    let first = &statuses[0]["results"][0];
    let superseded = first["reason"].as_str().is_some_and(|reason| reason.contains("another test"));
    assert!(superseded || first["status"] == "connected", "{first}");
    assert_eq!(rules(&local, &group), Vec::<Value>::new());

    save_and_follow(&local, "dev", &right);
    let network = crate::world::network(&local);
    let closed = ["ec2", "create-security-group", "--group-name", "closed", "--description", "closed"];
    let closed = local.aws(&[&closed[..], &["--vpc-id", &network.vpc]].concat()).unwrap();
    let closed = closed["GroupId"].as_str().unwrap();
    let egress = ["ec2", "revoke-security-group-egress", "--group-id", closed, "--protocol", "-1"];
    local.aws(&[&egress[..], &["--cidr", "0.0.0.0/0"]].concat()).unwrap();
    let worker = format!("{STACK}-dev-worker");
    let vpc = json!({"awsvpcConfiguration": {"subnets": network.subnets, "securityGroups": [closed]}});
    ecs(&local, "UpdateService", &json!({"cluster": "demo", "service": worker, "networkConfiguration": vpc}));
    let service =
        |name: &str, container: &str| json!({"cluster": "demo", "name": name, "container": container});
    // The registration stays the same, and the worker now runs elsewhere.
    let both = json!({"services": [service(&format!("{STACK}-dev"), "web"), service(&worker, "worker")]});
    let answer = local.api("PUT", &stage_path("dev", ""), Some(&both)).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "rolled-back", "{rebuild:?}");
    let reason = rebuild.reason.unwrap();
    let from = format!("From the service demo/{worker} (security group {closed}, ");
    assert!(reason.contains(&from) && reason.contains("no route: the database doesn't answer"), "{reason}");
    let left = rules(&local, &group);
    assert_eq!(left.len(), 1, "the rule of the first service stays: {left:?}");
    assert_eq!(query(&secret(&local, "dev"), "select 1"), "1");
}
