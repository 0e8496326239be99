//! Acting as a stage's container: its environment as the ECS agent would build it, and a command that runs in it.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::cloudformation;
use crate::control;
use crate::files::Workspace;
use crate::http::Http;

/// The environment variables of a container, by name.
pub type ContainerEnvironment = BTreeMap<String, String>;

/// How long the agent's credentials are valid, in seconds.
const HOUR: i64 = 3600;
const ECS: &str = "AmazonEC2ContainerServiceV20141113";

/// Resolves the environment that a new task of the stage's first service would start with: the container's `environment`,
/// then its `secrets`, from the service's current task definition.
pub(crate) fn environment(http: &Http, stack: &str, stage: &str) -> anyhow::Result<ContainerEnvironment> {
    let stage_stack = cloudformation::describe(http, &format!("{stack}-{stage}"))
        .with_context(|| format!("stack {stack} has no stage {stage}"))?;
    // As cluster/service/container, separated by commas.
    let services = stage_stack.parameters.get("Services");
    let first = services.and_then(|services| services.split(',').next());
    let first = first.with_context(|| format!("stage stack {stack}-{stage} has no parameter Services"))?;
    let [cluster, service, container] = first.split('/').collect::<Vec<_>>()[..] else {
        bail!("stage stack {stack}-{stage} has the service {first}")
    };
    let answer =
        http.json(&format!("{ECS}.DescribeServices"), &json!({"cluster": cluster, "services": [service]}))?;
    let task_definition = answer
        .pointer("/services/0/taskDefinition")
        .and_then(Value::as_str)
        .with_context(|| format!("cluster {cluster} has no service {service}"))?;
    let answer =
        http.json(&format!("{ECS}.DescribeTaskDefinition"), &json!({"taskDefinition": task_definition}))?;
    let definition = list(&answer, "/taskDefinition/containerDefinitions")
        .find(|definition| text(definition, "name") == Some(container))
        .with_context(|| format!("task definition {task_definition} has no container {container}"))?;
    // The agent reads the secrets as the execution role.
    let role = answer.pointer("/taskDefinition/executionRoleArn").and_then(Value::as_str);
    let role = role.with_context(|| format!("task definition {task_definition} has no execution role"))?;
    let name = role.rsplit('/').next().unwrap_or_default();
    let agent = http.with(Some(control::credentials(http, name, "ecs-agent", HOUR)?));
    resolve(definition, |secret| agent.json("secretsmanager.GetSecretValue", &secret.request()))
}

/// The environment of one container definition. `get` is Secrets Manager's `GetSecretValue`. Each version of a secret
/// is read only once.
fn resolve(
    definition: &Value,
    get: impl Fn(&SecretReference) -> anyhow::Result<Value>,
) -> anyhow::Result<ContainerEnvironment> {
    let mut environment = ContainerEnvironment::new();
    for variable in list(definition, "/environment") {
        if let (Some(name), Some(value)) = (text(variable, "name"), text(variable, "value")) {
            environment.insert(name.to_owned(), value.to_owned());
        }
    }
    let mut read: HashMap<String, String> = HashMap::new();
    for variable in list(definition, "/secrets") {
        let (Some(name), Some(value_from)) = (text(variable, "name"), text(variable, "valueFrom")) else {
            continue;
        };
        let resolved = SecretReference::parse(value_from).and_then(|reference| {
            let version = reference.request().to_string();
            if !read.contains_key(&version) {
                let answer = get(&reference)?;
                let secret = text(&answer, "SecretString").context("the secret has no SecretString")?;
                read.insert(version.clone(), secret.to_owned());
            }
            let secret = read.get(&version).map(String::as_str).unwrap_or_default();
            reference.pick(secret)
        });
        // ECS's own wording, so that users can search for it.
        let value = resolved.map_err(|error| {
            error.context(format!(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval \
                 failed: unable to retrieve secret from asm for {name}"
            ))
        })?;
        environment.insert(name.to_owned(), value);
    }
    Ok(environment)
}

/// A `valueFrom`: `arn:…:secret:name-suffix[:json-key:version-stage:version-id]`.
#[derive(Debug, PartialEq, Eq)]
struct SecretReference {
    arn: String,
    json_key: Option<String>,
    version_stage: Option<String>,
    version_id: Option<String>,
}

impl SecretReference {
    fn parse(value_from: &str) -> anyhow::Result<Self> {
        let parts: Vec<&str> = value_from.split(':').collect();
        let part = |index: usize| parts.get(index).copied().filter(|part| !part.is_empty());
        if part(2) != Some("secretsmanager") || part(6).is_none() {
            bail!("{value_from} is not the ARN of a secret; the local AWS can't resolve anything else");
        }
        if ![7, 10].contains(&parts.len()) {
            bail!("unexpected ARN format with parameters when trying to retrieve ASM secret: {value_from}");
        }
        Ok(Self {
            arn: parts.iter().take(7).copied().collect::<Vec<_>>().join(":"),
            json_key: part(7).map(str::to_owned),
            version_stage: part(8).map(str::to_owned),
            version_id: part(9).map(str::to_owned),
        })
    }

    fn request(&self) -> Value {
        let mut request = json!({"SecretId": self.arn});
        if let Some(fields) = request.as_object_mut() {
            fields.extend(self.version_stage.iter().map(|stage| ("VersionStage".to_owned(), json!(stage))));
            fields.extend(self.version_id.iter().map(|id| ("VersionId".to_owned(), json!(id))));
        }
        request
    }

    /// The secret itself, or the value of its JSON key. A value that isn't a string is passed as JSON text.
    fn pick(&self, secret: &str) -> anyhow::Result<String> {
        let Some(key) = &self.json_key else {
            return Ok(secret.to_owned());
        };
        let object: Value = serde_json::from_str(secret)
            .ok()
            .filter(Value::is_object)
            .context("retrieved secret from Secrets Manager is not a JSON object")?;
        match object.get(key) {
            Some(Value::String(value)) => Ok(value.clone()),
            Some(value) => Ok(value.to_string()),
            None => bail!("retrieved secret from Secrets Manager did not contain json key {key}"),
        }
    }
}

/// The command that a container would run.
///
/// The command gets only `environment`. `PATH` takes the place of the image: unless the task definition sets it, it is
/// `.local/venv/bin` (the image's Python), followed by the caller's `PATH`.
///
/// # Errors
/// If the program doesn't exist.
pub fn run_as_container(
    workspace: &Workspace,
    environment: &ContainerEnvironment,
    command: &[impl AsRef<OsStr>],
) -> anyhow::Result<Command> {
    let (program, arguments) = command.split_first().context("no command")?;
    let mut path = OsString::from(workspace.state().join("venv/bin"));
    if let Some(own) = env::var_os("PATH") {
        path.push(":");
        path.push(own);
    }
    let found = find_program(program.as_ref(), &path).with_context(|| {
        format!("exec: {}: executable file not found in PATH", program.as_ref().display())
    })?;
    let mut run = Command::new(found);
    run.args(arguments).env_clear().env("PATH", path).envs(environment);
    Ok(run)
}

fn find_program(program: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let is_program = |file: &Path| {
        file.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    if Path::new(program).components().count() > 1 {
        return Some(PathBuf::from(program)).filter(|file| is_program(file));
    }
    env::split_paths(path).map(|directory| directory.join(program)).find(|file| is_program(file))
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:dev-web-postgres-AbCdEf";

    fn check(value_from: &str, secret: &str) -> Result<String, String> {
        let definition = json!({
            "environment": [{"name": "DEBUG", "value": "1"}],
            "secrets": [{"name": "X", "valueFrom": value_from}],
        });
        resolve(&definition, |_| Ok(json!({"SecretString": secret})))
            .map(|mut environment| environment.remove("X").unwrap())
            .map_err(|error| error.root_cause().to_string())
    }

    #[test]
    fn secrets_are_resolved_as_by_the_ecs_agent() {
        let secret = r#"{"host":"127.0.0.1","port":5432,"none":null,"empty":""}"#;
        let cases = [
            (ARN.to_owned(), Ok(secret)),
            (format!("{ARN}:host::"), Ok("127.0.0.1")),
            (format!("{ARN}:host:AWSCURRENT:"), Ok("127.0.0.1")),
            (format!("{ARN}:port::"), Ok("5432")),
            (format!("{ARN}:none::"), Ok("null")),
            (format!("{ARN}:empty::"), Ok("")),
            (
                format!("{ARN}:nope::"),
                Err("retrieved secret from Secrets Manager did not contain json key nope"),
            ),
        ];
        for (value_from, expected) in cases {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(check(&value_from, secret), expected, "{value_from}");
        }
        assert_eq!(
            check(&format!("{ARN}:host::"), "no JSON"),
            Err("retrieved secret from Secrets Manager is not a JSON object".to_owned())
        );
        assert!(check(&format!("{ARN}:host"), secret).unwrap_err().contains("unexpected ARN format"));
        assert!(check("parameter", secret).unwrap_err().contains("not the ARN of a secret"));
    }

    #[test]
    fn each_version_of_a_secret_is_read_once() {
        let definition = json!({"secrets": [
            {"name": "A", "valueFrom": format!("{ARN}:a::")},
            {"name": "B", "valueFrom": format!("{ARN}:b::")},
            {"name": "C", "valueFrom": format!("{ARN}:a:AWSPREVIOUS:")},
        ]});
        let requests = std::cell::RefCell::new(Vec::new());
        resolve(&definition, |secret| {
            requests.borrow_mut().push(secret.request());
            Ok(json!({"SecretString": r#"{"a":"1","b":"2"}"#}))
        })
        .unwrap();
        assert_eq!(
            requests.into_inner(),
            [json!({"SecretId": ARN}), json!({"SecretId": ARN, "VersionStage": "AWSPREVIOUS"})]
        );
    }

    #[test]
    fn a_command_gets_only_the_environment_of_the_containers() {
        let environment = ContainerEnvironment::from([("A".to_owned(), "1".to_owned())]);
        let workspace = Workspace::find().unwrap();
        let output = run_as_container(&workspace, &environment, &["env"]).unwrap().output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let names: Vec<&str> =
            said.lines().filter_map(|line| line.split_once('=')).map(|pair| pair.0).collect();
        assert!(names.contains(&"A") && names.contains(&"PATH"), "{said}");
        assert!(!names.contains(&"HOME"), "{said}");

        let error = run_as_container(&workspace, &environment, &["no-such-program"]).unwrap_err();
        assert_eq!(error.to_string(), "exec: no-such-program: executable file not found in PATH");
    }
}
