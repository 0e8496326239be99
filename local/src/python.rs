//! The Python environment `.local/venv`, with the pinned packages for the local AWS and the example.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::files::Workspace;
use crate::process;

/// The requirements files, inside the workspace.
const REQUIREMENTS: [&str; 2] = ["local/aws/requirements.txt", "examples/python/requirements.txt"];

/// What building for Lambda needs: cargo-lambda, and Zig as the linker for arm64.
const RELEASE_PACKAGES: [&str; 2] = ["cargo-lambda==1.9.2", "ziglang==0.15.2"];

/// The packages that only the tests need.
const TEST_REQUIREMENTS: &str = "local/aws/requirements-test.txt";

/// Creates the environment, unless it's up to date. Calls `announce` before anything slow.
///
/// The stamp file in it is written last and records what the environment was made from, so an incomplete or outdated
/// environment is created again.
pub(crate) fn make(workspace: &Workspace, announce: impl FnOnce()) -> anyhow::Result<()> {
    let venv = workspace.state().join("venv");
    let stamp = venv.join("stagedb-stamp");
    let wanted = wanted(workspace)?;
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) && workspace.program("python").exists() {
        return Ok(());
    }
    announce();
    if venv.exists() {
        fs::remove_dir_all(&venv).with_context(|| format!("cannot delete {}", venv.display()))?;
    }
    let log = workspace.state().join("venv.log");
    let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&venv);
    run(make, &output, &log).context(
        "cannot create the Python environment; install python3 and its venv module (Debian: apt-get install python3-venv)",
    )?;
    let mut install = pip(workspace);
    for requirements in REQUIREMENTS {
        install.arg("-r").arg(workspace.path(requirements));
    }
    run(install, &output, &log).context("cannot install the Python packages")?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Adds what the tests need to the environment, unless it's already there.
pub(crate) fn make_for_tests(workspace: &Workspace, announce: impl FnOnce()) -> anyhow::Result<()> {
    let requirements = workspace.path(TEST_REQUIREMENTS);
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let stamp = workspace.state().join("venv").join("stagedb-stamp-tests");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    announce();
    let log = workspace.state().join("venv.log");
    let output = File::options().create(true).append(true).open(&log)?;
    let mut install = pip(workspace);
    install.arg("-r").arg(requirements);
    run(install, &output, &log).context("cannot install the Python packages for the tests")?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Adds what building for Lambda needs to the environment. Safe to repeat.
pub(crate) fn make_for_releases(workspace: &Workspace, announce: impl FnOnce()) -> anyhow::Result<()> {
    if workspace.program("cargo-lambda").exists() {
        return Ok(());
    }
    announce();
    for package in RELEASE_PACKAGES {
        add(workspace, package)?;
    }
    Ok(())
}

/// Adds one pinned package to the environment.
pub(crate) fn add(workspace: &Workspace, package: &str) -> anyhow::Result<()> {
    let log = workspace.state().join("venv.log");
    let output = File::options().create(true).append(true).open(&log)?;
    let mut install = pip(workspace);
    install.arg(package);
    run(install, &output, &log).with_context(|| format!("cannot install {package}"))
}

fn wanted(workspace: &Workspace) -> anyhow::Result<String> {
    let version = Command::new("python3").arg("--version").output();
    let version = version.context("python3 is missing; install Python 3.11 or newer")?;
    let mut wanted = String::from_utf8_lossy(&version.stdout).into_owned();
    for requirements in REQUIREMENTS {
        let path = workspace.path(requirements);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        wanted.push_str(&text);
    }
    Ok(wanted)
}

fn pip(workspace: &Workspace) -> Command {
    let mut pip = Command::new(workspace.program("python"));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"]);
    // The user's own PYTHONPATH or pip target would install the packages somewhere else.
    pip.env_remove("PYTHONPATH").env_remove("PIP_TARGET").env_remove("PIP_USER");
    pip
}

fn run(mut command: Command, output: &File, log: &Path) -> anyhow::Result<()> {
    command.stderr(output.try_clone()?);
    let finished = process::run(&mut command)?;
    if !finished.status.success() {
        let said = fs::read_to_string(log).unwrap_or_default();
        bail!("{} (log: {})", process::last_lines(&said, 1), log.display());
    }
    Ok(())
}
