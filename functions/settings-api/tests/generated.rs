//! The files that are made from the definitions of the API and its settings are up to date:
//! `UPDATE=1 cargo test --workspace --test generated` writes them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use database::{
    AttachmentTarget, CreatedSettings, Form, Need, Rule, Setting, Snippet, Stage, in_words, snippets,
};
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a file with what the code makes of it, or writes it.
fn check(name: &str, made: &str) {
    let path = root().join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    if committed != made {
        let first = committed.lines().zip(made.lines()).position(|(old, new)| old != new);
        let line = first.unwrap_or_else(|| committed.lines().count().min(made.lines().count())) + 1;
        panic!(
            "{name} differs from the code, first at line {line}. To update it, run \
             UPDATE=1 cargo test --workspace --test generated"
        );
    }
}

#[test]
fn the_description_of_the_api_is_what_the_code_says() {
    check("openapi.json", &(serde_json::to_string_pretty(&settings_api::openapi()).unwrap() + "\n"));
}

fn description(setting: &Setting) -> String {
    setting.description.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn label(setting: &Setting) -> &'static str {
    setting.label.expect("a setting has a label")
}

/// What the page needs to know of a setting.
fn for_the_page(setting: &Setting) -> Value {
    let mut entry = json!({
        "name": setting.name,
        "label": label(setting),
        "description": description(setting),
        "default": (setting.default)(),
        "inPlace": matches!(setting.rule, Rule::InPlace(_)),
    });
    match setting.form {
        Form::Boolean => entry["type"] = json!("boolean"),
        Form::Number { min, max } => {
            entry["type"] = json!("number");
            entry["min"] = json!(min);
            entry["max"] = json!(max);
        }
        Form::Text(_) => entry["type"] = json!("text"),
        Form::Choice(choice) => {
            entry["type"] = json!("choice");
            entry["words"] = json!(choice.words);
        }
    }
    entry
}

#[test]
fn the_page_knows_every_setting() {
    let settings: Vec<_> = CreatedSettings::ALL.iter().map(for_the_page).collect();
    check("web/src/settings.json", &(serde_json::to_string_pretty(&settings).unwrap() + "\n"));
}

fn allowed(setting: &Setting) -> String {
    let or_null = if setting.is_nullable { ", or null" } else { "" };
    match setting.form {
        Form::Boolean => format!("`true` or `false`{or_null}"),
        Form::Number { min, max } => format!("{min} to {max}{or_null}"),
        Form::Choice(choice) => {
            choice.words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        Form::Text(text) => match text.example.or(setting.example) {
            Some(example) => format!("text such as `{example}`{or_null}"),
            None => format!("text{or_null}"),
        },
    }
}

fn default(setting: &Setting) -> String {
    match (setting.need, (setting.default)()) {
        (Need::Required, _) => "required".to_owned(),
        (Need::RequiredUnless(other), _) => format!("required, unless you give `{other}`"),
        (Need::Optional, Some(Value::Null)) => "null".to_owned(),
        (Need::Optional, Some(value)) => format!("`{}`", in_words(&value)),
        (Need::Optional, None) => "see the description".to_owned(),
    }
}

fn table(settings: &[Setting]) -> String {
    let mut table =
        "| field | what it is | allowed | default | stack parameter |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    for setting in settings {
        let (name, parameter) = (setting.name, setting.parameter);
        let _ = writeln!(
            table,
            "| `{name}` | {} | {} | {} | `{parameter}` |",
            description(setting),
            allowed(setting),
            default(setting)
        );
    }
    table
}

#[test]
fn the_table_of_settings_is_what_the_code_says() {
    let text = format!(
        "# Settings\n\n\
         The settings of a stage's database, as `PUT …/database` takes them and `GET …/database` returns them. This file is \
         made from `shared/database/src/settings.rs`.\n\n\
         A field that you leave out stays as it is, or has its default in a new database. The last column is the parameter of \
         the stage stack in CloudFormation.\n\n\
         ## A database that stagedb creates (`\"source\": \"created\"`)\n\n{}\n\
         A change to another major `engineVersion` also needs `confirm` with the identifier of the DB instance.\n\n\
         ## An existing database (`\"source\": \"attached\"`)\n\n{}\n\
         `credentials` says how applications sign in: either `secretArn`, a secret whose value has the keys `username` and \
         `password`, or `username` and `password` themselves, which are written to the stage's secret. They are required when \
         you attach a database.\n",
        table(CreatedSettings::ALL),
        table(AttachmentTarget::ALL),
    );
    check("docs/settings.md", &text);
}

#[test]
fn the_snippets_are_what_the_code_says() {
    let stage = Stage { stack: "test-django2".try_into().unwrap(), stage: "dev".try_into().unwrap() };
    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:dev-test-django2-postgres-AbCdEf";
    let mut text = "# Snippets\n\n\
         The references to the secret of the stage `test-django2/dev`, for your own task definitions. The page and `GET \
         …/runtime-variables/snippets` show them for your stages. [variables.md](variables.md) says what they're for. This file \
         is made from `shared/database/src/snippets.rs`.\n"
        .to_owned();
    for Snippet { title, language, note, text: snippet, .. } in snippets(&stage, arn) {
        let _ = write!(text, "\n## {title}\n\n{note}\n\n```{language}\n{}\n```\n", snippet.trim_end());
    }
    check("docs/snippets.md", &text);
}

/// Every setting goes from the API through the stage stack to the custom resource, and older stacks have its default.
#[test]
fn every_setting_is_a_parameter_of_the_stage_stack_and_a_property_of_its_database() {
    let template = std::fs::read_to_string(root().join("stage.yaml")).unwrap();
    let parameters =
        &template[template.find("\nParameters:").unwrap()..template.find("\nResources:").unwrap()];
    let resource = &template[template.find("\n  Database:\n").unwrap()..];
    let resource = &resource[..resource[3..].find("\n\n  ").map_or(resource.len(), |end| end + 3)];
    for setting in CreatedSettings::ALL.iter().chain(AttachmentTarget::ALL) {
        let parameter = setting.parameter;
        let declared = parameters.split(&format!("\n  {parameter}:\n")).nth(1);
        let declared = declared.unwrap_or_else(|| panic!("stage.yaml has no parameter {parameter}"));
        let declared = declared.split("\n  ").take_while(|line| line.starts_with("  ")).collect::<Vec<_>>();
        if let Some(default) = (setting.default)() {
            let wanted = setting.form.parameter(&default);
            let has = |line: &&str| {
                line.trim()
                    .strip_prefix("Default: ")
                    .is_some_and(|default| default.trim_matches('"') == wanted)
            };
            assert!(declared.iter().any(has), "{parameter} has the default {wanted}: {declared:?}");
        }
        let property = match parameter {
            // RDS has nothing to do with it, so a change mustn't lead to a look at it.
            "RotationDays" => {
                assert!(!resource.contains(parameter), "the resource Database has {parameter}");
                continue;
            }
            "AppLogin" => "AppLogin: !If [HasAppLogin, !Ref AppLogin, !Ref AWS::NoValue]".to_owned(),
            _ => format!("{parameter}: !Ref {parameter}"),
        };
        assert!(resource.contains(&property), "the resource Database has no {property}");
    }
}
