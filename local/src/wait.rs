//! Polling.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::interrupt;

/// Polls every 100 ms until there is an answer.
///
/// `what` completes the message "timed out after … s waiting for".
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        interrupt::check()?;
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if started.elapsed() > limit {
            bail!("timed out after {} s waiting for {what}", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(100));
    }
}
