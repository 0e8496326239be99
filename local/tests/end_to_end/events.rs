//! The events on the account's default bus, and a rule on one of them.

use std::cell::RefCell;

use local::LocalAws;
use serde_json::{Value, json};

use crate::world::{
    PASSWORD, definition, ecs, eventually, follow, micro, role, save, save_and_follow, secret, service_named,
    stage_path, variables_of, world,
};

/// A queue that gets every event of stagedb.
fn subscribe(local: &LocalAws) -> String {
    let made = local.aws(&["sqs", "create-queue", "--queue-name", "team"]).unwrap();
    let url = made["QueueUrl"].as_str().unwrap().to_owned();
    let pattern = json!({"source": ["stagedb"]}).to_string();
    local.aws(&["events", "put-rule", "--name", "team", "--event-pattern", &pattern]).unwrap();
    let asked = ["sqs", "get-queue-attributes", "--queue-url", &url, "--attribute-names", "QueueArn"];
    let arn = local.aws(&asked).unwrap()["Attributes"]["QueueArn"].as_str().unwrap().to_owned();
    let target = format!("Id=1,Arn={arn}");
    local.aws(&["events", "put-targets", "--rule", "team", "--targets", &target]).unwrap();
    url
}

/// The events that have arrived, oldest first.
struct Inbox<'a> {
    local: &'a LocalAws,
    url: String,
    events: RefCell<Vec<Value>>,
}

impl Inbox<'_> {
    fn all(&self) -> Vec<Value> {
        let call = ["sqs", "receive-message", "--queue-url", &self.url, "--max-number-of-messages", "10"];
        let received = self.local.aws(&call).unwrap();
        for message in received["Messages"].as_array().into_iter().flatten() {
            let handle = message["ReceiptHandle"].as_str().unwrap();
            let delete = ["sqs", "delete-message", "--queue-url", &self.url, "--receipt-handle", handle];
            self.local.aws(&delete).unwrap();
            self.events.borrow_mut().push(serde_json::from_str(message["Body"].as_str().unwrap()).unwrap());
        }
        self.events.borrow().clone()
    }

    /// Waits for an event of this type about a stage, and returns its detail.
    fn wait_for(&self, detail_type: &str, stage: &str) -> Value {
        let find = |events: Vec<Value>| {
            events.into_iter().find(|e| e["detail-type"] == detail_type && e["detail"]["stage"] == stage)
        };
        eventually(detail_type, || find(self.all()).is_some());
        find(self.all()).unwrap()["detail"].clone()
    }
}

#[test]
fn a_team_hears_of_every_rebuild_and_restoration_and_never_of_a_secret() {
    let local = world();
    let inbox = Inbox { local: &local, url: subscribe(&local), events: RefCell::default() };
    save_and_follow(&local, "dev", &micro());
    let complete = inbox.wait_for("Stage Rebuild Complete", "dev");
    assert_eq!(
        (&complete["stack"], &complete["phase"], &complete["source"], &complete["version"]),
        (&json!("test-django2"), &json!("complete"), &json!("created"), &json!("1"))
    );
    assert_eq!(complete["reason"], "The containers have the variables of the stage's database.");

    let mut body = definition(&local, &service_named(&local, "test-django2-dev")["taskDefinition"]);
    let given = ["family", "containerDefinitions", "executionRoleArn", "networkMode", "cpu", "memory"];
    body.as_object_mut().unwrap().retain(|name, _| given.contains(&name.as_str()));
    body["containerDefinitions"][0].as_object_mut().unwrap().remove("secrets");
    let arn = ecs(&local, "RegisterTaskDefinition", &body)["taskDefinition"]["taskDefinitionArn"].clone();
    ecs(
        &local,
        "UpdateService",
        &json!({"cluster": "demo", "service": "test-django2-dev", "taskDefinition": arn}),
    );
    let restored = inbox.wait_for("Stage Variables Restored", "dev");
    assert_eq!((&restored["cluster"], &restored["service"]), (&json!("demo"), &json!("test-django2-dev")));
    assert!(
        restored["reason"].as_str().unwrap().contains("was deployed without the variables; restored in :")
    );

    let denied = json!([{
        "service": "rds", "operation": "CreateDBInstance", "code": "InsufficientDBInstanceCapacity",
        "message": "no capacity", "times": null,
    }]);
    local.set_faults(&denied).unwrap();
    save(&local, "prod", &micro(), 202);
    assert_eq!(follow(&local, "prod").0.phase, "rolled-back");
    local.clear_faults().unwrap();
    let failed = inbox.wait_for("Stage Rebuild Failed", "prod");
    assert_eq!(failed["phase"], "rolled-back");
    assert!(failed["reason"].as_str().unwrap().contains("no capacity"), "{failed}");

    std::thread::sleep(std::time::Duration::from_secs(3));
    let all = inbox.all();
    let of_dev = |event: &&Value| {
        event["detail-type"] == "Stage Rebuild Complete" && event["detail"]["stage"] == "dev"
    };
    // Two services whose deployments end at the same moment can both lead to an event. Later ones lead to none.
    let announced: Vec<_> = all.iter().filter(of_dev).map(|event| &event["detail"]).collect();
    assert!(announced.len() <= 2, "{all:#?}");
    assert!(announced.iter().all(|detail| detail["operation"] == complete["operation"]), "{all:#?}");
    let password = secret(&local, "dev")[PASSWORD].as_str().unwrap().to_owned();
    assert!(!json!(all).to_string().contains(&password));
}

#[test]
fn a_rule_starts_the_migration_job_of_a_stage_when_its_rebuild_is_complete() {
    let local = world();
    // As in docs/variables.md.
    let pattern = json!({
        "source": ["stagedb"], "detail-type": ["Stage Rebuild Complete"],
        "detail": {"stack": ["test-django2"], "stage": ["dev"], "source": ["created", "attached"]},
    });
    let network =
        service_named(&local, "test-django2-dev")["networkConfiguration"]["awsvpcConfiguration"].clone();
    let cluster = service_named(&local, "test-django2-dev")["clusterArn"].clone();
    let family = "arn:aws:ecs:us-east-1:000000000000:task-definition/test-django2-dev-migrate";
    let targets = json!([{
        "Id": "migrate", "Arn": cluster, "RoleArn": role(&local, "start-migrations"),
        "EcsParameters": {
            "TaskDefinitionArn": family, "TaskCount": 1, "LaunchType": "FARGATE",
            "NetworkConfiguration": {"awsvpcConfiguration": {
                "Subnets": network["subnets"], "SecurityGroups": network["securityGroups"],
            }},
        },
    }]);
    local
        .aws(&["events", "put-rule", "--name", "migrate-dev", "--event-pattern", &pattern.to_string()])
        .unwrap();
    local
        .aws(&["events", "put-targets", "--rule", "migrate-dev", "--targets", &targets.to_string()])
        .unwrap();
    save_and_follow(&local, "dev", &micro());
    let tasks = || {
        let found =
            ecs(&local, "ListTasks", &json!({"cluster": "demo", "family": "test-django2-dev-migrate"}));
        found["taskArns"].as_array().unwrap().clone()
    };
    eventually("the job is started", || !tasks().is_empty());
    let task =
        ecs(&local, "DescribeTasks", &json!({"cluster": "demo", "tasks": tasks()}))["tasks"][0].clone();
    let started_from = definition(&local, &task["taskDefinitionArn"]);
    assert_eq!(
        variables_of(&started_from["containerDefinitions"][0]).len(),
        5,
        "it has the variables: {task}"
    );
    let answer = local.api("GET", &stage_path("dev", "/rebuild"), None).unwrap();
    assert_eq!(answer.body["phase"], "complete");
}
