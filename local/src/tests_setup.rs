//! What the tests need besides what `cargo local` needs.

use std::env;

use anyhow::{Context as _, bail};

use crate::files::Workspace;
use crate::page;
use crate::postgres;
use crate::python;

/// Programs that the tests call, each with the Debian package that has it.
const PROGRAMS: [(&str, &str); 4] =
    [("psql", "postgresql"), ("jq", "jq"), ("node", "nodejs"), ("npm", "npm")];

/// Sets up what the tests need, and says in one line what cannot be.
///
/// # Errors
/// A program is missing, or a package cannot be installed.
pub fn set_up_tests(workspace: &Workspace, announce: impl Fn(&str)) -> anyhow::Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_missing = |program: &str| !env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| is_missing(program)).collect();
    if !missing.is_empty() {
        let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
        let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        bail!("{} missing (Debian: apt-get install {})", programs.join(" and "), packages.join(" "));
    }
    page::check()?;
    let _lock = workspace.exclusively()?;
    python::make(workspace, || announce("making the Python environment, once"))?;
    python::make_for_tests(workspace, || announce("installing what the tests need in Python, once"))?;
    let found = postgres::find(workspace, || ()).context("the tests need PostgreSQL")?;
    if found.from_wheel {
        bail!("the tests need a PostgreSQL server with TLS (Debian: apt-get install postgresql)");
    }
    Ok(())
}
