//! `cargo local aws`: runs the AWS CLI against the local AWS.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

use anyhow::Context as _;
use local::LocalAws;

/// Replaces this process with the AWS CLI, so that its exit code is passed on.
pub(crate) fn aws(port: Option<u16>, arguments: &[OsString]) -> anyhow::Result<()> {
    let local = LocalAws::attach(port)?;
    Err(local.aws_command().args(arguments).exec()).context("cannot run the AWS CLI")
}
