//! Working on a resource only while CloudFormation waits for it, and only when nobody else does: see [`database::turn`].

use std::time::Duration;

use aws_config::SdkConfig;
use database::{Asked, TURN, Turn, turn};
use thiserror::Error;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{AwsError, Stacks};

/// The pauses between looks at a request that CloudFormation's events don't show, in seconds: events show a moment late.
const LOOKS: [u64; 3] = [1, 3, 6];

/// The turns of a function.
#[derive(Debug, Clone)]
pub struct Turns {
    stacks: Stacks,
}

/// Why nothing was done.
#[derive(Debug, Error)]
pub enum TurnError {
    /// It has its answer, or has stopped waiting for one.
    #[error("CloudFormation no longer waits for this request")]
    Over,
    /// The stack's events could not be read.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Turns {
    /// Turns at the resources of stacks in this account and region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { stacks: Stacks::new(config) }
    }

    /// Does a piece of work in one turn, as soon as it is this request's. Work that takes longer than a turn is dropped where it
    /// is and begun anew, so it must be safe to repeat. `now` is the time at which this is called.
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

    /// Whose turn it is, and until when what is decided by that may be done.
    ///
    /// # Errors
    /// See [`TurnError`].
    pub async fn look(&self, stack_id: &str, asked: &Asked) -> Result<(Turn, Instant), TurnError> {
        let mut pauses = LOOKS.into_iter();
        loop {
            // From before the look: what it shows may have changed when the reply is here.
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
