//! `cargo local permissions`: compares the decisions of the last run of all tests with those that the project remembers.
#![expect(clippy::print_stdout, reason = "the user reads it")]

use local::{Workspace, permissions};

/// Compares, or accepts what is different.
pub(crate) fn permissions(accept: bool) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let recorded = permissions::recorded(&permissions::record(&workspace))?;
    let remembered = permissions::remembered(&workspace)?;
    if accept {
        permissions::accept(&workspace, &remembered, &recorded)?;
        println!("{} decisions of the last run are remembered", recorded.len());
        return Ok(());
    }
    permissions::compare(&remembered, &recorded)?;
    println!("{} decisions, all of them as remembered", recorded.len());
    Ok(())
}
