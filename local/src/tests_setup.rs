//! Sets up what the tests need in addition to what `cargo local` needs.

use std::env;

use anyhow::{Context as _, bail};

use crate::files::Workspace;
use crate::page;
use crate::postgres;
use crate::python;

/// The programs that the tests call, each with the Debian package that contains it.
const PROGRAMS: [(&str, &str); 4] =
    [("psql", "postgresql"), ("jq", "jq"), ("node", "nodejs"), ("npm", "npm")];

/// Sets up what the tests need.
///
/// # Errors
/// If a program is missing, or a package can't be installed. The message is one line.
pub fn set_up_tests(workspace: &Workspace, announce: impl Fn(&str)) -> anyhow::Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_missing = |program: &str| !env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| is_missing(program)).collect();
    if !missing.is_empty() {
        let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
        let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        bail!("the tests need {} (Debian: apt-get install {})", programs.join(" and "), packages.join(" "));
    }
    page::check()?;
    let _lock = workspace.exclusively()?;
    python::make(workspace, || announce("creating the Python environment (only once)"))?;
    python::make_for_tests(workspace, || {
        announce("installing the Python packages for the tests (only once)");
    })?;
    page::install_for_tests(workspace, |what| {
        announce(&format!("installing {what} for the tests (only once)"));
    })?;
    let found = postgres::find(workspace, || ()).context("the tests need PostgreSQL")?;
    if found.from_wheel {
        bail!("the tests need a PostgreSQL server with TLS (Debian: apt-get install postgresql)");
    }
    Ok(())
}
