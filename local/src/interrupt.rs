//! Ctrl-C and SIGTERM, as a flag that every wait looks at.
//!
//! So an interrupted command unwinds the ordinary way, and whatever it started is stopped by the `Drop` of its owner.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Takes over SIGINT, SIGTERM and SIGHUP for this process. A second signal ends the process at once; the local AWS
/// notices that and stops by itself.
///
/// # Errors
/// When somebody else has installed a handler already.
pub fn install() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            process::exit(130);
        }
    })
    .context("cannot listen for Ctrl-C")
}

/// Whether this process was asked to stop.
#[must_use]
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Fails once this process was asked to stop.
///
/// # Errors
/// "interrupted", when it was.
pub fn check() -> anyhow::Result<()> {
    if requested() {
        bail!("interrupted");
    }
    Ok(())
}
