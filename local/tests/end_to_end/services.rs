//! A stage with several services and jobs.

use serde_json::{Value, json};

use crate::world::{
    definition, ecs, eventually, follow, micro, role, rules, save_and_follow, service_named, stage_path,
    variables_of, variables_of_service, vpc, world,
};

const WEB: &str = "test-django2-prod";

/// Another service in the demo's cluster, in a security group of its own.
pub(crate) fn another_service(local: &local::LocalAws, name: &str) -> String {
    let vpc = vpc(local);
    let made = local
        .aws(&[
            "ec2",
            "create-security-group",
            "--group-name",
            name,
            "--description",
            name,
            "--vpc-id",
            vpc.as_str().unwrap(),
        ])
        .unwrap();
    let group = made["GroupId"].as_str().unwrap().to_owned();
    let mut network = service_named(local, WEB)["networkConfiguration"].clone();
    network["awsvpcConfiguration"]["securityGroups"] = json!([group]);
    let container = json!({"name": "run", "image": "run:1"});
    let registered = ecs(
        local,
        "RegisterTaskDefinition",
        &json!({
            "family": name, "containerDefinitions": [container], "networkMode": "awsvpc",
            "executionRoleArn": role(local, &format!("team-{name}")),
        }),
    );
    let definition = registered["taskDefinition"]["taskDefinitionArn"].clone();
    let service = json!({
        "cluster": "demo", "serviceName": name, "desiredCount": 1, "launchType": "FARGATE",
        "taskDefinition": definition, "networkConfiguration": network,
    });
    ecs(local, "CreateService", &service);
    group
}

fn register(local: &local::LocalAws, services: &[(&str, &str)], jobs: &Value) {
    let service =
        |(name, container): &(&str, &str)| json!({"cluster": "demo", "name": name, "container": container});
    let services: Vec<_> = services.iter().map(service).collect();
    let body = json!({"services": services, "jobs": jobs});
    let answer = local.api("PUT", &stage_path("prod", ""), Some(&body)).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    let (rebuild, _) = follow(local, "prod");
    assert_eq!(rebuild.phase, "complete", "{rebuild:?}");
}

/// The security groups that can connect to the stage's created database.
fn sources(local: &local::LocalAws) -> Vec<String> {
    let resources = local
        .aws(&["cloudformation", "describe-stack-resources", "--stack-name", "test-django2-prod"])
        .unwrap();
    let mut all = resources["StackResources"].as_array().unwrap().iter();
    let group = all.find(|resource| resource["LogicalResourceId"] == "DatabaseSecurityGroup").unwrap();
    let rules = rules(local, group["PhysicalResourceId"].as_str().unwrap());
    let source = |rule: &Value| rule["ReferencedGroupInfo"]["GroupId"].as_str().unwrap().to_owned();
    let mut sources: Vec<_> = rules.iter().map(source).collect();
    sources.sort();
    sources
}

/// The roles that the secret's policy names.
fn readers(local: &local::LocalAws) -> String {
    let body = json!({"SecretId": "prod-test-django2-postgres"});
    let policy = local.post_json("secretsmanager.GetResourcePolicy", &body).unwrap();
    policy["ResourcePolicy"].as_str().unwrap().to_owned()
}

#[test]
fn a_service_that_is_added_or_removed_while_there_is_a_database_affects_no_other() {
    let local = world();
    save_and_follow(&local, "prod", &micro());
    let group = another_service(&local, "reports");
    let web =
        || (service_named(&local, WEB)["taskDefinition"].clone(), crate::world::deployment(&local, "prod"));
    let before = web();
    let web_group = sources(&local);
    assert_eq!(web_group.len(), 1);

    let container = json!({"name": "migrate", "image": "app:1"});
    let family = json!({
        "family": "test-django2-prod-migrate", "containerDefinitions": [container], "networkMode": "awsvpc",
        "executionRoleArn": role(&local, "team-migrate"),
    });
    ecs(&local, "RegisterTaskDefinition", &family);
    let group_of_jobs = another_service(&local, "jobs");
    let job = json!([
        {"family": "test-django2-prod-migrate", "container": "migrate", "securityGroupId": group_of_jobs},
    ]);
    register(&local, &[(WEB, "web"), ("reports", "run")], &job);
    assert_eq!(variables_of_service(&local, "reports").len(), 5);
    let let_in = sources(&local);
    assert!(let_in.contains(&group) && let_in.contains(&group_of_jobs), "they can connect: {let_in:?}");
    let readers_now = readers(&local);
    assert!(
        readers_now.contains("role/team-reports") && readers_now.contains("role/team-migrate"),
        "they can read the secret"
    );
    let migrate =
        || variables_of(&definition(&local, &json!("test-django2-prod-migrate"))["containerDefinitions"][0]);
    assert_eq!(migrate().len(), 5, "the job has them in its latest revision");

    let shown = local.api("GET", &stage_path("prod", ""), None).unwrap();
    let names: Vec<_> =
        shown.body["services"].as_array().unwrap().iter().map(|s| s["name"].clone()).collect();
    assert_eq!(names, [WEB, "reports"]);
    let steps = local.api("GET", &stage_path("prod", "/rebuild"), None).unwrap().body["steps"].clone();
    let containers = steps.as_array().unwrap().iter().filter(|step| step["name"] == "containers");
    let of: Vec<_> = containers.map(|step| step["service"].clone()).collect();
    assert_eq!(of, [format!("demo/{WEB}"), "demo/reports".to_owned()]);
    assert_eq!(web(), before, "the other service wasn't touched");

    register(&local, &[(WEB, "web")], &json!([]));
    eventually("its variables are removed", || variables_of_service(&local, "reports").is_empty());
    eventually("it belongs to no stage", || {
        service_named(&local, "reports")["tags"].as_array().is_none_or(Vec::is_empty)
    });
    assert_eq!(sources(&local), web_group);
    assert_eq!(migrate(), [""; 0], "nor has the job");
    assert!(!readers(&local).contains("role/team-reports"));
    assert_eq!(web(), before, "the other service wasn't touched");
}

#[test]
fn services_in_two_vpcs_or_in_one_zone_are_refused_by_name() {
    let local = world();
    let made = local.aws(&["ec2", "create-vpc", "--cidr-block", "10.77.0.0/16"]).unwrap();
    let vpc = made["Vpc"]["VpcId"].as_str().unwrap().to_owned();
    let subnet = |zone: &str, block: &str| {
        let made = local
            .aws(&[
                "ec2",
                "create-subnet",
                "--vpc-id",
                &vpc,
                "--cidr-block",
                block,
                "--availability-zone",
                zone,
            ])
            .unwrap();
        made["Subnet"]["SubnetId"].clone()
    };
    let subnets = [subnet("us-east-1a", "10.77.0.0/24"), subnet("us-east-1a", "10.77.1.0/24")];
    another_service(&local, "elsewhere");
    let network = json!({"awsvpcConfiguration": {"subnets": subnets, "securityGroups": ["sg-1"]}});
    ecs(
        &local,
        "UpdateService",
        &json!({"cluster": "demo", "service": "elsewhere", "networkConfiguration": network}),
    );
    let detail = |names: &[&str]| {
        let service = |name: &&str| json!({"cluster": "demo", "name": name, "container": if *name == WEB { "web" } else { "run" }});
        let services: Vec<_> = names.iter().map(service).collect();
        let answer =
            local.api("PUT", "/api/stacks/shop/stages/x", Some(&json!({"services": services}))).unwrap();
        assert_eq!(answer.status, 422, "{}", answer.text);
        answer.body["detail"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        detail(&["elsewhere"]),
        "/services must have subnets in at least two Availability Zones, because RDS needs them. The subnets of elsewhere are in \
         us-east-1a."
    );
    // The service belongs to `prod`, whose registration is changed.
    let both = json!({"services": [
        {"cluster": "demo", "name": WEB, "container": "web"}, {"cluster": "demo", "name": "elsewhere", "container": "run"},
    ]});
    let answer = local.api("PUT", &stage_path("prod", ""), Some(&both)).unwrap();
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(
        detail
            .starts_with("/services/1/name must be a service in the same VPC as the others. elsewhere is in"),
        "{detail}"
    );
}

#[test]
fn the_list_of_services_says_what_can_be_registered_and_suggests_names() {
    let local = world();
    another_service(&local, "reports");
    let arn = service_named(&local, "reports")["serviceArn"].clone();
    let tag = |key: &str, value: &str| json!({"key": key, "value": value});
    let tags = [tag("copilot-application", "shop"), tag("copilot-environment", "test")];
    ecs(&local, "TagResource", &json!({"resourceArn": arn, "tags": tags}));
    // More than a page.
    let definition = service_named(&local, "reports")["taskDefinition"].clone();
    for number in 0..25 {
        let service = json!({
            "cluster": "demo", "serviceName": format!("idle-{number}"), "desiredCount": 0, "taskDefinition": definition,
        });
        ecs(&local, "CreateService", &service);
    }
    let mut services = Vec::new();
    let mut query = String::new();
    loop {
        let page = local.api("GET", &format!("/api/services{query}"), None).unwrap();
        assert_eq!(page.status, 200, "{}", page.text);
        services.extend(page.body["services"].as_array().unwrap().clone());
        let Some(token) = page.body["nextToken"].as_str() else { break };
        query = format!("?nextToken={token}");
    }
    assert!(services.len() > 25, "{}", services.len());
    let stale = local.api("GET", "/api/services?nextToken=7b", None).unwrap();
    assert_eq!(stale.status, 400, "{}", stale.text);
    let named = |name: &str| services.iter().find(|service| service["name"] == name).unwrap().clone();
    let reports = named("reports");
    assert_eq!((&reports["registrable"], &reports["containers"]), (&json!(true), &json!(["run"])));
    assert_eq!(reports["suggested"], json!({"stack": "shop", "stage": "test"}));
    assert_eq!(reports["vpcId"], vpc(&local));
    assert_eq!(reports["availabilityZones"], json!(["us-east-1a", "us-east-1b"]));
    let idle = named("idle-24");
    assert_eq!(
        (&idle["registrable"], &idle["whyNot"]),
        (
            &json!(false),
            &json!("It doesn't use the awsvpc network mode, so it has no subnets and no security group.")
        )
    );
    let web = named("test-django2-dev");
    assert_eq!((&web["registrable"], &web["stage"]), (&json!(false), &json!("test-django2/dev")));
    assert_eq!(web["whyNot"], "It belongs to the stage test-django2/dev.");
    assert_eq!(web["suggested"], json!({"stack": "demo"}), "the demo's CloudFormation stack");
}

#[test]
fn a_service_that_others_deploy_or_that_is_inactive_is_refused_by_name() {
    let local = world();
    another_service(&local, "blue-green");
    another_service(&local, "gone");
    let model = service_named(&local, "blue-green");
    let service = json!({
        "cluster": "demo", "serviceName": "by-codedeploy", "desiredCount": 0, "launchType": "FARGATE",
        "taskDefinition": model["taskDefinition"], "networkConfiguration": model["networkConfiguration"],
        "deploymentController": {"type": "CODE_DEPLOY"},
    });
    ecs(&local, "CreateService", &service);
    ecs(&local, "DeleteService", &json!({"cluster": "demo", "service": "gone", "force": true}));
    for (name, expected) in [
        (
            "by-codedeploy",
            "/services/0/name must be a service that can be registered. by-codedeploy has the deployment controller \
             CODE_DEPLOY, which would undo a redeployment. It must be ECS.",
        ),
        (
            "gone",
            "/services/0/name must be the name of an active ECS service in the cluster. The cluster demo has no active \
             service gone.",
        ),
    ] {
        let services = json!([{"cluster": "demo", "name": name, "container": "run"}]);
        let answer =
            local.api("PUT", "/api/stacks/shop/stages/x", Some(&json!({"services": services}))).unwrap();
        assert_eq!((answer.status, answer.body["detail"].as_str().unwrap()), (422, expected));
    }
    assert_eq!(
        local.api("GET", "/api/stacks/shop/stages/x", None).unwrap().status,
        404,
        "nothing was started"
    );
}

#[test]
fn until_a_stage_has_a_database_its_subnets_are_those_of_its_services() {
    let local = world();
    let vpc = vpc(&local);
    let create =
        ["ec2", "create-subnet", "--cidr-block", "10.42.64.0/20", "--availability-zone", "us-east-1c"];
    let made = local.aws(&[&create[..], &["--vpc-id", vpc.as_str().unwrap()]].concat()).unwrap();
    let third = made["Subnet"]["SubnetId"].clone();
    another_service(&local, "reports");
    let mut network = service_named(&local, "reports")["networkConfiguration"].clone();
    network["awsvpcConfiguration"]["subnets"].as_array_mut().unwrap().push(third.clone());
    let change = json!({"cluster": "demo", "service": "reports", "networkConfiguration": network});
    ecs(&local, "UpdateService", &change);
    register(&local, &[(WEB, "web"), ("reports", "run")], &json!([]));
    let groups = local.aws(&["rds", "describe-db-subnet-groups"]).unwrap();
    let groups = groups["DBSubnetGroups"].as_array().unwrap();
    let of_stage =
        |group: &&Value| group["DBSubnetGroupName"].as_str().unwrap().starts_with("test-django2-prod-");
    let subnets = groups.iter().find(of_stage).unwrap()["Subnets"].as_array().unwrap();
    assert_eq!(subnets.len(), 3, "{subnets:?}");
    assert!(subnets.iter().any(|subnet| subnet["SubnetIdentifier"] == third), "{subnets:?}");
}
