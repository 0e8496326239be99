//! Executions of the state machine.

use aws_config::SdkConfig;
use aws_sdk_sfn::{Client, error::ProvideErrorMetadata};

use crate::{
    AwsError,
    config::{Lazy, client},
    error::failed,
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
}
