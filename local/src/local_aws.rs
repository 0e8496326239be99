//! One running local AWS: what it is, how it is found and how it stops. What can be asked of it is in `calls`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cognito;
use crate::files::{self, RunDirectory, Running, Workspace};
use crate::functions::Function;
use crate::http::Http;
use crate::options::{Lap, Options};
use crate::process::Background;
use crate::start::{self, Parts};

/// One running local AWS with the application deployed into it.
///
/// Stops when it is dropped, unless it was only [attached](Self::attach) to.
#[derive(Debug)]
pub struct LocalAws {
    workspace: Workspace,
    http: Http,
    running: Running,
    token: String,
    path: PathBuf,
    functions: Vec<Function>,
    laps: Vec<Lap>,
    owned: Option<Owned>,
}

/// What stops with the one who started it. The process goes first, its directory's lock last.
#[derive(Debug)]
struct Owned {
    process: Background,
    directory: RunDirectory,
}

impl LocalAws {
    /// Brings everything up: Python environment, functions, local AWS, the application, a user, and the demo's stages
    /// if wanted. Blocks until that is done; seconds once everything is built.
    ///
    /// # Errors
    /// In words a person can act on. What was started is stopped.
    pub fn start(options: &Options) -> anyhow::Result<Self> {
        start::start(options)
    }

    /// Makes one of what [`Self::start`] has started.
    pub(crate) fn of(parts: Parts, running: Running) -> anyhow::Result<Self> {
        let mut local = Self {
            http: Http::new(running.port),
            token: String::new(),
            path: parts.directory.path().to_owned(),
            owned: Some(Owned { process: parts.process, directory: parts.directory }),
            functions: parts.functions,
            laps: Vec::new(),
            workspace: parts.workspace,
            running,
        };
        local.token = local.fresh_token()?;
        Ok(local)
    }

    /// Lets other commands find it.
    pub(crate) fn announce(&mut self, laps: Vec<Lap>) -> anyhow::Result<()> {
        self.laps = laps;
        match &self.owned {
            Some(owned) => owned.directory.announce(&self.running),
            None => Ok(()),
        }
    }

    /// Finds the one that runs: on that port, or the only one. Dropping it stops nothing.
    ///
    /// # Errors
    /// When there is none, or more than one and no port given.
    pub fn attach(port: Option<u16>) -> anyhow::Result<Self> {
        let workspace = Workspace::find()?;
        let (path, running) = files::find_running(&workspace, port)?;
        let mut local = Self {
            http: Http::new(running.port),
            token: String::new(),
            functions: Vec::new(),
            laps: Vec::new(),
            owned: None,
            workspace,
            running,
            path,
        };
        local.token = local.fresh_token()?;
        Ok(local)
    }

    /// Stops everything that [`Self::start`] started, and waits until it is gone.
    pub fn stop(mut self) {
        self.stop_owned();
    }

    fn stop_owned(&mut self) {
        if let Some(mut owned) = self.owned.take() {
            owned.directory.withdraw();
            // The local AWS takes them with it. If it is gone already, there are none to keep.
            if owned.process.ended().is_none()
                && let Ok(logs) = self.function_logs()
            {
                let _ = fs::write(self.path.join("functions.log"), logs);
            }
            owned.process.stop();
            owned.directory.tidy();
        }
    }

    /// How the local AWS ended, if it ended by itself.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        self.owned.as_ref()?.process.ended()
    }

    /// The id of the local AWS' process; none if only attached to.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.owned.as_ref().map(|owned| owned.process.id())
    }

    /// The endpoint of every AWS service.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.http.endpoint()
    }

    /// Base URL of the application's API; paths begin with `/api`.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.running.api_url
    }

    /// What other commands know of it.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// The checkout.
    #[must_use]
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// The functions as they were built and bundled; empty if only attached to.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// How long each lap of bringing up took; empty if only attached to.
    #[must_use]
    pub fn laps(&self) -> &[Lap] {
        &self.laps
    }

    /// The directory with this run's logs and data.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        &self.path
    }

    /// What the local AWS has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.path.join("aws.log"))
            .map_or_else(|_| String::new(), |log| String::from_utf8_lossy(&log).into_owned())
    }

    /// The access token got at the start.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A new access token of the same user.
    ///
    /// # Errors
    /// When Cognito gives none.
    pub fn fresh_token(&self) -> anyhow::Result<String> {
        let running = &self.running;
        let (pool, client) = (&running.user_pool_id, &running.user_pool_client_id);
        cognito::token(&self.http, pool, client, &running.username, &running.password)
    }
}

impl Drop for LocalAws {
    fn drop(&mut self) {
        self.stop_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::LocalAws;

    #[test]
    fn tests_can_share_one() {
        fn shareable<T: Send + Sync>() {}
        shareable::<LocalAws>();
    }
}
