//! How far a client task is, as ECS shows it.

/// A task, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientTask {
    /// It hasn't stopped. ECS's status, such as `PENDING`.
    Running(String),
    /// It has stopped.
    Stopped(StoppedTask),
    /// ECS doesn't show it anymore.
    Gone,
}

/// How a task ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoppedTask {
    /// ECS's code, such as `EssentialContainerExited`.
    pub code: String,
    /// ECS's reason.
    pub reason: String,
    /// The exit code of the client's container, if it ran.
    pub exit_code: Option<i32>,
    /// ECS's reason about the container.
    pub container_reason: String,
}

impl StoppedTask {
    /// Whether it did what it was started for.
    #[must_use]
    pub fn has_succeeded(&self) -> bool {
        self.exit_code == Some(0)
    }

    /// Whether its output can explain a failure.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.exit_code.is_some()
    }
}
