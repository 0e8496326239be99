//! The client task: what it runs, how long it may take, and what its end means.
//!
//! It runs `psql` from the official `postgres` image, where the stage's services run. Everything secret is in environment
//! variables that ECS takes from the secret. So the command is the same for every stage, and it can be shown to anyone.

mod attempt;
mod command;
mod failure;
mod task;

use std::time::Duration;

pub use attempt::{Attempt, AttemptOutcome, ConnectionTest, DowntimeRequest, SettleRequest};
pub use command::{
    CLIENT, MEASURED_AT_MOST, connect_command, downtime_command, logins_command, settle_command,
};
pub use failure::{ClientFailure, client_result};
pub use task::{ClientTask, StoppedTask};

/// How long a proof waits for its tasks. Fargate usually starts one within a minute; an instance of the team's own may have
/// to be started first.
pub const PROOF_LIMIT: Duration = Duration::from_mins(5);
/// How long a test waits for its tasks, because a user waits for it.
pub const TEST_LIMIT: Duration = Duration::from_mins(2);
