//! Operations that a call has started. They continue after the call has returned.

use serde_json::Value;

/// A stack operation, by the stack's ARN; an execution of the state machine, by its name; a deployment, by the service and
/// its number; or the body of a call that put events on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Begun {
    Create(String),
    Update(String),
    ContinueRollback(String),
    Delete(String),
    Execution(String),
    Deployment(String, u64),
    /// A client task, by its ARN.
    Client(String),
    Events(Value),
}
