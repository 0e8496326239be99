//! A release: a folder that can be deployed with the AWS CLI alone, without a compiler.

mod licenses;
mod packages;
mod sbom;

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use crate::{
    cargo::as_in_a_shell,
    files::Workspace,
    functions::{self, Profile},
    page, python, template,
};

/// How the functions of a release are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// For Lambda: arm64, small, and quick to start.
    Arm64,
    /// For this computer, as quickly as possible.
    Quick,
}

/// A release that was made.
#[derive(Debug)]
pub struct Release {
    /// Its folder.
    pub folder: PathBuf,
    /// The bundles with their sizes in bytes.
    pub bundles: Vec<(String, u64)>,
}

/// The file with the checksums of all others, as `sha256sum --check` reads it.
const CHECKSUMS: &str = "SHA256SUMS";

/// Makes a release in this folder, which is replaced.
///
/// # Errors
/// Something can't be built or written. The message says what.
pub fn release(
    workspace: &Workspace,
    build: Build,
    folder: &Path,
    announce: impl Fn(&str),
) -> anyhow::Result<Release> {
    let exclusive = workspace.exclusively()?;
    python::make(workspace, || {
        announce("creating the Python environment (only once; takes about a minute)");
    })?;
    page::build(workspace, &announce)?;
    announce("building the functions");
    let programs = match build {
        Build::Arm64 => {
            python::make_for_releases(workspace, || announce("installing cargo-lambda (only once)"))?;
            arm64(workspace)?
        }
        Build::Quick => functions::build(workspace, Profile::Dev, true)?,
    };
    drop(exclusive);

    if folder.exists() {
        if !folder.join(CHECKSUMS).exists() && fs::read_dir(folder)?.next().is_some() {
            bail!("{} isn't empty, and isn't a release", folder.display());
        }
        fs::remove_dir_all(folder).with_context(|| format!("cannot replace {}", folder.display()))?;
    }
    fs::create_dir_all(folder.join("functions"))
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let source = fs::read_to_string(workspace.path("template.yaml")).context("cannot read template.yaml")?;
    let mut bundles = Vec::new();
    for name in template::functions(&source) {
        let program = programs.get(name).with_context(|| format!("no program {name} was built"))?;
        let path = folder.join(format!("functions/{name}.zip"));
        functions::compress(program, &path)?;
        bundles.push((name.to_owned(), path.metadata()?.len()));
    }
    let mut template = template::package(&source, |name| Ok(format!("functions/{name}.zip")))?;
    if build == Build::Quick && env::consts::ARCH == "x86_64" {
        template = template.replace("Architectures: [arm64]", "Architectures: [x86_64]");
    }
    fs::write(folder.join("template.yaml"), template)?;
    fs::copy(workspace.path("LICENSE"), folder.join("LICENSE"))?;
    fs::copy(workspace.path("CHANGELOG.md"), folder.join("CHANGELOG.md"))?;
    fs::write(folder.join("README.md"), INSTRUCTIONS)?;

    let names: Vec<&str> = bundles.iter().map(|(name, _)| name.as_str()).collect();
    let inside = packages::of(workspace, &names)?;
    fs::write(folder.join("sbom.cdx.json"), sbom::of_functions(&inside)?)?;
    fs::write(folder.join("sbom-page.cdx.json"), sbom::of_page(workspace)?)?;
    fs::write(folder.join("THIRD-PARTY-LICENSES.txt"), licenses::texts(workspace, &inside)?)?;
    fs::write(folder.join(CHECKSUMS), checksums(folder)?)?;
    Ok(Release { folder: folder.to_owned(), bundles })
}

/// All functions at once, so that they share one build of the dependencies.
fn arm64(workspace: &Workspace) -> anyhow::Result<std::collections::BTreeMap<String, PathBuf>> {
    let mut command = as_in_a_shell(Command::new(workspace.program("cargo-lambda")));
    let mut path = std::ffi::OsString::from(workspace.state().join("venv/bin"));
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    command.current_dir(workspace.path("")).env("PATH", path).env(functions::LTO.0, functions::LTO.1);
    command.args([
        "lambda",
        "build",
        "--release",
        "--arm64",
        "--workspace",
        "--exclude",
        "local",
        "--exclude",
        "model",
    ]);
    let status = command.status().context("cannot run cargo-lambda")?;
    if !status.success() {
        bail!("cannot build the functions; see the messages above");
    }
    let mut programs = std::collections::BTreeMap::new();
    let folder = workspace.path("target/lambda");
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let program = entry.path().join("bootstrap");
        if let (Ok(name), true) = (entry.file_name().into_string(), program.is_file()) {
            programs.insert(name, program);
        }
    }
    Ok(programs)
}

fn checksums(folder: &Path) -> anyhow::Result<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let mut text = String::new();
    for file in files {
        let hash = Sha256::digest(fs::read(&file)?);
        let name = file.strip_prefix(folder)?.display();
        let hash = hash.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        writeln!(text, "{hash}  {name}")?;
    }
    Ok(text)
}

/// How to deploy it, for the folder's README.
const INSTRUCTIONS: &str = include_str!("release/README.md");
