//! `cargo local run`: runs a command as a stage's container.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use anyhow::Context as _;
use local::{LocalAws, run_as_container};

/// Replaces this process with the command, so that its exit code and any signal are passed on.
pub(crate) fn run(port: Option<u16>, stack: &str, stage: &str, command: &[OsString]) -> anyhow::Result<()> {
    let local = LocalAws::attach(port)?;
    let environment = local.container_environment(stack, stage)?;
    let mut run = run_as_container(local.workspace(), &environment, command)?;
    Err(run.exec()).context("cannot run the command")
}
