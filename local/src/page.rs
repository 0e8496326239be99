//! Builds the settings page with npm, from `web/` into `web/dist`, from where the function `settings-page` embeds it, and the
//! root certificates of RDS, which `settings-api` embeds.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::files::Workspace;
use crate::local_aws::LocalAws;
use crate::process;

/// The oldest Node.js version that the build tools support.
const OLDEST_NODE: (u32, u32) = (20, 19);
/// The inputs of the built page, inside the workspace.
const INPUTS: [&str; 11] = [
    "openapi.json",
    "examples/node/main.js",
    "examples/python/main.py",
    "web/.npmrc",
    "web/package.json",
    "web/package-lock.json",
    "web/index.html",
    "web/vite.config.ts",
    "web/public",
    "web/scripts/certificates.mjs",
    "web/src",
];

/// Checks that everything needed to build the page is installed.
///
/// # Errors
/// If something is missing, with how to install it.
pub(crate) fn check_node() -> anyhow::Result<()> {
    let (major, minor) = OLDEST_NODE;
    let advice =
        format!("the settings page needs Node.js {major}.{minor} or newer with npm (https://nodejs.org)");
    let said = Command::new("node").arg("--version").output().ok();
    let Some(said) = said.filter(|output| output.status.success()) else {
        bail!("{advice}; Node.js isn't installed");
    };
    let version = String::from_utf8_lossy(&said.stdout).trim().trim_start_matches('v').to_owned();
    if version_of(&version).is_none_or(|found| found < OLDEST_NODE) {
        bail!("{advice}; the installed version is {version}");
    }
    if Command::new("npm").arg("--version").output().is_err() {
        bail!("{advice}; npm isn't installed");
    }
    Ok(())
}

fn version_of(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Installs the packages in the lock file, unless they're already installed. Calls `announce` before anything slow.
pub(crate) fn install(workspace: &Workspace, announce: impl FnOnce()) -> anyhow::Result<()> {
    let stamp = Stamp::new(workspace, "npm.stamp", &["web/package-lock.json", "web/.npmrc"])?;
    if stamp.holds() && workspace.path("web/node_modules").is_dir() {
        return Ok(());
    }
    announce();
    npm(workspace, &["ci", "--no-progress"])?;
    stamp.set()
}

/// Installs what the tests of the CDK snippet and of Prisma's migrations need, unless it's already installed.
pub(crate) fn install_for_tests(workspace: &Workspace, announce: impl Fn(&str)) -> anyhow::Result<()> {
    for (what, folder, stamp) in [
        ("the AWS CDK", "local/snippets", "cdk.stamp"),
        ("Prisma", "local/tests/end_to_end/prisma", "prisma.stamp"),
    ] {
        let stamp = Stamp::new(workspace, stamp, &[&format!("{folder}/package-lock.json")])?;
        if stamp.holds() && workspace.path(folder).join("node_modules").is_dir() {
            continue;
        }
        announce(what);
        npm_in(workspace, folder, &["ci", "--no-progress"])?;
        stamp.set()?;
    }
    Ok(())
}

/// Builds the page, unless it's up to date. Calls `announce` before anything slow.
pub(crate) fn build(workspace: &Workspace, announce: impl Fn(&str)) -> anyhow::Result<()> {
    let stamp = Stamp::new(workspace, "page.stamp", &INPUTS)?;
    if stamp.holds()
        && ["dist/index.html", "certificates.json"]
            .iter()
            .all(|file| workspace.path("web").join(file).is_file())
    {
        return Ok(());
    }
    check_node()?;
    install(workspace, || announce("installing the npm packages for the settings page (only once)"))?;
    announce("building the settings page");
    npm(workspace, &["run", "build"])?;
    stamp.set()
}

fn npm(workspace: &Workspace, arguments: &[&str]) -> anyhow::Result<()> {
    npm_in(workspace, "web", arguments)
}

/// Runs npm in a directory. Its output is shown only if it fails.
fn npm_in(workspace: &Workspace, folder: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("npm");
    command.current_dir(workspace.path(folder)).args(arguments).stderr(Stdio::piped());
    let output = process::run(&mut command)?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let said = process::last_lines(&String::from_utf8_lossy(&said), 30);
        bail!("npm {} in {folder}/ failed: {said}", arguments.join(" "));
    }
    Ok(())
}

/// A file that records the inputs of a build. It's written last, so an incomplete build is repeated.
struct Stamp {
    path: PathBuf,
    wanted: String,
}

impl Stamp {
    fn new(workspace: &Workspace, name: &str, inputs: &[&str]) -> anyhow::Result<Self> {
        let mut hasher = DefaultHasher::new();
        for input in inputs {
            hash(&workspace.path(input), &mut hasher)?;
        }
        Ok(Self { path: workspace.state().join(name), wanted: format!("{:016x}", hasher.finish()) })
    }

    fn holds(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|made| made == self.wanted)
    }

    fn set(&self) -> anyhow::Result<()> {
        fs::write(&self.path, &self.wanted).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Hashes the name and content of a file, or of every file in a directory except generated ones.
fn hash(path: &Path, hasher: &mut DefaultHasher) -> anyhow::Result<()> {
    if path.is_dir() {
        let entries = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
        let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
        entries.sort();
        for entry in entries.iter().filter(|entry| entry.file_name() != Some("generated".as_ref())) {
            hash(entry, hasher)?;
        }
    } else if path.is_file() {
        path.hash(hasher);
        fs::read(path).with_context(|| format!("cannot read {}", path.display()))?.hash(hasher);
    }
    Ok(())
}

/// Checks that everything the page's tests need is installed.
pub(crate) fn check() -> anyhow::Result<()> {
    check_node()?;
    chromium().map(drop)
}

/// The browser for the tests: the one in `CHROMIUM`, or the first one in the `PATH`.
fn chromium() -> anyhow::Result<PathBuf> {
    if let Some(chosen) = env::var_os("CHROMIUM") {
        return Ok(PathBuf::from(chosen));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = env::split_paths(&path).collect();
    let found = ["chromium", "google-chrome"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file());
    found.context("the settings page's tests need Chromium (Debian: apt-get install chromium)")
}

/// Checks what can be checked without a browser: types, lints, layers, tests, sizes, and licenses. Also builds the page.
///
/// # Errors
/// If Node.js is missing, the packages can't be installed, or a check fails.
pub fn check_page(workspace: &Workspace, announce: impl Fn(&str)) -> anyhow::Result<()> {
    check_node()?;
    let _lock = workspace.exclusively()?;
    install(workspace, || announce("installing the npm packages for the settings page (only once)"))?;
    let built = Stamp::new(workspace, "page.stamp", &INPUTS)?;
    announce("$ npm run check");
    let mut checks = Command::new("npm");
    checks.args(["run", "--silent", "check"]).current_dir(workspace.path("web"));
    if !checks.status().context("cannot run npm")?.success() {
        bail!("the checks of the settings page failed");
    }
    built.set()
}

/// A browser, connected to a local AWS.
#[derive(Debug)]
pub struct Browser;

impl Browser {
    /// The command that runs a project of `web/playwright.config.ts` against this local AWS.
    ///
    /// # Errors
    /// If there is no browser, or the packages it needs can't be installed.
    pub fn command(local: &LocalAws, project: &str) -> anyhow::Result<Command> {
        let workspace = local.workspace();
        if !workspace.path("examples/node/node_modules").is_dir() {
            npm_in(workspace, "examples/node", &["ci"])?;
        }
        let running = local.running();
        let mut command = Command::new("npx");
        command
            .args(["playwright", "test", "--project", project])
            .current_dir(workspace.path("web"))
            .env("CHROMIUM", chromium()?)
            .env("STAGEDB_PAGE_URL", &running.page_url)
            .env("STAGEDB_USERNAME", &running.username)
            .env("STAGEDB_PASSWORD", &running.password)
            .env("STAGEDB_USER_POOL", &running.user_pool_id)
            .env("STAGEDB_ENDPOINT", local.endpoint())
            .env("STAGEDB_PROGRAM", this_program()?);
        Ok(command)
    }
}

/// The path of this program.
fn this_program() -> anyhow::Result<PathBuf> {
    Ok(found_again(env::current_exe().context("cannot find this program's path")?))
}

/// Linux appends ` (deleted)` if Cargo rebuilds the program while it's running, as the tests do. The new program has
/// the same path.
fn found_again(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(text) => PathBuf::from(text),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuilt_program_is_at_its_place() {
        for path in ["/target/local", "/target/local (deleted)"] {
            assert_eq!(found_again(PathBuf::from(path)), PathBuf::from("/target/local"));
        }
    }

    #[test]
    fn versions_of_node_are_compared_as_numbers() {
        assert_eq!(version_of("20.19.0"), Some((20, 19)));
        assert!(version_of("9.99.1") < version_of("20.19.0"));
        assert_eq!(version_of("new"), None);
    }
}
