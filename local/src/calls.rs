//! What can be asked of a running local AWS: the application's API, AWS's own, and the control endpoint for tests.

use std::env;
use std::process::{Command, Output};

use anyhow::{Context as _, bail};
use roxmltree::Document;
use serde_json::{Value, json};

use crate::api::{self, ApiAnswer};
use crate::container::{self, ContainerEnvironment};
use crate::control;
use crate::http::{ACCOUNT, REGION};
use crate::local_aws::LocalAws;
use crate::options::Timings;
use crate::rebuild::{self, Rebuild};

impl LocalAws {
    /// Calls the API as the user. Every HTTP status is an answer.
    ///
    /// # Errors
    /// Only when there is no answer.
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<ApiAnswer> {
        self.api_with(method, path, &[], body)
    }

    /// Calls the API as the user, with more headers, such as `If-Match`.
    ///
    /// # Errors
    /// Only when there is no answer.
    pub fn api_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> anyhow::Result<ApiAnswer> {
        let authorization = format!("Bearer {}", self.token());
        let mut all = vec![("Authorization", authorization.as_str())];
        all.extend(body.map(|_| ("Content-Type", "application/json")));
        all.extend(headers);
        let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        self.api_raw(method, path, &all, body)
    }

    /// Calls the API with another token, or with none.
    ///
    /// # Errors
    /// Only when there is no answer.
    pub fn api_as(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<ApiAnswer> {
        let authorization = token.map(|token| format!("Bearer {token}"));
        let mut all: Vec<(&str, &str)> = Vec::new();
        all.extend(authorization.as_deref().map(|value| ("Authorization", value)));
        all.extend(body.map(|_| ("Content-Type", "application/json")));
        let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        self.api_raw(method, path, &all, body)
    }

    /// Calls the API with exactly these headers and this body.
    ///
    /// # Errors
    /// Only when there is no answer.
    pub fn api_raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> anyhow::Result<ApiAnswer> {
        api::call(self.http(), self.api_url(), method, path, headers, body)
    }

    /// Waits until a stage's rebuild is complete and shows each state of it to `watch`.
    ///
    /// # Errors
    /// With its reason, when it fails or is rolled back.
    pub fn wait_for_rebuild(
        &self,
        stack: &str,
        stage: &str,
        watch: impl FnMut(&Rebuild),
    ) -> anyhow::Result<Rebuild> {
        rebuild::wait(self, stack, stage, watch)
    }

    /// One call of an AWS service that speaks JSON 1.1, such as `secretsmanager.GetSecretValue`.
    ///
    /// # Errors
    /// With the service's code and message.
    pub fn post_json(&self, target: &str, body: &Value) -> anyhow::Result<Value> {
        self.http().json(target, body)
    }

    /// One GET of an AWS service that speaks REST and JSON, such as Lambda.
    ///
    /// # Errors
    /// When the answer is no success or no JSON.
    pub fn get_json(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.http().call("GET", path, Vec::new())?;
        serde_json::from_slice(&answer).with_context(|| format!("GET {path}: not JSON"))
    }

    /// The status RDS gives for a DB instance; none if there is no such instance. Much quicker than the AWS CLI.
    ///
    /// # Errors
    /// When the local AWS does not answer, or with an error that is not about the instance.
    pub fn database_status(&self, identifier: &str) -> anyhow::Result<Option<String>> {
        let fields = [("Action", "DescribeDBInstances"), ("DBInstanceIdentifier", identifier)];
        let answer = match self.http().query("rds", "2014-10-31", &fields) {
            Ok(answer) => answer,
            Err(error) if error.to_string().contains("DBInstanceNotFound") => return Ok(None),
            Err(error) => return Err(error),
        };
        let answer = Document::parse(&answer).context("RDS' answer is not XML")?;
        let status = answer.descendants().find(|node| node.tag_name().name() == "DBInstanceStatus");
        Ok(status.and_then(|node| node.text()).map(str::to_owned))
    }

    /// The AWS CLI, pointed at the local AWS.
    #[must_use]
    pub fn aws_command(&self) -> Command {
        let mut command = Command::new(self.workspace().program("aws"));
        // awscli 1 ignores AWS_ENDPOINT_URL for some services in us-east-1, so it is always told.
        command.args(["--endpoint-url", self.endpoint()]);
        // Nothing of a real account, profile or proxy gets in.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("AWS_") {
                command.env_remove(&*name);
            }
        }
        command.envs(self.aws_environment()).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command
    }

    /// What any AWS SDK or CLI needs in its environment to speak to the local AWS.
    #[must_use]
    pub fn aws_environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint().to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCOUNT.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_PAGER", String::new()),
        ]
    }

    /// Runs the AWS CLI and reads its JSON; no output is null.
    ///
    /// # Errors
    /// With what the CLI said, when it fails.
    pub fn aws(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = self.aws_command().args(["--output", "json"]).args(arguments).output();
        let output = output.context("cannot run the AWS CLI")?;
        if !output.status.success() {
            bail!("aws {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        if output.stdout.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("aws {}: not JSON", arguments.join(" ")))
    }

    /// The environment a new container of that stage would start with.
    ///
    /// # Errors
    /// As the ECS agent would fail the start, when a secret or a key of it is missing.
    pub fn container_environment(&self, stack: &str, stage: &str) -> anyhow::Result<ContainerEnvironment> {
        container::environment(self.http(), stack, stage)
    }

    /// Runs a command as that stage's container, in the checkout's folder, and returns its output.
    ///
    /// # Errors
    /// When the container would not start.
    pub fn run_in_container(&self, stack: &str, stage: &str, command: &[&str]) -> anyhow::Result<Output> {
        let environment = self.container_environment(stack, stage)?;
        let mut run = container::run_as_container(self.workspace(), &environment, command)?;
        run.current_dir(self.workspace().path("")).output().context("cannot run the command")
    }

    /// What the functions have logged so far, all of them in one order.
    ///
    /// # Errors
    /// When the local AWS does not answer.
    pub fn function_logs(&self) -> anyhow::Result<String> {
        let mut lines: Vec<(u64, String)> = Vec::new();
        for function in self.functions() {
            let group =
                json!({"logGroupName": format!("/aws/lambda/stagedb-{}", function.name), "limit": 10_000});
            let answer = self.post_json("Logs_20140328.FilterLogEvents", &group)?;
            for event in answer.get("events").and_then(Value::as_array).into_iter().flatten() {
                let at = event.get("timestamp").and_then(Value::as_u64).unwrap_or_default();
                let message = event.get("message").and_then(Value::as_str).unwrap_or_default();
                lines.push((at, format!("{} {}\n", function.name, message.trim_end())));
            }
        }
        lines.sort_by_key(|(at, _)| *at);
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }

    /// Makes calls of AWS fail, as `PUT /_local/faults` of `local/aws` describes.
    ///
    /// # Errors
    /// When the local AWS does not understand it.
    pub fn set_faults(&self, faults: &Value) -> anyhow::Result<Value> {
        control::set_faults(self.http(), faults)
    }

    /// The faults that are set.
    ///
    /// # Errors
    /// When the local AWS does not answer.
    pub fn faults(&self) -> anyhow::Result<Value> {
        control::faults(self.http())
    }

    /// Takes all faults back.
    ///
    /// # Errors
    /// When the local AWS does not answer.
    pub fn clear_faults(&self) -> anyhow::Result<()> {
        control::clear_faults(self.http())
    }

    /// Asks the local AWS for what only a test may: `method path`, as `local/aws/README.md` lists them.
    ///
    /// # Errors
    /// When the local AWS does not understand it.
    pub fn control(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        control::call(self.http(), method, path, body)
    }

    /// The user's access token again, well signed, but expiring at that time.
    ///
    /// # Errors
    /// When the local AWS does not answer.
    pub fn token_expiring_at(&self, unix_seconds: u64) -> anyhow::Result<String> {
        control::token_expiring_at(self.http(), self.token(), unix_seconds)
    }

    /// Changes how long things take from now on.
    ///
    /// # Errors
    /// When the local AWS does not answer.
    pub fn set_timings(&self, timings: &Timings) -> anyhow::Result<()> {
        control::set_timings(self.http(), timings)
    }
}
