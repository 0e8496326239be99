//! Where files are: the workspace, the state directory `.local/`, and one directory per run.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// The checkout that this program was built from.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the workspace: the parent of this crate's directory.
    ///
    /// # Errors
    /// If the checkout was moved or deleted after the build.
    pub fn find() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .filter(|root| root.join("Cargo.toml").is_file())
            .context("the checkout was moved or deleted; build again in its current directory")?;
        Ok(Self { root: root.to_owned() })
    }

    /// A path inside the workspace.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside)
    }

    /// `.local/`: all state of the local AWS. Ignored by Git.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join(".local")
    }

    /// A program in the Python environment.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.state().join("venv/bin").join(name)
    }

    /// The directories of the runs that are alive, ready or not.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub fn running(&self) -> anyhow::Result<Vec<PathBuf>> {
        let Ok(entries) = fs::read_dir(self.state()) else {
            return Ok(Vec::new());
        };
        let mut running = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let Ok(lock) = File::open(path.join("lock")) else {
                continue;
            };
            if matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)) {
                running.push(path);
            }
        }
        running.sort();
        Ok(running)
    }

    /// Waits until no other `cargo local` is creating the Python environment or building, and makes others wait until
    /// the returned file is dropped.
    pub(crate) fn exclusively(&self) -> anyhow::Result<File> {
        fs::create_dir_all(self.state()).context("cannot create .local")?;
        let path = self.state().join("lock");
        let file = open_lock(&path)?;
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(file)
    }
}

fn open_lock(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// What other commands need to know about a running local AWS. Stored in a file that only its owner can read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// The ID of the process that owns it.
    pub process: u32,
    /// The port on 127.0.0.1.
    pub port: u16,
    /// Base URL of the application's API.
    pub api_url: String,
    /// The settings page, for a browser. Browsers resolve `*.localhost` to this computer.
    pub page_url: String,
    /// Whether the databases support TLS, as RDS does.
    pub tls: bool,
    /// The application's Cognito user pool.
    pub user_pool_id: String,
    /// The application's Cognito client.
    pub user_pool_client_id: String,
    /// The user that this program created.
    pub username: String,
    /// The user's password: random, and useless outside this local AWS.
    pub password: String,
}

/// `.local/run-<port>/`: the logs, data, and bundles of one run.
///
/// A run holds the lock on its directory's `lock` file as long as it's alive. The kernel releases the lock however the
/// process ends, so files of a dead process can be recognized without looking at process IDs.
#[derive(Debug)]
pub(crate) struct RunDirectory {
    path: PathBuf,
    lock: File,
}

impl RunDirectory {
    /// Claims the directory for this port, and empties it.
    pub(crate) fn take(workspace: &Workspace, port: u16) -> anyhow::Result<Self> {
        let path = workspace.state().join(format!("run-{port}"));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let lock = open_lock(&path.join("lock"))?;
        // `Workspace::running` of another process holds the lock only for a moment; a run keeps it.
        if !(0..10).any(|_| lock.try_lock().is_ok() || pause()) {
            bail!("a local AWS is already running on port {port}; choose another port with --port");
        }
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            if entry.file_name() == "lock" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())
            } else {
                fs::remove_file(entry.path())
            }
            .with_context(|| format!("cannot delete {}", entry.path().display()))?;
        }
        Ok(Self { path, lock })
    }

    /// Marks it as a run on a free port that nobody chose: its data is deleted when it ends, its logs after an hour.
    pub(crate) fn for_a_free_port(self) -> anyhow::Result<Self> {
        fs::write(self.path.join(FREE_PORT), "").context("cannot write to .local")?;
        Ok(self)
    }

    /// Deletes the data of a run on a free port when it ends.
    pub(crate) fn tidy(&self) {
        if self.path.join(FREE_PORT).exists() {
            remove_data(&self.path);
        }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets other commands find this run.
    pub(crate) fn announce(&self, running: &Running) -> anyhow::Result<()> {
        let path = self.path.join("running.json");
        let unfinished = self.path.join("running.json.new");
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(running)?)?;
        fs::rename(&unfinished, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Creates a subdirectory that only its owner can enter.
    pub(crate) fn private(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }

    /// Reverses [`Self::announce`].
    pub(crate) fn withdraw(&self) {
        let _ = fs::remove_file(self.path.join("running.json"));
    }
}

impl Drop for RunDirectory {
    /// A child process that was just forked has the lock, too, until it runs its program. So closing the file would not
    /// release it at once.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

/// The file that marks the directory of a run on a free port.
const FREE_PORT: &str = "free-port";

/// Deletes what killed runs on free ports left behind. Tests that share a local AWS never drop it.
pub(crate) fn sweep(workspace: &Workspace) {
    let Ok(entries) = fs::read_dir(workspace.state()) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.join(FREE_PORT).exists()) {
        let Ok(lock) = open_lock(&path.join("lock")) else { continue };
        if lock.try_lock().is_err() {
            continue;
        }
        remove_data(&path);
        let age = fs::metadata(path.join(FREE_PORT)).and_then(|about| about.modified());
        if age.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > KEPT)) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// How long the logs of a run on a free port are kept.
const KEPT: Duration = Duration::from_hours(1);

/// Deletes the subdirectories, but not the files next to them, which are the logs. Whatever can't be deleted now is
/// deleted next time.
fn remove_data(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn pause() -> bool {
    thread::sleep(Duration::from_millis(30));
    false
}

/// The run that a command refers to: the one on this port, or the only one.
pub(crate) fn find_running(workspace: &Workspace, port: Option<u16>) -> anyhow::Result<(PathBuf, Running)> {
    let mut alive = workspace.running()?;
    if let Some(port) = port {
        alive.retain(|path| path.ends_with(format!("run-{port}")));
    }
    let found: Vec<(PathBuf, Running)> =
        alive.iter().filter_map(|path| Some((path.clone(), read(path)?))).collect();
    match (found.len(), alive.len(), port) {
        (1, _, _) => found.into_iter().next().context("no local AWS"),
        (0, 0, Some(port)) => {
            bail!("no local AWS is running on port {port}; start one with `cargo local --port {port}`")
        }
        (0, 0, None) => bail!("no local AWS is running; start one with `cargo local` in another terminal"),
        (0, _, _) => bail!("the local AWS is still starting; try again when it's ready"),
        _ => {
            let ports: Vec<String> = found.iter().map(|(_, running)| running.port.to_string()).collect();
            bail!("more than one local AWS is running (ports {}); choose one with --port", ports.join(", "))
        }
    }
}

fn read(directory: &Path) -> Option<Running> {
    serde_json::from_slice(&fs::read(directory.join("running.json")).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(name: &str) -> Workspace {
        let root = std::env::temp_dir().join(format!("stagedb-local-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Workspace { root }
    }

    fn running(port: u16) -> Running {
        Running {
            process: 1,
            port,
            tls: true,
            api_url: String::new(),
            page_url: String::new(),
            user_pool_id: String::new(),
            user_pool_client_id: String::new(),
            username: String::new(),
            password: String::new(),
        }
    }

    #[test]
    fn the_only_running_one_is_found_and_two_need_a_choice() {
        let workspace = workspace("find");
        let first = RunDirectory::take(&workspace, 4701).unwrap();
        let starting = find_running(&workspace, None).unwrap_err().to_string();
        assert!(starting.contains("still starting"), "{starting}");
        first.announce(&running(4701)).unwrap();
        assert_eq!(find_running(&workspace, None).unwrap().1.port, 4701);

        let second = RunDirectory::take(&workspace, 4702).unwrap();
        second.announce(&running(4702)).unwrap();
        let both = find_running(&workspace, None).unwrap_err().to_string();
        assert!(both.contains("ports 4701, 4702"), "{both}");
        assert_eq!(find_running(&workspace, Some(4702)).unwrap().1.port, 4702);
        fs::remove_dir_all(&workspace.root).unwrap();
    }

    #[test]
    fn a_file_of_a_dead_process_is_ignored() {
        let workspace = workspace("stale");
        let dead = RunDirectory::take(&workspace, 4701).unwrap();
        dead.announce(&running(4701)).unwrap();
        drop(dead);
        let error = find_running(&workspace, None).unwrap_err().to_string();
        assert!(error.contains("no local AWS is running"), "{error}");
        fs::remove_dir_all(&workspace.root).unwrap();
    }

    #[test]
    fn of_a_dead_run_on_a_free_port_only_the_logs_are_left() {
        let workspace = workspace("sweep");
        let dead = RunDirectory::take(&workspace, 4701).unwrap().for_a_free_port().unwrap();
        let alive = RunDirectory::take(&workspace, 4702).unwrap().for_a_free_port().unwrap();
        for run in [&dead, &alive] {
            run.private("data").unwrap();
            fs::write(run.path().join("aws.log"), "").unwrap();
        }
        let dead_path = dead.path().to_owned();
        drop(dead);
        sweep(&workspace);
        assert!(!dead_path.join("data").exists() && dead_path.join("aws.log").exists());
        assert!(alive.path().join("data").exists());
        fs::remove_dir_all(&workspace.root).unwrap();
    }

    #[test]
    fn a_second_local_aws_on_the_same_port_is_refused() {
        let workspace = workspace("second");
        let _first = RunDirectory::take(&workspace, 4701).unwrap();
        let error = RunDirectory::take(&workspace, 4701).unwrap_err().to_string();
        assert_eq!(error, "a local AWS is already running on port 4701; choose another port with --port");
        fs::remove_dir_all(&workspace.root).unwrap();
    }
}
