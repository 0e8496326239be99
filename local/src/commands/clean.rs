//! `cargo local clean`: removes `.local/`.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context as _, bail};
use local::Workspace;

/// Removes all state, unless something runs.
pub(crate) fn clean() -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    if let Some(running) = workspace.running()?.first() {
        bail!(
            "a local AWS is running ({}); stop it first, with Ctrl-C where it was started",
            running.display()
        );
    }
    match fs::remove_dir_all(workspace.state()) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("cannot remove .local"),
        _ => Ok(()),
    }
}
