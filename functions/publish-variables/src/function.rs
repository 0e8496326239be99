//! What the function needs, and why it fails.

use aws::{AwsError, Events, SdkConfig, Services, Stacks, StageServices, TaskDefinitions};
use database::InvalidParameter;
use thiserror::Error;

/// What the function needs.
#[derive(Debug)]
pub struct PublishVariables {
    pub(crate) stacks: Stacks,
    pub(crate) services: Services,
    pub(crate) definitions: TaskDefinitions,
    pub(crate) stage_services: StageServices,
    pub(crate) events: Events,
}

impl PublishVariables {
    /// Creates the function's clients.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            stacks: Stacks::new(config),
            services: Services::new(config),
            definitions: TaskDefinitions::new(config),
            stage_services: StageServices::new(config),
            events: Events::new(config),
        }
    }
}

/// Why an event wasn't handled. Lambda retries, and then sends the event to the dead-letter queue.
#[derive(Debug, Error)]
pub enum PublishError {
    /// Not an event that a rule of ours delivers.
    #[error("the event isn't about a stack or a service")]
    Unknown,
    /// The stack doesn't have an output of stage.yaml.
    #[error("the stage stack has no output SecretArn")]
    NoSecretArn,
    /// A parameter of the stack can't be read.
    #[error("the stage stack can't be read")]
    Parameter(#[from] InvalidParameter),
    /// Some services or jobs didn't get their variables. The causes are in the log.
    #[error("these didn't get their variables: {}", .0.join(", "))]
    Services(Vec<String>),
    /// A service didn't get its variables.
    #[error("a service didn't get its variables")]
    Service(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// AWS didn't reply, or refused.
    #[error(transparent)]
    Aws(#[from] AwsError),
}
