//! Gives the containers of a stage their runtime variables once the stage stack is complete, removes them again, and
//! restores them when a team deploys its own task definition.
//!
//! An event only says that something changed. Events repeat and arrive out of order, so the function reads the stack
//! and the services, and publishes the current state. Tags on an ECS service say to which stage it belongs and which
//! operation was published last, so a repeat does nothing.

mod announce;
mod deploy;
mod hint;
mod publish;
mod restore;

use std::sync::Arc;

use aws::{AwsError, Events, SdkConfig, Services, Stacks, StageServices, TaskDefinitions};
use database::InvalidParameter;
pub use hint::{Hint, hint};
use lambda::Invocation;
use thiserror::Error;

/// What the function needs.
#[derive(Debug)]
pub struct PublishVariables {
    stacks: Stacks,
    services: Services,
    definitions: TaskDefinitions,
    stage_services: StageServices,
    events: Events,
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

impl From<deploy::ServiceError> for PublishError {
    fn from(error: deploy::ServiceError) -> Self {
        Self::Service(error.into())
    }
}

/// Handles one event.
///
/// # Errors
/// See [`PublishError`].
pub async fn handle(function: Arc<PublishVariables>, invocation: Invocation) -> Result<(), PublishError> {
    match hint(&invocation.event).ok_or(PublishError::Unknown)? {
        Hint::Stack(id) => function.publish(&id).await,
        Hint::Deployment { service, has_started } => {
            function.deployed(&service, has_started, invocation.now).await
        }
        Hint::Missing(stage) => function.missing(&stage, invocation.now).await,
        Hint::Ignored(why) => {
            restore::ignored(why);
            Ok(())
        }
    }
}
