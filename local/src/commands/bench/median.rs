//! The median of several measurements.

use std::time::Duration;

use anyhow::Context as _;

/// The median.
pub(crate) fn median(measured: impl Iterator<Item = anyhow::Result<Duration>>) -> anyhow::Result<Duration> {
    let mut all = measured.collect::<anyhow::Result<Vec<_>>>()?;
    all.sort();
    all.get(all.len() / 2).copied().context("nothing was measured")
}
