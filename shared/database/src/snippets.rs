//! The references to a stage's secret, for the users' own task definitions. With them, a team's deployment has the
//! variables from the start, and stagedb never has to restore anything.

use std::fmt::Write;

use serde_json::json;

use crate::{RUNTIME_VARIABLES, Stage};

/// A snippet for one tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// The tool, for programs.
    pub tool: &'static str,
    /// The tool, for people.
    pub title: &'static str,
    /// The language of the text.
    pub language: &'static str,
    /// Where to put it, and what to know.
    pub note: &'static str,
    /// The snippet.
    pub text: String,
}

/// A snippet for each tool.
#[must_use]
pub fn snippets(stage: &Stage, secret_arn: &str) -> Vec<Snippet> {
    vec![
        Snippet {
            tool: "task-definition",
            title: "Task definition",
            language: "json",
            note: "Put this into the container definition. The ARN changes only if you delete the stage and register it again.",
            text: task_definition(secret_arn),
        },
        Snippet {
            tool: "cloudformation",
            title: "CloudFormation",
            language: "yaml",
            note: "Put Secrets into the container definition of your AWS::ECS::TaskDefinition. CloudFormation reads the ARN from the \
                   SSM parameter when you deploy.",
            text: cloudformation(stage),
        },
        Snippet {
            tool: "cdk",
            title: "AWS CDK (TypeScript)",
            language: "typescript",
            note: "Pass secrets to addContainer. The execution role also gets its own permission to read the secret.",
            text: cdk(stage),
        },
        Snippet {
            tool: "terraform",
            title: "Terraform",
            language: "hcl",
            note: "Put secrets into your container definition. Without ignore_tags in the provider, Terraform removes the tags by which \
                   stagedb knows the service.",
            text: terraform(stage),
        },
        Snippet {
            tool: "copilot",
            title: "AWS Copilot",
            language: "yaml",
            note: "Put this into the manifest of your service or job.",
            text: copilot(stage),
        },
    ]
}

fn task_definition(secret_arn: &str) -> String {
    let reference = |v: &crate::RuntimeVariable| json!({"name": v.name, "valueFrom": format!("{secret_arn}:{}::", v.secret_key)});
    let references: Vec<_> = RUNTIME_VARIABLES.iter().map(reference).collect();
    format!("{:#}", json!({"secrets": references}))
}

fn cloudformation(stage: &Stage) -> String {
    let mut text = "Secrets:\n".to_owned();
    for v in RUNTIME_VARIABLES {
        let _ = writeln!(text, "  - Name: {}", v.name);
        let parameter = stage.secret_arn_parameter();
        let _ = writeln!(text, "    ValueFrom: \"{{{{resolve:ssm:{parameter}}}}}:{}::\"", v.secret_key);
    }
    text
}

fn cdk(stage: &Stage) -> String {
    let mut text = format!(
        r#"import * as ecs from "aws-cdk-lib/aws-ecs";
import * as secretsmanager from "aws-cdk-lib/aws-secretsmanager";
import * as ssm from "aws-cdk-lib/aws-ssm";

const postgres = secretsmanager.Secret.fromSecretCompleteArn(
  this,
  "Postgres",
  ssm.StringParameter.valueForStringParameter(this, "{}"),
);
const secrets = {{
"#,
        stage.secret_arn_parameter()
    );
    for v in RUNTIME_VARIABLES {
        let _ =
            writeln!(text, "  {}: ecs.Secret.fromSecretsManager(postgres, \"{}\"),", v.name, v.secret_key);
    }
    text + "};\n"
}

fn terraform(stage: &Stage) -> String {
    let mut text = format!(
        r#"provider "aws" {{
  ignore_tags {{
    key_prefixes = ["stagedb:"]
  }}
}}

data "aws_ssm_parameter" "postgres" {{
  name = "{}"
}}

locals {{
  postgres_secrets = [
"#,
        stage.secret_arn_parameter()
    );
    for v in RUNTIME_VARIABLES {
        let from = "${data.aws_ssm_parameter.postgres.insecure_value}";
        let _ = writeln!(text, "    {{ name = \"{}\", valueFrom = \"{from}:{}::\" }},", v.name, v.secret_key);
    }
    text + "  ]\n}\n\n# In container_definitions = jsonencode([{ ... }]):\n#   secrets = local.postgres_secrets\n"
}

fn copilot(stage: &Stage) -> String {
    let mut text = "secrets:\n".to_owned();
    for v in RUNTIME_VARIABLES {
        let _ =
            writeln!(text, "  {}:\n    secretsmanager: '{}:{}::'", v.name, stage.secret_name(), v.secret_key);
    }
    text
}
