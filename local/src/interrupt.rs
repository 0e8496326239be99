//! Ctrl-C and SIGTERM, as a flag that every wait checks.
//!
//! This way, an interrupted command unwinds normally, and the `Drop` of each owner stops what it started.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Handles SIGINT, SIGTERM, and SIGHUP for this process. A second signal ends the process immediately. The local AWS
/// notices and stops on its own.
///
/// # Errors
/// If a handler is already installed.
pub fn install() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            process::exit(130);
        }
    })
    .context("cannot install the Ctrl-C handler")
}

/// Goes on, to clean up. The next signal counts again.
pub fn resume() {
    REQUESTED.store(false, Ordering::SeqCst);
}

/// Whether this process was asked to stop.
#[must_use]
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Fails if this process was asked to stop.
///
/// # Errors
/// `interrupted`, if it was.
pub fn check() -> anyhow::Result<()> {
    if requested() {
        bail!("interrupted");
    }
    Ok(())
}
