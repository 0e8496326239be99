//! What stagedb's roles may not do: each permission, on the closest thing that isn't stagedb's.

use std::collections::BTreeMap;

use local::{Actor, LocalAws};
use serde_json::{Value, json};

use crate::world::{
    THEIR_PASSWORD, definition, micro, network, output, role, save_and_follow, service, service_named,
    stage_path, their_instance, their_network, world,
};

const CLOUDFORMATION: (&str, &str) = ("cloudformation", "2010-05-15");
const EC2: (&str, &str) = ("ec2", "2016-11-15");
const RDS: (&str, &str) = ("rds", "2014-10-31");

/// A call that must be denied.
enum Call {
    /// With JSON 1.1: the target, and the body.
    Json(&'static str, Value),
    /// With the Query protocol: the service and version, the operation, and its parameters.
    Query((&'static str, &'static str), &'static str, Vec<(&'static str, String)>),
}

/// Expected denials: who makes the call, what it's about, the call, and the action that AWS names.
struct Denials<'a> {
    local: &'a LocalAws,
    actors: BTreeMap<&'static str, Actor>,
    seen: Vec<String>,
}

impl<'a> Denials<'a> {
    fn new(local: &'a LocalAws) -> Self {
        Self { local, actors: BTreeMap::new(), seen: Vec::new() }
    }

    fn denied(&mut self, role: &'static str, about: &str, call: &Call, action: &str) {
        let local = self.local;
        let actor = self.actors.entry(role).or_insert_with(|| local.as_role(role, 3600).unwrap());
        self.seen.push(denied(actor, &format!("{role}: {about}"), call, action));
    }

    fn denied_elsewhere(&mut self, role: &'static str, about: &str, call: &Call, action: &str) {
        let local = self.local;
        let actor = self.actors.entry(role).or_insert_with(|| local.as_role(role, 3600).unwrap());
        let about = format!("{role} in another Region: {about}");
        self.seen.push(denied(&actor.in_region("eu-west-1"), &about, call, action));
    }
}

fn made(actor: &Actor, call: &Call) -> anyhow::Result<()> {
    match call {
        Call::Json(target, body) => actor.json(target, body).map(drop),
        Call::Query((service, version), operation, parameters) => {
            let named = parameters.iter().map(|(name, value)| (*name, value.as_str()));
            let fields: Vec<_> = [("Action", *operation)].into_iter().chain(named).collect();
            actor.query(service, version, &fields).map(drop)
        }
    }
}

fn denied(actor: &Actor, about: &str, call: &Call, action: &str) -> String {
    let Err(error) = made(actor, call) else { panic!("{about}: it was allowed") };
    let error = error.to_string();
    let expected = format!("is not authorized to perform: {action} on resource: ");
    assert!(error.contains(&expected), "{about}: {error}");
    assert!(
        error.contains(&format!("because no identity-based policy allows the {action} action")),
        "{about}: {error}"
    );
    about.to_owned()
}

fn secret(local: &LocalAws, name: &str, tags: &Value) -> String {
    let body = json!({
        "Name": name, "SecretString": "{\"username\":\"clerk\",\"password\":\"theirs\"}", "Tags": tags,
        "ClientRequestToken": format!("the-first-version-of-{name:0>20}"),
    });
    local.post_json("secretsmanager.CreateSecret", &body).unwrap()["ARN"].as_str().unwrap().to_owned()
}

fn tagged(key: &str, value: &str) -> Value {
    json!([{"Key": key, "Value": value}])
}

fn template() -> String {
    json!({"Resources": {"Name": {
        "Type": "AWS::SSM::Parameter", "Properties": {"Name": "/billing/name", "Type": "String", "Value": "x"},
    }}})
    .to_string()
}

/// Another team's stack.
fn their_stack(local: &LocalAws) {
    let create = ["cloudformation", "create-stack", "--stack-name", "billing", "--template-body"];
    local.aws(&[&create[..], &[&template()]].concat()).unwrap();
    local.aws(&["cloudformation", "wait", "stack-create-complete", "--stack-name", "billing"]).unwrap();
}

/// A service that no stage is registered with.
fn their_service(local: &LocalAws) {
    let registered = local
        .post_json(
            "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition",
            &json!({
                "family": "billing", "containerDefinitions": [{"name": "web", "image": "billing:1"}],
                "networkMode": "awsvpc", "executionRoleArn": role(local, "team-billing"),
            }),
        )
        .unwrap();
    let service = json!({
        "cluster": "demo", "serviceName": "billing", "desiredCount": 1, "launchType": "FARGATE",
        "taskDefinition": registered["taskDefinition"]["taskDefinitionArn"],
        "networkConfiguration": service_named(local, "test-django2-prod")["networkConfiguration"],
    });
    local.post_json("AmazonEC2ContainerServiceV20141113.CreateService", &service).unwrap();
}

#[test]
fn no_role_can_touch_what_stagedb_does_not_own() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let mut table = Denials::new(&local);
    of_settings_api(&mut table);
    of_settings_api_with_secrets(&mut table);
    of_settings_api_with_services(&mut table);
    of_credentials(&mut table);
    of_databases(&mut table);
    of_access(&mut table);
    of_publishing(&mut table);
    of_clients(&mut table);
    of_stage_stacks(&mut table);
    of_the_history(&mut table);
    assert!(table.seen.len() >= 70, "{} denials: {:#?}", table.seen.len(), table.seen);
}

fn of_settings_api(table: &mut Denials<'_>) {
    const ROLE: &str = "SettingsApiRole";
    let local = table.local;
    their_stack(local);
    let admin = role(local, "admin");
    let stacks = |operation, parameters: &[(&'static str, &str)]| {
        let parameters = parameters.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Call::Query(CLOUDFORMATION, operation, parameters)
    };
    let stage_role = local.role_arn("StageStackRole").unwrap();
    let (ours, theirs) = (("StackName", "test-django2-dev"), ("StackName", "billing"));
    let (with_role, with_admin) = (("RoleARN", stage_role.as_str()), ("RoleARN", admin.as_str()));
    let template = template();
    let body = ("TemplateBody", template.as_str());
    let change_set = ("ChangeSetName", "preview");
    for (about, operation, parameters) in [
        ("another team's stack", "UpdateStack", &[theirs, body, with_role][..]),
        ("a stage's stack without its role", "UpdateStack", &[ours, body]),
        ("a stage's stack with another role", "UpdateStack", &[ours, body, with_admin]),
        ("a stack without the role", "CreateStack", &[("StackName", "new"), body]),
        ("a stack with another role", "CreateStack", &[("StackName", "new"), body, with_admin]),
        ("another team's stack", "DeleteStack", &[theirs, with_role]),
        ("another team's stack", "CreateChangeSet", &[theirs, body, with_role, change_set]),
        ("another team's stack", "DescribeChangeSet", &[theirs, change_set]),
        ("another team's stack", "DeleteChangeSet", &[theirs, change_set]),
        ("another team's stack", "ContinueUpdateRollback", &[theirs, with_role]),
        (
            "another team's stack",
            "UpdateTerminationProtection",
            &[theirs, ("EnableTerminationProtection", "false")],
        ),
    ] {
        let action = format!("cloudformation:{operation}");
        table.denied(ROLE, about, &stacks(operation, parameters), &action);
    }
    let elsewhere = stacks("CreateStack", &[("StackName", "new"), body, with_role]);
    table.denied_elsewhere(ROLE, "a stack", &elsewhere, "cloudformation:CreateStack");
}

fn of_settings_api_with_secrets(table: &mut Denials<'_>) {
    const ROLE: &str = "SettingsApiRole";
    let local = table.local;
    let private = secret(local, "billing/password", &json!([]));
    let attachable = secret(local, "billing/open", &tagged("stagedb:attachable", "true"));
    let closed = secret(local, "billing/closed", &tagged("stagedb:attachable", "false"));
    let look_alike = secret(local, "dev-billing-postgres", &json!([]));
    let secrets = |target, body| Call::Json(target, body);
    let id = |arn: &str| json!({"SecretId": arn});
    for (about, arn) in [
        ("another team's secret", &private),
        ("a secret with another tag", &closed),
        ("a secret with a stage's kind of name", &look_alike),
    ] {
        table.denied(
            ROLE,
            about,
            &secrets("secretsmanager.GetSecretValue", id(arn)),
            "secretsmanager:GetSecretValue",
        );
        table.denied(
            ROLE,
            about,
            &secrets("secretsmanager.DescribeSecret", id(arn)),
            "secretsmanager:DescribeSecret",
        );
    }
    let put = |arn: &str| json!({"SecretId": arn, "SecretString": "x", "ClientRequestToken": "0123456789-0123456789-0123456789-01"});
    let moved = |arn: &str| json!({"SecretId": arn, "VersionStage": "AWSCURRENT"});
    for (about, arn) in [
        ("a secret that can only be copied", &attachable),
        ("a secret with a stage's kind of name", &look_alike),
    ] {
        table.denied(
            ROLE,
            about,
            &secrets("secretsmanager.PutSecretValue", put(arn)),
            "secretsmanager:PutSecretValue",
        );
        table.denied(
            ROLE,
            about,
            &secrets("secretsmanager.UpdateSecretVersionStage", moved(arn)),
            "secretsmanager:UpdateSecretVersionStage",
        );
    }
    table.denied(
        ROLE,
        "a stage's secret",
        &secrets("secretsmanager.DeleteSecret", id("dev-test-django2-postgres")),
        "secretsmanager:DeleteSecret",
    );
}

fn of_settings_api_with_services(table: &mut Denials<'_>) {
    const ROLE: &str = "SettingsApiRole";
    let local = table.local;
    their_service(local);
    let service = "arn:aws:ecs:us-east-1:000000000000:service/demo/test-django2-dev";
    let ecs = |operation, body| Call::Json(operation, body);
    let deploy = json!({"cluster": "demo", "service": "test-django2-dev", "desiredCount": 0});
    table.denied(
        ROLE,
        "a stage's service",
        &ecs("AmazonEC2ContainerServiceV20141113.UpdateService", deploy),
        "ecs:UpdateService",
    );
    let tag = json!({"resourceArn": service, "tags": [{"key": "team", "value": "x"}]});
    table.denied(
        ROLE,
        "a tag that isn't stagedb's",
        &ecs("AmazonEC2ContainerServiceV20141113.TagResource", tag),
        "ecs:TagResource",
    );
    let event = |source: &str, kind: &str| json!({"Entries": [{"Source": source, "DetailType": kind, "Detail": "{}"}]});
    for (about, entry) in [
        ("an event of someone else", event("billing", "Stage Variables Missing")),
        ("an event that isn't its own", event("stagedb", "Stage Rebuild Complete")),
    ] {
        table.denied(ROLE, about, &Call::Json("AWSEvents.PutEvents", entry), "events:PutEvents");
    }
    let instance = vec![("DBInstanceIdentifier", "test-django2-dev-postgres".to_owned())];
    table.denied(
        ROLE,
        "a stage's database",
        &Call::Query(RDS, "ModifyDBInstance", instance.clone()),
        "rds:ModifyDBInstance",
    );
    table.denied(
        ROLE,
        "a stage's database",
        &Call::Query(RDS, "DeleteDBInstance", instance),
        "rds:DeleteDBInstance",
    );
    table.denied_elsewhere(ROLE, "a service", &ecs("AmazonEC2ContainerServiceV20141113.TagResource", json!({
        "resourceArn": service.replace("us-east-1", "eu-west-1"), "tags": [{"key": "stagedb:stage", "value": "x"}],
    })), "ecs:TagResource");
}

/// Nobody can delete or change a record, and everything else is out of reach.
fn of_the_history(table: &mut Denials<'_>) {
    let group = output(table.local, "HistoryLogGroup");
    let of_history =
        json!({"logGroupName": group, "logStreamName": "test-django2/dev", "retentionInDays": 1});
    let logs = |operation: &str| match operation {
        "DeleteLogStream" => "Logs_20140328.DeleteLogStream",
        "DeleteLogGroup" => "Logs_20140328.DeleteLogGroup",
        _ => "Logs_20140328.PutRetentionPolicy",
    };
    for role in ["SettingsApiRole", "RecordChangesRole", "PublishVariablesRole", "StageStackRole"] {
        for operation in ["DeleteLogStream", "DeleteLogGroup", "PutRetentionPolicy"] {
            let call = Call::Json(logs(operation), of_history.clone());
            table.denied(role, "the history", &call, &format!("logs:{operation}"));
        }
    }
    let other = json!({"logGroupName": "/aws/lambda/stagedb-settings-api", "logStreamName": "x"});
    let get = Call::Json("Logs_20140328.GetLogEvents", other);
    table.denied("SettingsApiRole", "another log", &get, "logs:GetLogEvents");
    let read = Call::Json("Logs_20140328.GetLogEvents", of_history);
    table.denied("RecordChangesRole", "the history", &read, "logs:GetLogEvents");

    let parameter = |name: &str| json!({"Name": name, "Value": "x", "Type": "String", "Overwrite": true});
    let of_stage = parameter("/stagedb/test-django2/dev/secret-arn");
    for operation in ["GetParameter", "GetParameterHistory", "PutParameter"] {
        let target = match operation {
            "GetParameter" => "AmazonSSM.GetParameter",
            "GetParameterHistory" => "AmazonSSM.GetParameterHistory",
            _ => "AmazonSSM.PutParameter",
        };
        let call = Call::Json(target, of_stage.clone());
        for role in ["SettingsApiRole", "RecordChangesRole"] {
            table.denied(role, "a parameter of the stage", &call, &format!("ssm:{operation}"));
        }
    }
    let protection = Call::Json("AmazonSSM.PutParameter", parameter("/stagedb-protection/test-django2/dev"));
    table.denied("StageStackRole", "a stage's protection", &protection, "ssm:PutParameter");

    let user = json!({"UserPoolId": "us-east-1_Theirs", "Username": "someone"});
    let sign_out = Call::Json("AWSCognitoIdentityProviderService.AdminUserGlobalSignOut", user);
    table.denied("SettingsApiRole", "another user pool", &sign_out, "cognito-idp:AdminUserGlobalSignOut");
    let ours = json!({
        "UserPoolId": table.local.running().user_pool_id, "Username": "demo@example.com", "GroupName": "stagedb-admin",
    });
    let add = Call::Json("AWSCognitoIdentityProviderService.AdminAddUserToGroup", ours);
    table.denied("SettingsApiRole", "the groups of users", &add, "cognito-idp:AdminAddUserToGroup");
}

fn of_credentials(table: &mut Denials<'_>) {
    const ROLE: &str = "CredentialsResourceRole";
    let local = table.local;
    let get = |id: &str| Call::Json("secretsmanager.GetSecretValue", json!({"SecretId": id}));
    let put = |id: &str| {
        let body = json!({"SecretId": id, "SecretString": "x", "ClientRequestToken": "0123456789-0123456789-0123456789-02"});
        Call::Json("secretsmanager.PutSecretValue", body)
    };
    table.denied(ROLE, "another team's secret", &get("billing/password"), "secretsmanager:GetSecretValue");
    table.denied(
        ROLE,
        "a secret with a stage's kind of name",
        &get("dev-billing-postgres"),
        "secretsmanager:GetSecretValue",
    );
    table.denied(
        ROLE,
        "a secret that can only be copied",
        &put("billing/open"),
        "secretsmanager:PutSecretValue",
    );
    table.denied(
        ROLE,
        "a secret with a stage's kind of name",
        &put("dev-billing-postgres"),
        "secretsmanager:PutSecretValue",
    );
    // A stage's tags, but not its kind of name.
    secret(local, "billing/stage", &tagged("stagedb:stack", "shop"));
    table.denied(
        ROLE,
        "a secret with a stage's tags",
        &put("billing/stage"),
        "secretsmanager:PutSecretValue",
    );
    let delete = Call::Json("secretsmanager.DeleteSecret", json!({"SecretId": "dev-test-django2-postgres"}));
    table.denied(ROLE, "a stage's secret", &delete, "secretsmanager:DeleteSecret");
    let master = "stagedb/dev-billing/master-user";
    for (name, tags, action) in [
        ("billing/new", tagged("stagedb:stack", "shop"), "secretsmanager:CreateSecret"),
        (master, json!([]), "secretsmanager:CreateSecret"),
        (master, tagged("team", "billing"), "secretsmanager:CreateSecret"),
    ] {
        let create = Call::Json("secretsmanager.CreateSecret", json!({"Name": name, "Tags": tags}));
        table.denied(ROLE, &format!("a new secret {name} with the tags {tags}"), &create, action);
    }
    secret(local, master, &tagged("team", "billing"));
    let delete = Call::Json("secretsmanager.DeleteSecret", json!({"SecretId": master}));
    table.denied(ROLE, "a secret that isn't ours", &delete, "secretsmanager:DeleteSecret");
    // The client that logs in as the master user reads, and does nothing else.
    for (about, call, action) in [
        ("another team's secret", get("billing/password"), "secretsmanager:GetSecretValue"),
        ("a secret that isn't ours", get(master), "secretsmanager:GetSecretValue"),
        ("a stage's secret", put("dev-test-django2-postgres"), "secretsmanager:PutSecretValue"),
    ] {
        table.denied("LoginsRole", about, &call, action);
    }
}

fn of_databases(table: &mut Denials<'_>) {
    const ROLE: &str = "DatabaseProgressRole";
    let local = table.local;
    let group = their_network(local);
    their_instance(local, "billing-postgres", &group);
    their_instance(local, "billing", &group);
    let arn = |name: &str| format!("arn:aws:rds:us-east-1:000000000000:{name}");
    let tag =
        ["rds", "add-tags-to-resource", "--tags", "Key=stagedb:stage-stack-id,Value=x", "--resource-name"];
    local.aws(&[&tag[..], &[&arn("db:billing")]].concat()).unwrap();
    let snapshot = [
        "rds",
        "create-db-snapshot",
        "--db-instance-identifier",
        "billing-postgres",
        "--db-snapshot-identifier",
    ];
    local.aws(&[&snapshot[..], &["billing-postgres-1"]].concat()).unwrap();
    let rds = |operation, parameters: &[(&'static str, &str)]| {
        let parameters = parameters.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Call::Query(RDS, operation, parameters)
    };
    let (pattern, tags) = (("DBInstanceIdentifier", "billing-postgres"), ("DBInstanceIdentifier", "billing"));
    for (about, name) in
        [("another team's database", pattern), ("a database with our tags and another name", tags)]
    {
        table.denied(ROLE, about, &rds("ModifyDBInstance", &[name]), "rds:ModifyDBInstance");
        table.denied(ROLE, about, &rds("DeleteDBInstance", &[name]), "rds:DeleteDBInstance");
        let snapshot = ("DBSnapshotIdentifier", "shop-dev-postgres-2");
        table.denied(ROLE, about, &rds("CreateDBSnapshot", &[name, snapshot]), "rds:CreateDBSnapshot");
    }
    let create = [
        ("Engine", "postgres"),
        ("DBInstanceClass", "db.t4g.micro"),
        ("AllocatedStorage", "20"),
        ("MasterUsername", "postgres"),
        ("MasterUserPassword", THEIR_PASSWORD),
    ];
    let our_tag = [("Tags.Tag.1.Key", "stagedb:stage-stack-id"), ("Tags.Tag.1.Value", "x")];
    let new = ("DBInstanceIdentifier", "new-postgres");
    let without_tags = rds("CreateDBInstance", &[&create[..], &[new]].concat());
    table.denied(ROLE, "a database without our tags", &without_tags, "rds:CreateDBInstance");
    let other_name =
        rds("CreateDBInstance", &[&create[..], &our_tag, &[("DBInstanceIdentifier", "new")]].concat());
    table.denied(ROLE, "a database with another name", &other_name, "rds:CreateDBInstance");
    let elsewhere = rds("CreateDBInstance", &[&create[..], &our_tag, &[new]].concat());
    table.denied_elsewhere(ROLE, "a database", &elsewhere, "rds:CreateDBInstance");
    let restore = [new, ("DBSnapshotIdentifier", "billing-postgres-1"), ("DBInstanceClass", "db.t4g.micro")];
    let restored = rds("RestoreDBInstanceFromDBSnapshot", &[&restore[..], &our_tag].concat());
    table.denied(ROLE, "another team's snapshot", &restored, "rds:RestoreDBInstanceFromDBSnapshot");
    let name = arn("db:billing-postgres");
    let mark = [
        ("ResourceName", name.as_str()),
        ("Tags.Tag.1.Key", "stagedb:credentials"),
        ("Tags.Tag.1.Value", "x"),
    ];
    table.denied(ROLE, "another team's database", &rds("AddTagsToResource", &mark), "rds:AddTagsToResource");
    let ours = arn("db:test-django2-dev-postgres");
    let other_tag = [("ResourceName", ours.as_str()), ("Tags.Tag.1.Key", "team"), ("Tags.Tag.1.Value", "x")];
    table.denied(
        ROLE,
        "a tag that isn't stagedb's",
        &rds("AddTagsToResource", &other_tag),
        "rds:AddTagsToResource",
    );
    let untag = [("ResourceName", ours.as_str()), ("TagKeys.member.1", "stagedb:generation")];
    table.denied(
        ROLE,
        "a stage's database",
        &rds("RemoveTagsFromResource", &untag),
        "rds:RemoveTagsFromResource",
    );
    let snapshot = ("DBSnapshotIdentifier", "test-django2-dev-postgres-1");
    table.denied(ROLE, "a final snapshot", &rds("DeleteDBSnapshot", &[snapshot]), "rds:DeleteDBSnapshot");
    for (about, id) in
        [("another team's secret", "billing/password"), ("a secret that can be copied", "billing/open")]
    {
        let get = Call::Json("secretsmanager.GetSecretValue", json!({"SecretId": id}));
        table.denied(ROLE, about, &get, "secretsmanager:GetSecretValue");
    }
    let start = Call::Json(
        "AWSStepFunctions.StartExecution",
        json!({
            "stateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:billing", "input": "{}",
        }),
    );
    table.denied("DatabaseResourceRole", "another state machine", &start, "states:StartExecution");
    table.denied(
        "DatabaseResourceRole",
        "another team's database",
        &rds("DeleteDBInstance", &[pattern]),
        "rds:DeleteDBInstance",
    );
}

fn of_access(table: &mut Denials<'_>) {
    const ROLE: &str = "AccessResourceRole";
    let local = table.local;
    let vpc = network(local).vpc;
    let group = |name: &str| {
        let create = [
            "ec2",
            "create-security-group",
            "--description",
            "theirs",
            "--vpc-id",
            &vpc,
            "--group-name",
            name,
        ];
        local.aws(&create).unwrap()["GroupId"].as_str().unwrap().to_owned()
    };
    let theirs = group("billing");
    let open = group("open");
    local
        .aws(&["ec2", "create-tags", "--tags", "Key=stagedb:attachable,Value=true", "--resources", &open])
        .unwrap();
    let allow = [
        "ec2",
        "authorize-security-group-ingress",
        "--protocol",
        "tcp",
        "--port",
        "5432",
        "--source-group",
        &open,
    ];
    let made = local.aws(&[&allow[..], &["--group-id", &theirs]].concat()).unwrap();
    let rule = made["SecurityGroupRules"][0]["SecurityGroupRuleId"].as_str().unwrap().to_owned();
    let ec2 = |operation, parameters: &[(&'static str, &str)]| {
        let parameters = parameters.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Call::Query(EC2, operation, parameters)
    };
    let permission = [
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "5432"),
        ("IpPermissions.1.ToPort", "5432"),
        ("IpPermissions.1.Groups.1.GroupId", open.as_str()),
    ];
    let claim = [
        ("TagSpecification.1.ResourceType", "security-group-rule"),
        ("TagSpecification.1.Tag.1.Key", "stagedb:stage/shop/dev"),
        ("TagSpecification.1.Tag.1.Value", "x"),
    ];
    let authorize = |group: &str, more: &[(&'static str, &str)]| {
        ec2("AuthorizeSecurityGroupIngress", &[&[("GroupId", group)], &permission[..], more].concat())
    };
    let action = "ec2:AuthorizeSecurityGroupIngress";
    table.denied(ROLE, "another team's security group", &authorize(&theirs, &claim), action);
    table.denied(ROLE, "a rule without a claim", &authorize(&open, &[]), action);
    table.denied_elsewhere(ROLE, "a security group", &authorize(&open, &claim), action);
    let egress =
        ec2("AuthorizeSecurityGroupEgress", &[&[("GroupId", open.as_str())], &permission[..]].concat());
    table.denied(ROLE, "an outbound rule", &egress, "ec2:AuthorizeSecurityGroupEgress");
    let revoke = ec2(
        "RevokeSecurityGroupIngress",
        &[("GroupId", theirs.as_str()), ("SecurityGroupRuleId.1", rule.as_str())],
    );
    table.denied(ROLE, "another team's rule", &revoke, "ec2:RevokeSecurityGroupIngress");
    let tag = |operation, resource: &str, key: &'static str| {
        ec2(operation, &[("ResourceId.1", resource), ("Tag.1.Key", key), ("Tag.1.Value", "true")])
    };
    let ours = "stagedb:stage/shop/dev";
    table.denied(
        ROLE,
        "a security group's tags",
        &tag("CreateTags", &theirs, "stagedb:attachable"),
        "ec2:CreateTags",
    );
    table.denied(ROLE, "a tag that isn't stagedb's", &tag("CreateTags", &rule, "team"), "ec2:CreateTags");
    table.denied(ROLE, "a tag that isn't stagedb's", &tag("DeleteTags", &rule, "team"), "ec2:DeleteTags");
    table.denied(
        ROLE,
        "a security group's tags",
        &tag("DeleteTags", &open, "stagedb:attachable"),
        "ec2:DeleteTags",
    );
    table.denied_elsewhere(ROLE, "a rule's tags", &tag("CreateTags", &rule, ours), "ec2:CreateTags");
    table.denied(
        ROLE,
        "another team's security group",
        &ec2("DeleteSecurityGroup", &[("GroupId", theirs.as_str())]),
        "ec2:DeleteSecurityGroup",
    );
}

fn of_publishing(table: &mut Denials<'_>) {
    const ROLE: &str = "PublishVariablesRole";
    let ecs = |operation, body| Call::Json(operation, body);
    let service = |name: &str| format!("arn:aws:ecs:us-east-1:000000000000:service/demo/{name}");
    let deploy = ecs(
        "AmazonEC2ContainerServiceV20141113.UpdateService",
        json!({"cluster": "demo", "service": "billing", "desiredCount": 0}),
    );
    table.denied(ROLE, "a service that isn't registered", &deploy, "ecs:UpdateService");
    let delete = ecs(
        "AmazonEC2ContainerServiceV20141113.DeleteService",
        json!({"cluster": "demo", "service": "test-django2-dev"}),
    );
    table.denied(ROLE, "a stage's service", &delete, "ecs:DeleteService");
    for (about, member) in
        [("the role of tasks", "taskRoleArn"), ("the role of the agent", "executionRoleArn")]
    {
        let mut body = json!({"family": "test-django2-dev", "containerDefinitions": [{"name": "web", "image": "web:1"}]});
        body[member] = json!("arn:aws:iam::000000000000:role/admin");
        let register = ecs("AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", body);
        table.denied(ROLE, about, &register, "iam:PassRole");
    }
    let tag = json!({"resourceArn": service("test-django2-dev"), "tags": [{"key": "team", "value": "x"}]});
    table.denied(
        ROLE,
        "a tag that isn't stagedb's",
        &ecs("AmazonEC2ContainerServiceV20141113.TagResource", tag),
        "ecs:TagResource",
    );
    let untag = json!({"resourceArn": service("test-django2-dev"), "tagKeys": ["team"]});
    table.denied(
        ROLE,
        "a tag that isn't stagedb's",
        &ecs("AmazonEC2ContainerServiceV20141113.UntagResource", untag),
        "ecs:UntagResource",
    );
    let definition = "arn:aws:ecs:us-east-1:000000000000:task-definition/test-django2-dev:1";
    let tag = json!({"resourceArn": definition, "tags": [{"key": "stagedb:stage", "value": "x"}]});
    table.denied(
        ROLE,
        "a task definition that is there",
        &ecs("AmazonEC2ContainerServiceV20141113.TagResource", tag),
        "ecs:TagResource",
    );
    let get = Call::Json("secretsmanager.GetSecretValue", json!({"SecretId": "dev-test-django2-postgres"}));
    table.denied(ROLE, "a stage's password", &get, "secretsmanager:GetSecretValue");
    let event =
        json!({"Entries": [{"Source": "aws.ecs", "DetailType": "Stage Rebuild Complete", "Detail": "{}"}]});
    table.denied(
        ROLE,
        "an event of someone else",
        &Call::Json("AWSEvents.PutEvents", event),
        "events:PutEvents",
    );
    let register = ecs(
        "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition",
        json!({
            "family": "x", "containerDefinitions": [{"name": "web", "image": "web:1"}],
        }),
    );
    table.denied_elsewhere(ROLE, "a task definition", &register, "ecs:RegisterTaskDefinition");
}

fn of_clients(table: &mut Denials<'_>) {
    const ROLE: &str = "ClientProgressRole";
    let ecs = |operation: &str, body: Value| {
        let targets = [
            "AmazonEC2ContainerServiceV20141113.RunTask",
            "AmazonEC2ContainerServiceV20141113.StopTask",
            "AmazonEC2ContainerServiceV20141113.UpdateService",
        ];
        let target = targets.into_iter().find(|target| target.ends_with(operation)).unwrap();
        Call::Json(target, body)
    };
    let local = table.local;
    let network = service_named(local, "test-django2-prod")["networkConfiguration"].clone();
    let run = |definition: &str, role: &str| {
        json!({
            "cluster": "demo", "taskDefinition": definition, "launchType": "EC2", "networkConfiguration": network,
            "overrides": {"executionRoleArn": role}, "startedBy": "stagedb/x", "clientToken": "x",
        })
    };
    let theirs = "arn:aws:iam::000000000000:role/team-billing";
    let call = ecs("RunTask", run("billing", theirs));
    table.denied(ROLE, "another team's task definition", &call, "ecs:RunTask");
    let call = ecs("RunTask", run("test-django2-dev", theirs));
    table.denied(ROLE, "the task definition of a stage's service", &call, "ecs:RunTask");
    let call = ecs("RunTask", run("stagedb-test-django2-dev", "arn:aws:iam::000000000000:role/admin"));
    table.denied(ROLE, "a role that isn't in TaskRoles", &call, "iam:PassRole");
    // A team's own task, with the tags that its service has.
    let mut task = run("billing", theirs);
    task["tags"] =
        json!([{"key": "stagedb:stage", "value": "dev"}, {"key": "stagedb:stack", "value": "shop"}]);
    let started = local.post_json("AmazonEC2ContainerServiceV20141113.RunTask", &task).unwrap();
    let arn = started["tasks"][0]["taskArn"].as_str().unwrap();
    let call = ecs("StopTask", json!({"cluster": "demo", "task": arn}));
    table.denied(ROLE, "a task of a stage's service", &call, "ecs:StopTask");
    let call = ecs("UpdateService", json!({"cluster": "demo", "service": "test-django2-dev"}));
    table.denied(ROLE, "a stage's service", &call, "ecs:UpdateService");
    for (about, id) in [
        ("another team's secret", "billing/password"),
        ("a secret with a stage's kind of name", "dev-billing-postgres"),
    ] {
        let get = Call::Json("secretsmanager.GetSecretValue", json!({"SecretId": id}));
        table.denied(ROLE, about, &get, "secretsmanager:GetSecretValue");
    }
    let read = json!({"logGroupName": "/ecs/test-django2", "logStreamName": "x"});
    let call = Call::Json("Logs_20140328.GetLogEvents", read);
    table.denied(ROLE, "the log of a stage's service", &call, "logs:GetLogEvents");
    let execution = "arn:aws:states:us-east-1:000000000000:execution:stagedb-database:0123456789abcdef-1";
    let call = Call::Json("AWSStepFunctions.DescribeExecution", json!({"executionArn": execution}));
    table.denied("SettingsApiRole", "a request of CloudFormation", &call, "states:DescribeExecution");
}

/// CloudFormation makes its calls for a stage's stack as this role.
fn of_stage_stacks(table: &mut Denials<'_>) {
    const ROLE: &str = "StageStackRole";
    let local = table.local;
    let get = Call::Json("secretsmanager.GetSecretValue", json!({"SecretId": "dev-test-django2-postgres"}));
    table.denied(ROLE, "a stage's password", &get, "secretsmanager:GetSecretValue");
    for (about, id) in [
        ("another team's secret", "billing/password"),
        ("a secret with a stage's kind of name", "dev-billing-postgres"),
    ] {
        let delete = Call::Json("secretsmanager.DeleteSecret", json!({"SecretId": id}));
        table.denied(ROLE, about, &delete, "secretsmanager:DeleteSecret");
    }
    let groups = local
        .aws(&["ec2", "describe-security-groups", "--filters", "Name=group-name,Values=billing"])
        .unwrap();
    let theirs = groups["SecurityGroups"][0]["GroupId"].as_str().unwrap().to_owned();
    let delete = Call::Query(EC2, "DeleteSecurityGroup", vec![("GroupId", theirs)]);
    table.denied(ROLE, "another team's security group", &delete, "ec2:DeleteSecurityGroup");
    let delete = Call::Query(RDS, "DeleteDBSubnetGroup", vec![("DBSubnetGroupName", "theirs".to_owned())]);
    table.denied(ROLE, "another team's subnet group", &delete, "rds:DeleteDBSubnetGroup");
    let delete = Call::Query(
        RDS,
        "DeleteDBInstance",
        vec![("DBInstanceIdentifier", "test-django2-dev-postgres".to_owned())],
    );
    table.denied(ROLE, "a stage's database", &delete, "rds:DeleteDBInstance");
    let put = json!({"Name": "/billing/name", "Value": "x", "Type": "String", "Overwrite": true});
    let register = json!({
        "family": "billing", "containerDefinitions": [{"name": "web", "image": "web:1"}],
        "tags": [{"key": "stagedb:stage", "value": "dev"}],
    });
    let call = Call::Json("AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", register);
    table.denied(ROLE, "another team's family", &call, "ecs:RegisterTaskDefinition");
    table.denied(
        ROLE,
        "another team's parameter",
        &Call::Json("AmazonSSM.PutParameter", put),
        "ssm:PutParameter",
    );
}

#[test]
fn requests_without_valid_credentials_are_denied() {
    let local = world();
    // Allowed, but it has no value without a database.
    let call = Call::Json("secretsmanager.GetSecretValue", json!({"SecretId": "dev-test-django2-postgres"}));
    let expired = local.as_role("CredentialsResourceRole", -1).unwrap();
    let valid = local.as_role("CredentialsResourceRole", 60).unwrap();
    for (about, actor, code) in [
        ("unsigned", local.as_nobody(), "UnrecognizedClient"),
        ("expired", expired, "ExpiredToken"),
        ("an unknown key", local.with_keys("AKIAIOSFODNN7EXAMPLE", "secret"), "UnrecognizedClient"),
        ("another secret", valid.with_secret("other"), "InvalidSignature"),
    ] {
        let Err(error) = made(&actor, &call) else { panic!("{about}: it was allowed") };
        let error = error.to_string();
        assert!(error.contains(code), "{about}: {error}");
    }
    let Err(error) = made(&valid, &call) else { panic!("the secret has no value yet") };
    assert!(error.to_string().contains("ResourceNotFoundException"), "{error}");
}

#[test]
fn only_the_execution_roles_of_a_stage_can_read_its_secret() {
    let local = world();
    let mut settings = micro();
    settings["appLogin"] = json!(true);
    save_and_follow(&local, "dev", &settings);
    local.container_environment(crate::world::STACK, "dev").unwrap();
    let other = role(&local, "team-billing");
    let answer = local.api("GET", &stage_path("dev", ""), None).unwrap();
    let secret = answer.body["secretArn"].as_str().unwrap_or("dev-test-django2-postgres").to_owned();
    let actor = local.acting_as(other.rsplit('/').next().unwrap(), 60).unwrap();
    let get = Call::Json("secretsmanager.GetSecretValue", json!({"SecretId": secret}));
    denied(&actor, "another team's role", &get, "secretsmanager:GetSecretValue");
    // With the app login, not even they can read the master user's.
    let definition = definition(&local, &service(&local, "dev")["taskDefinition"]);
    let own = definition["executionRoleArn"].as_str().unwrap();
    let actor = local.acting_as(own.rsplit('/').next().unwrap(), 60).unwrap();
    made(&actor, &get).unwrap();
    let master =
        json!({"SecretId": "stagedb/dev-test-django2/master-user", "VersionStage": "stagedb-logins"});
    let get = Call::Json("secretsmanager.GetSecretValue", master);
    denied(&actor, "a service's execution role", &get, "secretsmanager:GetSecretValue");
}
