//! Builds the functions and bundles them as Lambda expects: a ZIP file with one executable named `bootstrap`.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Cursor, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::cargo::as_in_a_shell;
use crate::files::Workspace;
use crate::process;

/// The name of the bare function that cold starts are compared with.
pub const ECHO: &str = "echo";

/// The Cargo profile for building the functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Fast to build.
    #[default]
    Dev,
    /// As on AWS.
    Release,
}

/// One function, built and bundled.
#[derive(Clone, Debug)]
pub struct Function {
    /// The name of its crate, and of its directory.
    pub name: String,
    /// The program that Cargo built.
    pub executable: PathBuf,
    /// The bundle.
    pub zip: PathBuf,
}

/// Builds all functions, and returns each program by name. Cargo's progress goes to stderr, unless `quiet`.
pub(crate) fn build(
    workspace: &Workspace,
    profile: Profile,
    quiet: bool,
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut command =
        as_in_a_shell(Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))));
    command
        .current_dir(workspace.path(""))
        .args(["build", "--workspace", "--bins"])
        .args(["--message-format", "json-render-diagnostics"]);
    // In development, with the features of the whole workspace, so that the functions and the tests share one build of the
    // dependencies. On Lambda, with no more than the functions need.
    if profile == Profile::Release {
        command.env(LTO.0, LTO.1);
        command.args(["--release", "--exclude", "local", "--exclude", "model", "--example", ECHO]);
    }
    if quiet {
        command.arg("--quiet").stderr(Stdio::piped());
    }
    let output = process::run(&mut command)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        if said.trim().is_empty() {
            bail!("cannot build the functions; see Cargo's messages above");
        }
        bail!("cannot build the functions: {}", process::last_lines(&said, 20));
    }
    Ok(programs(&String::from_utf8_lossy(&output.stdout)))
}

/// Functions for AWS are a tenth smaller with this, which takes too long for those who build from source with `sam build`.
pub(crate) const LTO: (&str, &str) = ("CARGO_PROFILE_RELEASE_LTO", "fat");

/// The programs that Cargo reports as built, by the name of their target.
fn programs(messages: &str) -> BTreeMap<String, PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter_map(|message| {
            let executable = message.get("executable")?.as_str()?;
            let name = message.get("target")?.get("name")?.as_str()?;
            Some((name.to_owned(), PathBuf::from(executable)))
        })
        .collect()
}

/// Bundles one program into `<directory>/<name>.zip`. It's uncompressed, because it never leaves this computer.
pub(crate) fn bundle(name: &str, executable: &Path, directory: &Path) -> anyhow::Result<Function> {
    let zip = directory.join(format!("{name}.zip"));
    let file = File::create(&zip).with_context(|| format!("cannot create {}", zip.display()))?;
    write_bundle(executable, CompressionMethod::Stored, file)
        .with_context(|| format!("cannot bundle {name} into {}", zip.display()))?;
    Ok(Function { name: name.to_owned(), executable: executable.to_owned(), zip })
}

impl Function {
    /// The size in bytes of the bundle as it would be uploaded to AWS: compressed.
    ///
    /// # Errors
    /// If the program no longer exists.
    pub fn compressed_bytes(&self) -> anyhow::Result<u64> {
        let written = write_bundle(&self.executable, CompressionMethod::Deflated, Cursor::new(Vec::new()))?;
        Ok(u64::try_from(written.into_inner().len())?)
    }
}

/// Bundles one program into a file as it's uploaded to AWS: compressed, and the same for the same program.
pub(crate) fn compress(executable: &Path, zip: &Path) -> anyhow::Result<()> {
    let file = File::create(zip).with_context(|| format!("cannot create {}", zip.display()))?;
    write_bundle(executable, CompressionMethod::Deflated, file)
        .with_context(|| format!("cannot bundle {} into {}", executable.display(), zip.display()))?;
    Ok(())
}

fn write_bundle<W: Write + Seek>(
    executable: &Path,
    compression: CompressionMethod,
    to: W,
) -> anyhow::Result<W> {
    let mut writer = ZipWriter::new(to);
    let options = SimpleFileOptions::default().compression_method(compression).unix_permissions(0o755);
    writer.start_file("bootstrap", options)?;
    io::copy(&mut File::open(executable)?, &mut writer)?;
    Ok(writer.finish()?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn programs_are_read_from_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"lib"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"settings-api"},"executable":"/t/settings-api"}
not JSON
{"reason":"build-finished","success":true}"#;
        let expected = BTreeMap::from([("settings-api".to_owned(), PathBuf::from("/t/settings-api"))]);
        assert_eq!(programs(messages), expected);
    }

    #[test]
    fn a_bundle_holds_one_executable_bootstrap() {
        let directory = env::temp_dir().join(format!("stagedb-bundle-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let function = bundle("shell", Path::new("/bin/sh"), &directory).unwrap();
        let mut archive = zip::ZipArchive::new(File::open(&function.zip).unwrap()).unwrap();
        assert_eq!(archive.len(), 1);
        let mut file = archive.by_name("bootstrap").unwrap();
        assert_eq!(file.unix_mode().map(|mode| mode & 0o777), Some(0o755));
        let mut content = Vec::new();
        io::copy(&mut file, &mut content).unwrap();
        assert!(content == fs::read("/bin/sh").unwrap());
        assert!(function.compressed_bytes().unwrap() < function.zip.metadata().unwrap().len());
        fs::remove_dir_all(&directory).unwrap();
    }
}
