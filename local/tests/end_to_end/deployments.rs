//! A team deploys its own task definition, and the containers keep their variables.

use local::LocalAws;
use serde_json::{Value, json};

use crate::world::{
    definition, ecs, eventually, follow, micro, save_and_follow, service_named, stage_path, variables_of,
    variables_of_service, world,
};

const WEB: &str = "test-django2-dev";
const WORKER: &str = "test-django2-dev-worker";

/// What a team has in its repository: the definition that runs, without what stagedb added, and with another image.
fn from_the_repository(local: &LocalAws, service: &str, image: &str) -> Value {
    let mut body = definition(local, &service_named(local, service)["taskDefinition"]);
    let given = [
        "family",
        "containerDefinitions",
        "executionRoleArn",
        "networkMode",
        "cpu",
        "memory",
        "requiresCompatibilities",
        "runtimePlatform",
    ];
    body.as_object_mut().unwrap().retain(|name, _| given.contains(&name.as_str()));
    let container = &mut body["containerDefinitions"][0];
    container.as_object_mut().unwrap().remove("secrets");
    container["image"] = json!(image);
    body
}

/// `aws ecs register-task-definition`, then `aws ecs update-service`. Returns the revision.
pub(crate) fn deploy(local: &LocalAws, service: &str, image: &str) -> String {
    deploy_definition(local, service, &from_the_repository(local, service, image))
}

fn deploy_definition(local: &LocalAws, service: &str, body: &Value) -> String {
    let arn = ecs(local, "RegisterTaskDefinition", body)["taskDefinition"]["taskDefinitionArn"].clone();
    ecs(local, "UpdateService", &json!({"cluster": "demo", "service": service, "taskDefinition": arn}));
    arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// What the API says about a service's variables.
fn told(local: &LocalAws, service: &str) -> Value {
    let answer = local.api("GET", &stage_path("dev", "/runtime-variables"), None).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    let services = answer.body["services"].as_array().unwrap().clone();
    services.into_iter().find(|told| told["name"] == service).unwrap()
}

fn image(local: &LocalAws, service: &str) -> Value {
    let found = definition(local, &service_named(local, service)["taskDefinition"]);
    found["containerDefinitions"][0]["image"].clone()
}

/// A database for `dev`. Then nothing is being deployed.
fn with_database() -> LocalAws {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    local
}

#[test]
fn after_a_deployment_from_the_repository_the_new_containers_have_all_variables() {
    let local = with_database();
    assert_eq!(variables_of_service(&local, WEB).len(), 5);
    let mut body = from_the_repository(&local, WEB, "registry.example.com/web:2");
    body["tags"] = json!([{"key": "team", "value": "shop"}]);
    let deployed = deploy_definition(&local, WEB, &body);
    eventually("the variables are back", || variables_of_service(&local, WEB).len() == 5);
    assert_eq!(image(&local, WEB), "registry.example.com/web:2");
    let copy = service_named(&local, WEB)["taskDefinition"].clone();
    let tags = ecs(&local, "ListTagsForResource", &json!({"resourceArn": copy}))["tags"].clone();
    assert_eq!(tags, body["tags"], "the copy has the tags of the original");

    let copy = definition(&local, &service_named(&local, WEB)["taskDefinition"]);
    let original = definition(&local, &json!(deployed));
    let rest = |of: &Value| {
        let mut rest = of.clone();
        for name in ["taskDefinitionArn", "revision", "registeredAt"] {
            rest.as_object_mut().unwrap().remove(name);
        }
        rest["containerDefinitions"][0].as_object_mut().unwrap().remove("secrets");
        rest
    };
    assert_eq!(rest(&copy), rest(&original), "everything else is unchanged");

    let environment = local.container_environment(crate::world::STACK, "dev").unwrap();
    assert_eq!(environment.keys().filter(|name| name.starts_with("PG_")).count(), 5);
    let revision = copy["revision"].as_u64().unwrap();
    eventually("the story is told", || told(&local, WEB)["restored"].is_object());
    let said = told(&local, WEB);
    let expected = format!("{deployed} was deployed without the variables; restored in :{revision} at ");
    let story = said["story"].as_str().unwrap();
    assert!(story.starts_with(&expected) && story.contains(" UTC on "), "{story}");
    assert_eq!(said["restored"]["deployed"], json!(deployed));
    assert_eq!(said["missing"], json!([]));
    eventually("the rebuild is still complete", || {
        local.api("GET", &stage_path("dev", "/rebuild"), None).unwrap().body["phase"] == "complete"
    });
    // It's over: no revision follows.
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(definition(&local, &json!(WEB))["revision"], revision, "it doesn't loop");
}

#[test]
fn two_services_that_are_deployed_at_the_same_moment_both_keep_their_variables() {
    let local = with_database();
    std::thread::scope(|scope| {
        for service in [WEB, WORKER] {
            let local = &local;
            scope.spawn(move || deploy(local, service, &format!("{service}:2")));
        }
    });
    for service in [WEB, WORKER] {
        eventually("the variables are back", || {
            image(&local, service) == format!("{service}:2")
                && variables_of_service(&local, service).len() == 5
        });
    }
}

#[test]
fn two_deployments_of_one_service_in_a_row_end_with_the_second_image_and_the_variables() {
    let local = with_database();
    for round in 0..2 {
        deploy(&local, WEB, &format!("web:{round}-first"));
        deploy(&local, WEB, &format!("web:{round}-second"));
        eventually("the second one has the variables", || {
            image(&local, WEB) == format!("web:{round}-second")
                && variables_of_service(&local, WEB).len() == 5
        });
        eventually("nothing is being deployed", || {
            service_named(&local, WEB)["deployments"].as_array().unwrap().len() == 1
        });
        assert_eq!(image(&local, WEB), format!("web:{round}-second"));
    }
}

#[test]
fn with_the_switch_off_the_deployment_stays_and_one_call_restores_services_and_jobs() {
    let local = with_database();
    let stage = local.api("GET", &stage_path("dev", ""), None).unwrap().body;
    let mut body = json!({"services": stage["services"], "jobs": stage["jobs"], "restoreVariables": false});
    let revision = |name: &str| service_named(&local, name)["taskDefinition"].clone();
    let before = (revision(WEB), revision(WORKER));
    let answer = local.api("PUT", &stage_path("dev", ""), Some(&body)).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(crate::world::follow(&local, "dev").0.phase, "complete");
    assert_eq!((revision(WEB), revision(WORKER)), before, "nothing was redeployed");

    let deployed = deploy(&local, WEB, "web:2");
    let job = json!("test-django2-dev-migrate");
    let mut migrate = definition(&local, &job);
    assert_eq!(variables_of(&migrate["containerDefinitions"][0]).len(), 5, "the job has them, too");
    let given = ["family", "containerDefinitions", "executionRoleArn", "networkMode", "cpu", "memory"];
    migrate.as_object_mut().unwrap().retain(|name, _| given.contains(&name.as_str()));
    migrate["containerDefinitions"][0].as_object_mut().unwrap().remove("secrets");
    ecs(&local, "RegisterTaskDefinition", &migrate);

    eventually("it's deployed", || service_named(&local, WEB)["deployments"].as_array().unwrap().len() == 1);
    assert_eq!(variables_of_service(&local, WEB), [""; 0]);
    let words = format!(
        "{deployed} was deployed without PG_HOST, PG_PORT, PG_DATABASE, PG_USER, PG_CREDENTIALS_SECRET. The stage doesn't \
         restore variables on its own."
    );
    assert_eq!(told(&local, WEB)["story"], json!(words));
    let shown = local.api("GET", &stage_path("dev", "/runtime-variables"), None).unwrap().body;
    assert_eq!(shown["jobs"][0]["missing"].as_array().unwrap().len(), 5);

    let restoring = local.api("POST", &stage_path("dev", "/runtime-variables"), None).unwrap();
    assert_eq!(restoring.status, 202, "{}", restoring.text);
    assert_eq!(restoring.body, json!({"services": [format!("demo/{WEB}")], "jobs": [job]}));
    eventually("the service has them", || variables_of_service(&local, WEB).len() == 5);
    eventually("the job has them", || {
        variables_of(&definition(&local, &job)["containerDefinitions"][0]).len() == 5
    });
    assert_eq!(image(&local, WEB), "web:2");
    eventually("nothing is left to restore", || {
        local.api("POST", &stage_path("dev", "/runtime-variables"), None).unwrap().status == 200
    });
    body["restoreVariables"] = json!(true);
    assert_eq!(local.api("PUT", &stage_path("dev", ""), Some(&body)).unwrap().status, 202);
}

#[test]
fn when_ecs_goes_back_to_a_definition_without_the_variables_they_are_not_forced_on_it() {
    let local = world();
    // It runs without a database, and doesn't start with one.
    let deployed = deploy(&local, WEB, "web:broken-with-secrets");
    eventually("it's deployed", || is_steady(&local, WEB));
    crate::world::save(&local, "dev", &micro(), 202);
    let (rebuild, _) = crate::world::follow(&local, "dev");
    assert_eq!(rebuild.phase, "failed", "{rebuild:?}");
    eventually("ECS went back", || {
        is_steady(&local, WEB)
            && service_named(&local, WEB)["taskDefinition"].as_str().unwrap().ends_with(&deployed)
    });
    let newest = definition(&local, &json!(WEB))["revision"].clone();
    eventually("the story is told", || {
        let told = told(&local, WEB)["story"].clone();
        told.as_str().is_some_and(|told| {
            told.starts_with(&format!("ECS went back to {deployed}, which lacks PG_HOST"))
        })
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(definition(&local, &json!(WEB))["revision"], newest, "it doesn't fight with ECS");
    assert_eq!(variables_of_service(&local, WORKER).len(), 5, "the other service has its variables");

    // Fixed by the team.
    deploy(&local, WEB, "web:3");
    eventually("the variables are back", || {
        variables_of_service(&local, WEB).len() == 5 && image(&local, WEB) == "web:3"
    });
}

/// Whether nothing of a service is being deployed.
fn is_steady(local: &LocalAws, service: &str) -> bool {
    let deployments = service_named(local, service)["deployments"].as_array().unwrap().clone();
    deployments.len() == 1 && deployments[0]["rolloutState"] == "COMPLETED"
}

#[test]
fn a_service_that_leaves_during_a_broken_deployment_loses_the_variables_that_ecs_goes_back_to() {
    let local = with_database();
    eventually("nothing is being deployed", || is_steady(&local, WORKER));
    let stage = local.api("GET", &stage_path("dev", ""), None).unwrap().body;
    let body = json!({"services": [stage["services"][0]], "jobs": stage["jobs"]});
    assert_eq!(body["services"][0]["name"], WEB);
    assert_eq!(local.api("PUT", &stage_path("dev", ""), Some(&body)).unwrap().status, 202);
    // The operation is running, so nothing is restored in between.
    deploy(&local, WORKER, "worker:broken");
    assert_eq!(follow(&local, "dev").0.phase, "complete");
    eventually("it belongs to no stage", || {
        service_named(&local, WORKER)["tags"]
            .as_array()
            .is_none_or(|tags| tags.iter().all(|tag| !tag["key"].as_str().unwrap().starts_with("stagedb:")))
    });
    eventually("nothing is being deployed", || is_steady(&local, WORKER));
    assert_eq!(variables_of_service(&local, WORKER), [""; 0]);
    assert_ne!(image(&local, WORKER), "worker:broken", "ECS went back");
}

#[test]
fn an_app_that_does_not_start_without_the_variables_is_not_fought_over_once_its_database_is_removed() {
    let local = with_database();
    let mut body = from_the_repository(&local, WEB, "web:broken-without-secrets");
    let running = definition(&local, &service_named(&local, WEB)["taskDefinition"]);
    body["containerDefinitions"][0]["secrets"] = running["containerDefinitions"][0]["secrets"].clone();
    let deployed = deploy_definition(&local, WEB, &body);
    eventually("it's deployed", || is_steady(&local, WEB));

    let confirm = json!({"confirm": "test-django2-dev-postgres"});
    assert_eq!(local.api("DELETE", &stage_path("dev", "/database"), Some(&confirm)).unwrap().status, 202);
    follow(&local, "dev");
    let went_back = || {
        is_steady(&local, WEB)
            && service_named(&local, WEB)["taskDefinition"].as_str().unwrap().ends_with(&deployed)
    };
    let newest = || definition(&local, &json!(WEB))["revision"].as_u64().unwrap();
    let first: u64 = deployed.rsplit(':').next().unwrap().parse().unwrap();
    eventually("ECS went back twice", || newest() == first + 2 && went_back());
    std::thread::sleep(std::time::Duration::from_secs(6));
    assert_eq!(newest(), first + 2, "it isn't tried a third time");
    assert!(went_back());
}

#[test]
fn a_broken_deployment_goes_back_to_one_that_has_the_variables() {
    let local = with_database();
    let before = service_named(&local, WEB)["taskDefinition"].clone();
    deploy(&local, WEB, "web:broken");
    eventually("ECS went back", || {
        let service = service_named(&local, WEB);
        service["taskDefinition"] == before && service["deployments"].as_array().unwrap().len() == 1
    });
    assert_eq!(variables_of_service(&local, WEB).len(), 5);
}

#[test]
fn after_three_restorations_within_ten_minutes_stagedb_stops_and_says_so() {
    let local = with_database();
    for round in 0..3 {
        deploy(&local, WEB, &format!("web:{round}"));
        eventually("the variables are back", || {
            image(&local, WEB) == format!("web:{round}") && variables_of_service(&local, WEB).len() == 5
        });
        eventually("it's noted", || {
            told(&local, WEB)["restored"]["deployed"] == json!(format!("{WEB}:{}", 2 * round + 3))
        });
    }
    deploy(&local, WEB, "web:once-too-often");
    eventually("it's told", || {
        let story = told(&local, WEB)["story"].clone();
        story.as_str().is_some_and(|story| story.contains("3 times within 10 minutes and then stopped"))
    });
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(variables_of_service(&local, WEB), [""; 0]);
}

#[test]
fn a_deployment_of_a_service_that_is_not_ours_and_a_malformed_event_are_ignored_and_no_error() {
    let local = with_database();
    let service = json!({
        "cluster": "demo", "serviceName": "theirs", "desiredCount": 1, "launchType": "FARGATE",
        "taskDefinition": service_named(&local, WEB)["taskDefinition"],
        "networkConfiguration": service_named(&local, WEB)["networkConfiguration"],
    });
    ecs(&local, "CreateService", &service);
    let theirs = deploy(&local, "theirs", "theirs:2");
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(service_named(&local, "theirs")["taskDefinition"].as_str().unwrap().ends_with(&theirs));
    for event in [
        json!({"source": "aws.ecs", "detail-type": "ECS Deployment State Change", "resources": [], "detail": {}}),
        json!({
            "source": "aws.ecs", "detail-type": "ECS Deployment State Change", "detail": {"eventName": "SERVICE_DEPLOYMENT_IN_PROGRESS"},
            "resources": ["arn:aws:ecs:us-east-1:000000000000:service/nowhere/nobody"],
        }),
    ] {
        crate::created::invoke(&local, "stagedb-publish-variables", &event);
    }
}

#[test]
fn a_service_of_the_teams_own_cloudformation_stack_keeps_its_variables_when_the_stack_is_updated() {
    let local = with_database();
    // The demo's stack owns the services. Its parameter is the image of all of them.
    let template = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/demo.yaml")).unwrap();
    let body = format!("file://{}", concat!(env!("CARGO_MANIFEST_DIR"), "/demo.yaml"));
    assert!(template.contains("Image:"));
    local
        .aws(&[
            "cloudformation",
            "update-stack",
            "--stack-name",
            "demo",
            "--template-body",
            &body,
            "--parameters",
            "ParameterKey=Image,ParameterValue=registry.example.com/app:7",
            "--capabilities",
            "CAPABILITY_IAM",
        ])
        .unwrap();
    for service in [WEB, WORKER] {
        eventually("the new image has the variables", || {
            image(&local, service) == "registry.example.com/app:7"
                && variables_of_service(&local, service).len() == 5
        });
    }
    let stacks = local.aws(&["cloudformation", "describe-stacks", "--stack-name", "demo"]).unwrap();
    assert_eq!(stacks["Stacks"][0]["StackStatus"], "UPDATE_COMPLETE");
}
