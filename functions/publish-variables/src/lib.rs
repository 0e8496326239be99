//! Gives the containers of a stage their runtime variables once the stage stack is complete, removes them again, and
//! restores them when a team deploys its own task definition.
//!
//! An event only says that something changed. Events repeat and arrive out of order, so the function reads the stack
//! and the services, and publishes the current state. Tags on an ECS service say to which stage it belongs and which
//! operation was published last, so a repeat does nothing.

mod announce;
mod deploy;
mod function;
mod hint;
mod publish;
mod release;
mod restore;

use std::sync::Arc;

pub use function::{PublishError, PublishVariables};
pub use hint::{Hint, hint};
use lambda::Invocation;

/// Handles one event.
///
/// # Errors
/// See [`PublishError`].
pub async fn handle(function: Arc<PublishVariables>, invocation: Invocation) -> Result<(), PublishError> {
    match hint(&invocation.event).ok_or(PublishError::Unknown)? {
        Hint::Stack(id) => function.stack_changed(&id, invocation.now).await,
        Hint::Deployment { service, has_started } => {
            function.deployed(&service, has_started, invocation.now).await
        }
        Hint::Missing(stage) => function.missing(&stage, invocation.now).await,
        Hint::Ignored(why) => {
            hint::ignored(why);
            Ok(())
        }
    }
}
