//! The snippets for the users' own task definitions, with their own tools: a service that is deployed with them has its
//! variables from the start, and stagedb leaves it alone.

use std::fs;
use std::process::Command;

use local::LocalAws;
use serde_json::{Value, json};

use crate::world::{
    definition, ecs, eventually, micro, save_and_follow, service_named, stage_path, variables_of, world,
};

const WEB: &str = "test-django2-dev";

fn snippet(local: &LocalAws, tool: &str) -> String {
    let answer = local.api("GET", &stage_path("dev", "/runtime-variables/snippets"), None).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut snippets = answer.body["snippets"].as_array().unwrap().iter();
    snippets.find(|snippet| snippet["tool"] == tool).unwrap()["text"].as_str().unwrap().to_owned()
}

fn indented(text: &str, by: usize) -> String {
    let indentation = " ".repeat(by);
    text.lines().fold(String::new(), |text, line| text + &indentation + line + "\n")
}

/// Deploys a team's template with a task definition of the family `test-django2-dev`.
fn create_stack(local: &LocalAws, name: &str, template: &std::path::Path) {
    let body = format!("file://{}", template.display());
    local
        .aws(&[
            "cloudformation",
            "create-stack",
            "--stack-name",
            name,
            "--template-body",
            &body,
            "--capabilities",
            "CAPABILITY_IAM",
        ])
        .unwrap();
    let status = || {
        local.aws(&["cloudformation", "describe-stacks", "--stack-name", name]).unwrap()["Stacks"][0]["StackStatus"]
            .clone()
    };
    eventually("the team's stack is complete", || status() == "CREATE_COMPLETE");
}

/// Deploys the latest revision, which refers to the secret itself: the service keeps it.
fn deploys_as_it_is(local: &LocalAws) {
    let latest = definition(local, &json!(WEB));
    let container = &latest["containerDefinitions"][0];
    assert_eq!(variables_of(container).len(), 5, "{container}");
    let arn = latest["taskDefinitionArn"].clone();
    ecs(local, "UpdateService", &json!({"cluster": "demo", "service": WEB, "taskDefinition": arn}));
    let is_steady = || {
        let deployments = service_named(local, WEB)["deployments"].as_array().unwrap().clone();
        deployments.len() == 1 && deployments[0]["rolloutState"] == "COMPLETED"
    };
    eventually("it's deployed", is_steady);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(service_named(local, WEB)["taskDefinition"], arn, "nothing had to be restored");
    let environment = local.container_environment(crate::world::STACK, "dev").unwrap();
    assert_eq!(environment.keys().filter(|name| name.starts_with("PG_")).count(), 5);
    let told =
        local.api("GET", &stage_path("dev", "/runtime-variables"), None).unwrap().body["services"][0].clone();
    assert_eq!((&told["missing"], &told["story"]), (&json!([]), &Value::Null), "{told}");
}

#[test]
fn a_template_with_the_cloudformation_snippet_needs_no_restoration() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let template = format!(
        "AWSTemplateFormatVersion: \"2010-09-09\"\nResources:\n  Definition:\n    Type: AWS::ECS::TaskDefinition\n    \
         Properties:\n      Family: {WEB}\n      NetworkMode: awsvpc\n      RequiresCompatibilities: [FARGATE]\n      \
         Cpu: \"256\"\n      Memory: \"512\"\n      ExecutionRoleArn: {}\n      \
         ContainerDefinitions:\n        - Name: web\n          Image: web:cloudformation\n{}",
        definition(&local, &service_named(&local, WEB)["taskDefinition"])["executionRoleArn"]
            .as_str()
            .unwrap(),
        indented(&snippet(&local, "cloudformation"), 10)
    );
    let path = local.run_dir().join("team.yaml");
    fs::write(&path, template).unwrap();
    let lint = Command::new(local.workspace().program("cfn-lint")).arg(&path).output().unwrap();
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
    create_stack(&local, "team", &path);
    deploys_as_it_is(&local);
}

#[test]
fn a_stack_of_the_cdk_with_its_snippet_needs_no_restoration() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let text = snippet(&local, "cdk");
    let (imports, body): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with("import "));
    let program = format!(
        r#"import * as cdk from "aws-cdk-lib";
{}

class Team extends cdk.Stack {{
  constructor(scope: cdk.App) {{
    super(scope, "team", {{ synthesizer: new cdk.BootstraplessSynthesizer() }});
{}
    const definition = new ecs.FargateTaskDefinition(this, "Definition", {{ family: "{WEB}" }});
    definition.addContainer("web", {{ image: ecs.ContainerImage.fromRegistry("web:cdk"), secrets }});
  }}
}}

const app = new cdk.App();
new Team(app);
process.stdout.write(JSON.stringify(app.synth().getStackByName("team").template));
"#,
        imports.join("\n"),
        indented(&body.join("\n"), 4)
    );
    let folder = local.workspace().path("local/snippets");
    fs::create_dir_all(folder.join("made")).unwrap();
    fs::write(folder.join("made/team.ts"), program).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(&folder).output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{program}: {said}");
        output.stdout
    };
    run("node_modules/.bin/tsc", &[]);
    let template = local.run_dir().join("team.json");
    fs::write(&template, run("node", &["made/team.js"])).unwrap();
    create_stack(&local, "team", &template);
    deploys_as_it_is(&local);
}

#[test]
fn the_task_definition_snippet_is_exactly_what_stagedb_publishes() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let ours: Value = serde_json::from_str(&snippet(&local, "task-definition")).unwrap();
    let published = definition(&local, &service_named(&local, WEB)["taskDefinition"]);
    assert_eq!(ours["secrets"], published["containerDefinitions"][0]["secrets"]);
}
