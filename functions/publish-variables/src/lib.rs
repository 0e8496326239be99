//! Gives the containers of a stage their runtime variables once the stage stack is complete, and removes them again.
//!
//! An event only says that something changed. Events repeat and arrive out of order, so the function reads the stack
//! and publishes its current state. A tag on the ECS service says which operation was published last, so a repeat does
//! nothing.

use std::sync::Arc;

use aws::{AwsError, Lookup, Rebuilt, SdkConfig, Service, Services, Stacks, StageStack};
use database::{Publication, StackStatus, Target, VariableConflict, publication};
use lambda::Invocation;
use serde_json::Value;
use thiserror::Error;
use tracing::{info, warn};

/// What the function needs.
#[derive(Debug)]
pub struct PublishVariables {
    stacks: Stacks,
    services: Services,
}

impl PublishVariables {
    /// Creates the function's clients.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { stacks: Stacks::new(config), services: Services::new(config) }
    }
}

/// Why an event wasn't handled. Lambda retries, and then sends the event to the dead-letter queue.
#[derive(Debug, Error)]
pub enum PublishError {
    /// Not a CloudFormation event.
    #[error("the event has no stack ID in detail.stack-id")]
    NoStackId,
    /// The stack doesn't have a parameter or an output of stage.yaml.
    #[error("the stage stack has no {0}")]
    Incomplete(&'static str),
    /// The container isn't in the task definition.
    #[error("the task definition {definition} has no container {container}")]
    NoContainer {
        /// The task definition.
        definition: String,
        /// The container that the stage was registered with.
        container: String,
    },
    /// AWS didn't reply, or refused.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// The ARN of the stack that an event is about.
///
/// # Errors
/// It isn't a CloudFormation event.
pub fn stack_id(event: &Value) -> Result<&str, PublishError> {
    event.pointer("/detail/stack-id").and_then(Value::as_str).ok_or(PublishError::NoStackId)
}

/// Handles one event.
///
/// # Errors
/// See [`PublishError`].
pub async fn handle(function: Arc<PublishVariables>, invocation: Invocation) -> Result<(), PublishError> {
    let stack_id = stack_id(&invocation.event)?;
    let mut published = None;
    loop {
        let Lookup::Found(stack) = function.stacks.stack(stack_id).await? else {
            return Ok(());
        };
        if published.as_ref() == Some(&stack) {
            return Ok(());
        }
        lambda::log_stage(&stack.stage.stack, &stack.stage.stage);
        if function.publish(&stack).await? == Written::Nothing {
            return Ok(());
        }
        // Meanwhile, another operation may have ended, and its event may have been handled before this write. So the
        // stack is read again after the last write, until it matches what was published.
        published = Some(stack);
    }
}

/// The result of handling an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Nothing,
    Something,
}

impl PublishVariables {
    async fn publish(&self, stack: &StageStack) -> Result<Written, PublishError> {
        let Some(target) = self.target(stack).await? else {
            return Ok(Written::Nothing);
        };
        let parameter = |name| stack.parameters.get(name).ok_or(PublishError::Incomplete(name));
        let (cluster, name, container) =
            (parameter("Cluster")?, parameter("Service")?, parameter("Container")?);
        let Some(service) = self.services.service(cluster, name).await? else {
            info!(cluster, service = name, "the service doesn't exist, so there are no containers");
            return Ok(Written::Nothing);
        };
        let rebuilt = stack.rebuilt();
        // A deletion doesn't count as an operation: the time of the last update stays.
        let is_deleted = stack.status == StackStatus::Deleted;
        let is_repeat = !is_deleted && service.rebuilt.as_ref() == Some(&rebuilt);
        let definition = self.services.task_definition(&service.task_definition_arn).await?;
        let variables = definition.container(container).ok_or_else(|| PublishError::NoContainer {
            definition: service.task_definition_arn.clone(),
            container: container.clone(),
        })?;
        match publication(&variables, &stack.stage.secret_name(), &target) {
            Publication::Change(secrets) => {
                let revision = self.services.register(definition, container, &secrets).await?;
                self.services.redeploy(cluster, name, Some(revision.clone())).await?;
                info!(revision, "published");
            }
            Publication::UpToDate if is_repeat => {
                info!(operation = stack.operation, "published before");
                return Ok(Written::Nothing);
            }
            // The values of the variables, or the database itself, may have changed, and tasks read them only when they
            // start. After a rollback, this matters only if the secret has another version than before: then it was
            // changed and changed back, and a task may have started in between. If the operation failed before that,
            // nothing is restarted.
            Publication::UpToDate
                if target != Target::Removed
                    && (stack.status == StackStatus::Complete || has_other_version(&service, &rebuilt)) =>
            {
                self.services.redeploy(cluster, name, None).await?;
                info!("redeployed with the same variables");
            }
            Publication::UpToDate => info!("nothing to publish"),
            Publication::Conflict(conflicts) => {
                let names: Vec<_> = conflicts.iter().map(|VariableConflict { name }| name.as_str()).collect();
                warn!(
                    ?names,
                    "the container already has variables with these names, so nothing is published"
                );
            }
        }
        if !is_deleted {
            self.services.mark_rebuilt(&service.arn, &rebuilt).await?;
        }
        Ok(Written::Something)
    }

    /// What the containers should have. `None` if an operation is running, which sends its own event at the end, or if
    /// a new stack of the stage has replaced a deleted one.
    async fn target(&self, stack: &StageStack) -> Result<Option<Target>, PublishError> {
        match stack.status {
            StackStatus::InProgress
            | StackStatus::RollingBack
            | StackStatus::CreationFailed
            | StackStatus::RollbackFailed
            | StackStatus::DeletionFailed => Ok(None),
            StackStatus::Deleted => match self.stacks.stack(&stack.stage.stage_stack_name()).await? {
                Lookup::Found(live) if live.status != StackStatus::Deleted => Ok(None),
                Lookup::Found(_) | Lookup::Missing | Lookup::Foreign => Ok(Some(Target::Removed)),
            },
            StackStatus::Complete | StackStatus::RolledBack => {
                if stack.parameters.get("Source").is_none_or(|source| source == "none") {
                    return Ok(Some(Target::Removed));
                }
                let secret_arn =
                    stack.outputs.get("SecretArn").ok_or(PublishError::Incomplete("SecretArn"))?;
                Ok(Some(Target::Published { secret_arn: secret_arn.clone() }))
            }
        }
    }
}

/// Whether clients read a different version of the secret than when the containers were last redeployed.
fn has_other_version(service: &Service, rebuilt: &Rebuilt) -> bool {
    service.rebuilt.as_ref().is_none_or(|before| before.secret_version != rebuilt.secret_version)
}
