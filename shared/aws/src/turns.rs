//! Working on a resource only while CloudFormation waits for it, and only when no other request does: see
//! [`database::turn`].

use std::time::Duration;

use aws_config::SdkConfig;
use database::{Asked, TURN, Turn, turn};
use thiserror::Error;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{AwsError, Stacks};

/// The pauses, in seconds, between looks at a request that CloudFormation's events don't show yet, because events show
/// up late.
const LOOKS: [u64; 3] = [1, 3, 6];

/// The turns of a function.
#[derive(Debug, Clone)]
pub struct Turns {
    stacks: Stacks,
}

/// Why nothing was done.
#[derive(Debug, Error)]
pub enum TurnError {
    /// CloudFormation has its answer, or no longer waits for one.
    #[error("CloudFormation no longer waits for this request")]
    Over,
    /// The stack's events couldn't be read.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Turns {
    /// Turns for the resources of stacks in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { stacks: Stacks::new(config) }
    }

    /// Does the work in one turn, as soon as it's this request's turn. Work that takes longer than a turn is aborted
    /// and started again, so it must be safe to repeat. `now` is the time of this call.
    ///
    /// # Errors
    /// See [`TurnError`].
    pub async fn take<T, F: Future<Output = T>>(
        &self,
        stack_id: &str,
        asked: &Asked,
        now: OffsetDateTime,
        work: impl Fn() -> F,
    ) -> Result<T, TurnError> {
        let called = Instant::now();
        loop {
            let (turn, deadline) = self.look(stack_id, asked).await?;
            let wait = turn.begins_at - (now + called.elapsed());
            if wait.is_positive() {
                sleep(wait.unsigned_abs()).await;
                continue;
            }
            if let Ok(done) = timeout_at(deadline, work()).await {
                return Ok(done);
            }
        }
    }

    /// The request's turn, and the deadline for acting on it.
    ///
    /// # Errors
    /// See [`TurnError`].
    pub async fn look(&self, stack_id: &str, asked: &Asked) -> Result<(Turn, Instant), TurnError> {
        let mut pauses = LOOKS.into_iter();
        loop {
            // Taken before the call, because the events may have changed by the time the reply arrives.
            let deadline = Instant::now() + TURN;
            let events = self.stacks.events(stack_id, Some(&asked.logical_id)).await?;
            if let Some(turn) = turn(asked, &events) {
                return Ok((turn, deadline));
            }
            let pause = pauses.next().ok_or(TurnError::Over)?;
            sleep(Duration::from_secs(pause)).await;
        }
    }
}
