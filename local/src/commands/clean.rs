//! `cargo local clean`: deletes `.local/`.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context as _, bail};
use local::Workspace;

/// Deletes all state, unless a local AWS is running.
pub(crate) fn clean() -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    if let Some(running) = workspace.running()?.first() {
        bail!(
            "a local AWS is running ({}); stop it first: press Ctrl-C in the terminal where you started it",
            running.display()
        );
    }
    match fs::remove_dir_all(workspace.state()) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("cannot delete .local"),
        _ => Ok(()),
    }
}
