//! `cargo local acceptance`: walks the whole life cycle in a real account, or in the local AWS.
#![expect(clippy::print_stdout, reason = "the user reads it")]

use local::{Acceptance, accept, interrupt};

/// Runs it.
pub(crate) fn acceptance(options: &Acceptance) -> anyhow::Result<()> {
    interrupt::install()?;
    accept(options, &|line| println!("{line}"))
}
