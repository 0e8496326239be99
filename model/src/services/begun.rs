//! Operations that a call has started. They continue after the call has returned.

/// A stack operation, by the stack's ARN, or an execution of the state machine, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Begun {
    Create(String),
    Update(String),
    ContinueRollback(String),
    Delete(String),
    Execution(String),
}
