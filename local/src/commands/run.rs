//! `cargo local run`: plays a stage's container.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use anyhow::Context as _;
use local::{LocalAws, run_as_container};

/// Becomes the command, so that its exit code and any signal are its own.
pub(crate) fn run(port: Option<u16>, stack: &str, stage: &str, command: &[OsString]) -> anyhow::Result<()> {
    let local = LocalAws::attach(port)?;
    let environment = local.container_environment(stack, stage)?;
    let mut run = run_as_container(local.workspace(), &environment, command)?;
    Err(run.exec()).context("cannot run the command")
}
