//! Executions of the state machine.

use aws_config::SdkConfig;
use aws_sdk_sfn::{Client, error::ProvideErrorMetadata, types::ExecutionStatus};
use database::{SettleRequest, hex};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::{
    AwsError,
    config::{Lazy, client},
    error::failed,
    instant::instant,
};

/// The state machine that changes databases.
#[derive(Debug, Clone)]
pub struct Executions {
    client: Lazy<Client>,
    state_machine_arn: String,
}

/// Whether an execution was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It was started now.
    Now,
    /// An earlier delivery of the same event has already started an execution with this name.
    Before,
}

/// An execution, as far as it has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Its input.
    pub input: Value,
    /// When it started.
    pub started_at: OffsetDateTime,
    /// How far it is.
    pub state: ExecutionState,
}

/// How far an execution is.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutionState {
    /// It's running.
    Running,
    /// It succeeded, with this output.
    Succeeded(Value),
    /// It failed, ran out of time, or was stopped.
    Failed,
}

/// The beginning of a hash of both, for the name of an execution.
#[must_use]
pub fn execution_prefix(first: &str, second: &str) -> String {
    let hash = Sha256::new().chain_update(first).chain_update(second).finalize();
    let (beginning, _) = hash.split_at(8);
    hex(beginning)
}

impl Executions {
    /// Executions of this state machine.
    #[must_use]
    pub fn new(config: &SdkConfig, state_machine_arn: String) -> Self {
        Self { client: client!(aws_sdk_sfn, config), state_machine_arn }
    }

    /// Starts an execution. Safe to repeat, because a name can be used only once in 90 days.
    ///
    /// # Errors
    /// Step Functions can't be reached, or refuses.
    pub async fn start(&self, name: &str, input: &serde_json::Value) -> Result<Started, AwsError> {
        let call = self.client.start_execution().state_machine_arn(&self.state_machine_arn);
        match call.name(name).input(input.to_string()).send().await {
            Ok(_) => Ok(Started::Now),
            Err(error) if error.code() == Some("ExecutionAlreadyExists") => Ok(Started::Before),
            Err(error) => Err(failed("StartExecution")(error)),
        }
    }

    /// Starts an execution that settles the logins of a stage. Safe to repeat with the same request.
    ///
    /// # Errors
    /// Step Functions can't be reached, or refuses.
    pub async fn settle(&self, function_arn: &str, request: &SettleRequest) -> Result<Started, AwsError> {
        let name = format!("settle-{}-{}", execution_prefix(&request.stack_id, &request.end), request.round);
        let input = json!({ "request": null, "function": function_arn, "settle": request });
        self.start(&name, &input).await
    }

    /// The execution with this name, if there is one.
    ///
    /// # Errors
    /// Step Functions can't be reached, or refuses.
    pub async fn get(&self, name: &str) -> Result<Option<Execution>, AwsError> {
        let arn = self.state_machine_arn.replacen(":stateMachine:", ":execution:", 1);
        let reply = match self.client.describe_execution().execution_arn(format!("{arn}:{name}")).send().await
        {
            Ok(reply) => reply,
            Err(error) if error.code() == Some("ExecutionDoesNotExist") => return Ok(None),
            Err(error) => return Err(failed("DescribeExecution")(error)),
        };
        let json = |text: Option<&str>| serde_json::from_str(text.unwrap_or_default()).unwrap_or_default();
        let state = match reply.status() {
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive => ExecutionState::Running,
            ExecutionStatus::Succeeded => ExecutionState::Succeeded(json(reply.output())),
            _ => ExecutionState::Failed,
        };
        Ok(Some(Execution { input: json(reply.input()), started_at: instant(reply.start_date()), state }))
    }
}
