//! Waiting for something that is asked for again and again.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::interrupt;

/// Asks every 100 ms until there is an answer.
///
/// `what` completes the sentence "waited … s for".
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
            bail!("waited {} s for {what}", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(100));
    }
}
