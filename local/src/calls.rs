//! Calls to a running local AWS: the application's API, AWS's own APIs, and the control endpoint for tests.

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
    /// Calls the API as the user. Any HTTP status counts as a response.
    ///
    /// # Errors
    /// Only if there is no response.
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<ApiAnswer> {
        self.api_with(method, path, &[], body)
    }

    /// Calls the API as the user, with additional headers, such as `If-Match`.
    ///
    /// # Errors
    /// Only if there is no response.
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
    /// Only if there is no response.
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
    /// Only if there is no response.
    pub fn api_raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> anyhow::Result<ApiAnswer> {
        api::call(self.http(), self.api_url(), method, path, headers, body)
    }

    /// Waits until a stage's rebuild is complete, and calls `watch` with each of its states.
    ///
    /// # Errors
    /// If the rebuild fails or is rolled back, with its reason.
    pub fn wait_for_rebuild(
        &self,
        stack: &str,
        stage: &str,
        watch: impl FnMut(&Rebuild),
    ) -> anyhow::Result<Rebuild> {
        rebuild::wait(self, stack, stage, watch)
    }

    /// Makes one call to an AWS service that uses JSON 1.1, such as `secretsmanager.GetSecretValue`.
    ///
    /// # Errors
    /// Contains the service's error code and message.
    pub fn post_json(&self, target: &str, body: &Value) -> anyhow::Result<Value> {
        self.http().json(target, body)
    }

    /// Makes one GET request to an AWS service that uses REST and JSON, such as Lambda.
    ///
    /// # Errors
    /// If the request fails, or the response isn't JSON.
    pub fn get_json(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.http().call("GET", path, Vec::new())?;
        serde_json::from_slice(&answer).with_context(|| format!("GET {path}: the response isn't JSON"))
    }

    /// The status of a DB instance in RDS, or `None` if the instance doesn't exist. Much faster than the AWS CLI.
    ///
    /// # Errors
    /// If the local AWS doesn't respond, or responds with any error other than that the instance doesn't exist.
    pub fn database_status(&self, identifier: &str) -> anyhow::Result<Option<String>> {
        let fields = [("Action", "DescribeDBInstances"), ("DBInstanceIdentifier", identifier)];
        let answer = match self.http().query("rds", "2014-10-31", &fields) {
            Ok(answer) => answer,
            Err(error) if error.to_string().contains("DBInstanceNotFound") => return Ok(None),
            Err(error) => return Err(error),
        };
        let answer = Document::parse(&answer).context("RDS's response isn't XML")?;
        let status = answer.descendants().find(|node| node.tag_name().name() == "DBInstanceStatus");
        Ok(status.and_then(|node| node.text()).map(str::to_owned))
    }

    /// The AWS CLI, configured for the local AWS.
    #[must_use]
    pub fn aws_command(&self) -> Command {
        let mut command = self.with_aws_environment(Command::new(self.workspace().program("aws")));
        command.args(self.aws_options());
        command
    }

    /// AWS CLI v1 ignores `AWS_ENDPOINT_URL` for some services in us-east-1, so always pass the option.
    fn aws_options(&self) -> [&str; 2] {
        ["--endpoint-url", self.endpoint()]
    }

    /// Keeps out anything from a real account, profile, or proxy.
    fn with_aws_environment(&self, mut command: Command) -> Command {
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

    /// The environment variables that any AWS SDK or CLI needs to use the local AWS.
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

    /// Runs the AWS CLI and parses its JSON output. No output becomes null.
    ///
    /// # Errors
    /// If the CLI fails, with its error output.
    pub fn aws(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let load = || {
            let mut command = self.with_aws_environment(Command::new(self.workspace().program("python")));
            command.arg(self.workspace().path("local/aws/aws_cli.py"));
            command
        };
        let all = [&self.aws_options()[..], &["--output", "json"], arguments].concat();
        let ended = self.aws_cli().run(load, &all)?;
        if ended.code != 0 {
            bail!("aws {}: {}", arguments.join(" "), ended.stderr.trim());
        }
        if ended.stdout.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&ended.stdout)
            .with_context(|| format!("aws {}: the output isn't JSON", arguments.join(" ")))
    }

    /// The environment that a new container of the stage would start with.
    ///
    /// # Errors
    /// If a secret or one of its keys is missing, as the ECS agent would fail to start the container.
    pub fn container_environment(&self, stack: &str, stage: &str) -> anyhow::Result<ContainerEnvironment> {
        container::environment(self.http(), stack, stage)
    }

    /// Runs a command as the stage's container, in the checkout's directory, and returns its output.
    ///
    /// # Errors
    /// If the container wouldn't start.
    pub fn run_in_container(&self, stack: &str, stage: &str, command: &[&str]) -> anyhow::Result<Output> {
        let environment = self.container_environment(stack, stage)?;
        let mut run = container::run_as_container(self.workspace(), &environment, command)?;
        run.current_dir(self.workspace().path("")).output().context("cannot run the command")
    }

    /// Everything that the functions have logged so far, in chronological order.
    ///
    /// # Errors
    /// If the local AWS doesn't respond.
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

    /// Makes calls to AWS fail. See `PUT /_local/faults` in `local/aws/README.md`.
    ///
    /// # Errors
    /// If the local AWS rejects the faults.
    pub fn set_faults(&self, faults: &Value) -> anyhow::Result<Value> {
        control::set_faults(self.http(), faults)
    }

    /// The faults that are currently set.
    ///
    /// # Errors
    /// If the local AWS doesn't respond.
    pub fn faults(&self) -> anyhow::Result<Value> {
        control::faults(self.http())
    }

    /// Removes all faults.
    ///
    /// # Errors
    /// If the local AWS doesn't respond.
    pub fn clear_faults(&self) -> anyhow::Result<()> {
        control::clear_faults(self.http())
    }

    /// Calls one of the endpoints for tests that `local/aws/README.md` lists.
    ///
    /// # Errors
    /// If the local AWS rejects the request.
    pub fn control(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        control::call(self.http(), method, path, body)
    }

    /// A copy of the user's access token with a valid signature, but with this expiration time.
    ///
    /// # Errors
    /// If the local AWS doesn't respond.
    pub fn token_expiring_at(&self, unix_seconds: u64) -> anyhow::Result<String> {
        self.token_with(self.token(), &json!({"exp": unix_seconds}))
    }

    /// A validly signed token with other claims. A claim that is null is left out.
    ///
    /// # Errors
    /// If the local AWS doesn't respond.
    pub fn token_with(&self, token: &str, claims: &Value) -> anyhow::Result<String> {
        control::token_with(self.http(), token, claims)
    }

    /// Changes how long operations take from now on.
    ///
    /// # Errors
    /// If the local AWS doesn't respond.
    pub fn set_timings(&self, timings: &Timings) -> anyhow::Result<()> {
        control::set_timings(self.http(), timings)
    }
}
