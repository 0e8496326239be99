//! The client task: what it runs, how long it may take, and what its end means.
//!
//! It runs `psql` from the official `postgres` image, where the stage's services run. Everything secret is in environment
//! variables that ECS takes from the secret. So the command is the same for every stage, and it can be shown to anyone.

mod attempt;
mod failure;

use std::time::Duration;

pub use attempt::{Attempt, AttemptOutcome, ConnectionTest};
pub use failure::ClientFailure;

/// The name of the container in the client's task definitions.
pub const CLIENT: &str = "client";
/// How many seconds `psql` waits for a connection to each address of the host.
const CONNECT_SECONDS: u64 = 10;
/// How many seconds the command can take. A task that nobody watches ends by itself.
const COMMAND_SECONDS: u64 = 30;
/// How long a proof waits for its tasks. Fargate usually starts one within a minute; an instance of the team's own may have
/// to be started first.
pub const PROOF_LIMIT: Duration = Duration::from_mins(5);
/// How long a test waits for its tasks, because a user waits for it.
pub const TEST_LIMIT: Duration = Duration::from_mins(2);

/// The command that connects once, for a container whose entry point is `sh -c`. It verifies the server's certificate if the
/// Region's root certificates are known. The libraries' variables (`PGHOST`, `PGPASSWORD`, and so on) are already set.
#[must_use]
pub fn connect_command() -> String {
    format!(
        r#"if [ -n "${{RDS_CERTIFICATES:-}}" ]; then
  PGSSLROOTCERT=$(mktemp) && printf '%s\n' "$RDS_CERTIFICATES" > "$PGSSLROOTCERT" || exit 70
  export PGSSLROOTCERT PGSSLMODE=verify-full
else
  export PGSSLMODE=require
fi
export LC_ALL=C PGCLIENTENCODING=UTF8 PGAPPNAME=stagedb PGCONNECT_TIMEOUT={CONNECT_SECONDS}
exec timeout {COMMAND_SECONDS} \
  psql --no-psqlrc --no-password --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --command='SELECT 1'"#
    )
}

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

    /// Why it failed. `output` is what the container wrote, if anything.
    ///
    /// # Errors
    /// It didn't connect.
    pub fn result(&self, output: Option<&str>) -> Result<(), ClientFailure> {
        if self.has_succeeded() { Ok(()) } else { Err(failure::failure(self, output)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_has_no_credentials_and_sets_none() {
        let command = connect_command();
        for name in ["PGPASSWORD", "PGUSER", "PGHOST"] {
            assert!(!command.contains(name), "{command}");
        }
    }
}
