//! What the tests do and look at.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use local::{LocalAws, Options, Rebuild, Timings};
use serde_json::{Value, json};

pub(crate) const STACK: &str = "test-django2";
pub(crate) const PASSWORD: &str = "password";

/// A local AWS with the stages `dev` and `prod` of the stack `test-django2`, without databases.
pub(crate) fn world() -> LocalAws {
    let timings =
        Timings { rds_create_seconds: Some(0.5), ecs_steady_seconds: Some(1.5), ..Timings::default() };
    let options = Options { demo_stages: true, timings, ..Options::default() };
    LocalAws::start(&options).unwrap()
}

pub(crate) fn stage_path(stage: &str, of: &str) -> String {
    format!("/api/stacks/{STACK}/stages/{stage}{of}")
}

pub(crate) fn settings(class: &str, storage: u32) -> Value {
    json!({"source": "created", "instanceClass": class, "storageGiB": storage, "databaseName": "app"})
}

pub(crate) fn micro() -> Value {
    settings("db.t4g.micro", 20)
}

/// The settings of a created database as the page knows them, in the order of the API.
pub(crate) fn definitions() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../web/src/settings.json")).unwrap()
}

/// Calls ECS.
pub(crate) fn ecs(local: &LocalAws, operation: &str, body: &Value) -> Value {
    local.post_json(&format!("AmazonEC2ContainerServiceV20141113.{operation}"), body).unwrap()
}

/// Saves, and expects this status.
pub(crate) fn save(local: &LocalAws, stage: &str, settings: &Value, status: u16) -> Value {
    let answer = local.api("PUT", &stage_path(stage, "/database"), Some(settings)).unwrap();
    assert_eq!(answer.status, status, "{}", answer.text);
    if status == 202 {
        assert_eq!(answer.header("location"), Some(stage_path(stage, "/rebuild").as_str()));
    }
    answer.body
}

/// Follows a rebuild to its end, and returns it with the phases it went through.
pub(crate) fn follow(local: &LocalAws, stage: &str) -> (Rebuild, Vec<String>) {
    let phases = Mutex::new(Vec::<String>::new());
    let ended = local.wait_for_rebuild(STACK, stage, |rebuild| {
        let mut phases = phases.lock().unwrap();
        if phases.last() != Some(&rebuild.phase) {
            phases.push(rebuild.phase.clone());
        }
    });
    let phases = phases.into_inner().unwrap();
    // `wait_for_rebuild` returns an error for a failed rebuild, so read the rebuild itself.
    let rebuild = ended.unwrap_or_else(|_| {
        let answer = local.api("GET", &stage_path(stage, "/rebuild"), None).unwrap();
        serde_json::from_value(answer.body).unwrap()
    });
    (rebuild, phases)
}

/// Saves and follows the rebuild, which must succeed.
pub(crate) fn save_and_follow(local: &LocalAws, stage: &str, settings: &Value) -> Vec<String> {
    save(local, stage, settings, 202);
    let (rebuild, phases) = follow(local, stage);
    assert_eq!(rebuild.phase, "complete", "{rebuild:?}");
    phases
}

/// The DB instance of a stage as RDS describes it, if it exists.
pub(crate) fn instance(local: &LocalAws, stage: &str) -> Option<Value> {
    let identifier = format!("{STACK}-{stage}-postgres");
    let all = local.aws(&["rds", "describe-db-instances"]).unwrap();
    all["DBInstances"].as_array().unwrap().iter().find(|i| i["DBInstanceIdentifier"] == *identifier).cloned()
}

/// The secret's current value.
pub(crate) fn secret(local: &LocalAws, stage: &str) -> Value {
    let body = json!({"SecretId": format!("{stage}-{STACK}-postgres")});
    let answer = local.post_json("secretsmanager.GetSecretValue", &body).unwrap();
    serde_json::from_str(answer["SecretString"].as_str().unwrap()).unwrap()
}

/// Runs SQL with `psql` over TLS with these credentials.
pub(crate) fn psql(secret: &Value, password: &str, sql: &str) -> Output {
    psql_command(secret, password, sql).output().unwrap()
}

/// The same, before it runs.
pub(crate) fn psql_command(secret: &Value, password: &str, sql: &str) -> Command {
    let text = |key: &str| secret[key].as_str().map_or_else(|| secret[key].to_string(), str::to_owned);
    let connection = format!(
        "host={} port={} dbname={} user={} sslmode=require connect_timeout=5",
        text("host"),
        text("port"),
        text("dbname"),
        text("username")
    );
    let mut command = Command::new("psql");
    command.args([&connection, "--no-psqlrc", "--tuples-only", "--no-align", "--command", sql]);
    command.env("PGPASSWORD", password);
    command
}

/// What a query prints, with the secret's own password.
pub(crate) fn query(secret: &Value, sql: &str) -> String {
    let output = psql(secret, secret[PASSWORD].as_str().unwrap(), sql);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What jq prints for this input, one compact JSON value a line.
pub(crate) fn jq(filter: &str, input: &Value) -> Vec<Value> {
    let mut command = Command::new("jq");
    command.args(["--compact-output", filter]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The stage's web service.
pub(crate) fn service(local: &LocalAws, stage: &str) -> Value {
    service_named(local, &format!("{STACK}-{stage}"))
}

/// The ECS service of this name.
pub(crate) fn service_named(local: &LocalAws, name: &str) -> Value {
    let body = json!({"cluster": "demo", "services": [name], "include": ["TAGS"]});
    ecs(local, "DescribeServices", &body)["services"][0].clone()
}

/// A task definition, by its ARN or its family.
pub(crate) fn definition(local: &LocalAws, name: &Value) -> Value {
    ecs(local, "DescribeTaskDefinition", &json!({"taskDefinition": name}))["taskDefinition"].clone()
}

/// The names of the runtime variables that a container definition has.
pub(crate) fn variables_of(container: &Value) -> Vec<String> {
    let secrets = container["secrets"].as_array().into_iter().flatten();
    secrets.filter_map(|secret| secret["name"].as_str().map(str::to_owned)).collect()
}

/// The names of the runtime variables that the tasks of a service start with.
pub(crate) fn variables_of_service(local: &LocalAws, name: &str) -> Vec<String> {
    let found = definition(local, &service_named(local, name)["taskDefinition"]);
    variables_of(&found["containerDefinitions"][0])
}

/// The ID of the service's latest deployment.
pub(crate) fn deployment(local: &LocalAws, stage: &str) -> String {
    service(local, stage)["deployments"][0]["id"].as_str().unwrap().to_owned()
}

/// The container definition that the service's tasks start from.
pub(crate) fn container(local: &LocalAws, stage: &str) -> Value {
    definition(local, &service(local, stage)["taskDefinition"])["containerDefinitions"][0].clone()
}

/// Waits until something holds, and fails after a minute.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("this didn't happen within a minute: {what}");
}

/// The status of the stack of the stage `dev`, or `None` once it's deleted.
pub(crate) fn stack_status(local: &LocalAws) -> Option<String> {
    let stacks = local.aws(&["cloudformation", "describe-stacks"]).unwrap();
    let stacks = stacks["Stacks"].as_array().unwrap();
    let stack = stacks.iter().find(|stack| stack["StackName"] == "test-django2-dev")?;
    let status = stack["StackStatus"].as_str().unwrap();
    (status != "DELETE_COMPLETE").then(|| status.to_owned())
}

/// The ID of the demo's VPC.
pub(crate) fn vpc(local: &LocalAws) -> Value {
    let demo = local.aws(&["cloudformation", "describe-stacks", "--stack-name", "demo"]).unwrap();
    let outputs = demo["Stacks"][0]["Outputs"].as_array().unwrap();
    outputs.iter().find(|output| output["OutputKey"] == "VpcId").unwrap()["OutputValue"].clone()
}

/// The network of the demo's stack.
pub(crate) struct Network {
    pub(crate) vpc: String,
    pub(crate) subnets: Vec<String>,
}

pub(crate) fn network(local: &LocalAws) -> Network {
    let service = service(local, "dev");
    let subnets = service["networkConfiguration"]["awsvpcConfiguration"]["subnets"].as_array().unwrap();
    Network {
        vpc: vpc(local).as_str().unwrap().to_owned(),
        subnets: subnets.iter().map(|subnet| subnet.as_str().unwrap().to_owned()).collect(),
    }
}

/// The password of the databases that stagedb doesn't manage.
pub(crate) const THEIR_PASSWORD: &str = "their-Own-password-4711";

/// Creates a subnet group and a security group in the demo's VPC that stagedb doesn't manage.
pub(crate) fn their_network(local: &LocalAws) -> String {
    let network = network(local);
    let mut group = vec!["rds", "create-db-subnet-group", "--db-subnet-group-name", "theirs"];
    group.extend(["--db-subnet-group-description", "theirs", "--subnet-ids"]);
    group.extend(network.subnets.iter().map(String::as_str));
    local.aws(&group).unwrap();
    let made = local
        .aws(&[
            "ec2",
            "create-security-group",
            "--group-name",
            "theirs",
            "--description",
            "theirs",
            "--vpc-id",
            &network.vpc,
        ])
        .unwrap();
    let group = made["GroupId"].as_str().unwrap().to_owned();
    let tag = ["ec2", "create-tags", "--tags", "Key=stagedb:attachable,Value=true", "--resources", &group];
    local.aws(&tag).unwrap();
    group
}

/// Creates a role, as another team does for its service. Only with a name such as `team-web` may stagedb pass it to ECS.
pub(crate) fn role(local: &LocalAws, name: &str) -> String {
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs-tasks.amazonaws.com"},
    }]});
    let create = ["iam", "create-role", "--role-name", name, "--assume-role-policy-document"];
    let made = local.aws(&[&create[..], &[&trust.to_string()]].concat()).unwrap();
    let policy = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";
    local.aws(&["iam", "attach-role-policy", "--role-name", name, "--policy-arn", policy]).unwrap();
    made["Role"]["Arn"].as_str().unwrap().to_owned()
}

/// Creates an RDS for PostgreSQL instance that stagedb doesn't manage, with the database `orders`.
pub(crate) fn their_instance(local: &LocalAws, identifier: &str, security_group: &str) {
    local
        .aws(&[
            "rds",
            "create-db-instance",
            "--db-instance-identifier",
            identifier,
            "--engine",
            "postgres",
            "--db-instance-class",
            "db.t4g.large",
            "--allocated-storage",
            "50",
            "--db-name",
            "orders",
            "--master-username",
            "clerk",
            "--master-user-password",
            THEIR_PASSWORD,
            "--db-subnet-group-name",
            "theirs",
            "--vpc-security-group-ids",
            security_group,
            "--deletion-protection",
        ])
        .unwrap();
    eventually("the existing instance is available", || {
        described(local, identifier)["DBInstanceStatus"] == "available"
    });
}

/// Creates an Aurora PostgreSQL cluster that stagedb doesn't manage, with one instance and the database `ledger`.
pub(crate) fn their_cluster(local: &LocalAws, identifier: &str, security_group: &str) {
    local
        .aws(&[
            "rds",
            "create-db-cluster",
            "--db-cluster-identifier",
            identifier,
            "--engine",
            "aurora-postgresql",
            "--database-name",
            "ledger",
            "--master-username",
            "clerk",
            "--master-user-password",
            THEIR_PASSWORD,
            "--db-subnet-group-name",
            "theirs",
            "--vpc-security-group-ids",
            security_group,
        ])
        .unwrap();
    let writer = format!("{identifier}-1");
    local
        .aws(&[
            "rds",
            "create-db-instance",
            "--db-instance-identifier",
            &writer,
            "--db-cluster-identifier",
            identifier,
            "--engine",
            "aurora-postgresql",
            "--db-instance-class",
            "db.t4g.medium",
        ])
        .unwrap();
    eventually("the existing cluster is available", || {
        described_cluster(local, identifier)["Status"] == "available"
            && described(local, &writer)["DBInstanceStatus"] == "available"
    });
}

/// Everything that RDS shows of an instance.
pub(crate) fn described(local: &LocalAws, identifier: &str) -> Value {
    let found = local.aws(&["rds", "describe-db-instances", "--db-instance-identifier", identifier]).unwrap();
    found["DBInstances"][0].clone()
}

/// Everything that RDS shows of a cluster.
pub(crate) fn described_cluster(local: &LocalAws, identifier: &str) -> Value {
    let found = local.aws(&["rds", "describe-db-clusters", "--db-cluster-identifier", identifier]).unwrap();
    found["DBClusters"][0].clone()
}

/// The inbound rules of a security group.
pub(crate) fn rules(local: &LocalAws, security_group: &str) -> Vec<Value> {
    let filter = format!("Name=group-id,Values={security_group}");
    let found = local.aws(&["ec2", "describe-security-group-rules", "--filters", &filter]).unwrap();
    let rules = found["SecurityGroupRules"].as_array().unwrap();
    rules.iter().filter(|rule| rule["IsEgress"] == false).cloned().collect()
}

/// Removes the database and follows the rebuild, which must succeed.
pub(crate) fn remove(local: &LocalAws, stage: &str, identifier: &str) {
    let confirm = json!({"confirm": identifier});
    let answer = local.api("DELETE", &stage_path(stage, "/database"), Some(&confirm)).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    let (rebuild, _) = follow(local, stage);
    assert_eq!(rebuild.phase, "complete", "{rebuild:?}");
}

/// What the API shows of a stage's database.
pub(crate) fn shown(local: &LocalAws, stage: &str) -> Value {
    let answer = local.api("GET", &stage_path(stage, "/database"), None).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

/// Deletes a stage's whole stack without the API, as someone could in the console.
pub(crate) fn delete_stack_by_force(local: &LocalAws, stack: &str) {
    let name = ["--stack-name", stack];
    let unprotect = ["cloudformation", "update-termination-protection", "--no-enable-termination-protection"];
    local.aws(&[&unprotect[..], &name].concat()).unwrap();
    local.aws(&[&["cloudformation", "delete-stack"][..], &name].concat()).unwrap();
}

/// An output of the application's stack.
pub(crate) fn output(local: &LocalAws, name: &str) -> String {
    let found = local.aws(&["cloudformation", "describe-stacks", "--stack-name", "stagedb"]).unwrap();
    let outputs = found["Stacks"][0]["Outputs"].as_array().unwrap();
    let output = outputs.iter().find(|output| output["OutputKey"] == name).unwrap();
    output["OutputValue"].as_str().unwrap().to_owned()
}
