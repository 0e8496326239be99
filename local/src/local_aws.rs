//! One running local AWS: what it consists of, and how to find and stop it. For the calls you can make, see `calls`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::aws_cli::AwsCli;
use crate::cognito;
use crate::files::{self, RunDirectory, Running, Workspace};
use crate::functions::Function;
use crate::http::Http;
use crate::options::Lap;
use crate::process::Background;

/// One running local AWS with the application deployed into it.
///
/// It stops when it's dropped, unless you only [attached](Self::attach) to it.
#[derive(Debug)]
pub struct LocalAws {
    workspace: Workspace,
    http: Http,
    running: Running,
    token: String,
    path: PathBuf,
    functions: Vec<Function>,
    laps: Vec<Lap>,
    aws_cli: AwsCli,
    owned: Option<Owned>,
}

/// A user of the application.
#[derive(Debug, Clone)]
pub struct User {
    /// The email address, which is also the name to sign in with.
    pub email: String,
    /// The password.
    pub password: String,
    /// The access token obtained when the user was created.
    pub token: String,
}

/// What stops together with its owner. The process stops first, and the directory's lock is released last.
#[derive(Debug)]
struct Owned {
    process: Background,
    directory: RunDirectory,
}

/// What was started.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) workspace: Workspace,
    pub(crate) directory: RunDirectory,
    pub(crate) process: Background,
    pub(crate) functions: Vec<Function>,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

impl LocalAws {
    /// Combines the parts that [`Self::start`] has started.
    pub(crate) fn of(parts: Parts, running: Running) -> anyhow::Result<Self> {
        let mut local = Self {
            http: Http::new(running.port),
            token: String::new(),
            path: parts.directory.path().to_owned(),
            owned: Some(Owned { process: parts.process, directory: parts.directory }),
            functions: parts.functions,
            laps: Vec::new(),
            aws_cli: AwsCli::default(),
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

    /// Finds the running local AWS: the one on this port, or the only one. Dropping it doesn't stop anything.
    ///
    /// # Errors
    /// If none is running, or more than one and no port was given.
    pub fn attach(port: Option<u16>) -> anyhow::Result<Self> {
        let workspace = Workspace::find()?;
        let (path, running) = files::find_running(&workspace, port)?;
        let mut local = Self {
            http: Http::new(running.port),
            token: String::new(),
            functions: Vec::new(),
            laps: Vec::new(),
            aws_cli: AwsCli::default(),
            owned: None,
            workspace,
            running,
            path,
        };
        local.token = local.fresh_token()?;
        Ok(local)
    }

    /// Stops everything that [`Self::start`] started, and waits until it has ended.
    pub fn stop(mut self) {
        self.stop_owned();
    }

    fn stop_owned(&mut self) {
        if let Some(mut owned) = self.owned.take() {
            owned.directory.withdraw();
            // The logs are lost when the local AWS stops. If it has already ended, there are none left to save.
            if owned.process.ended().is_none()
                && let Ok(logs) = self.function_logs()
            {
                let _ = fs::write(self.path.join("functions.log"), logs);
            }
            owned.process.stop();
            owned.directory.tidy();
        }
    }

    /// How the local AWS ended, if it ended on its own.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        self.owned.as_ref()?.process.ended()
    }

    /// The ID of the local AWS's process, or `None` if only attached.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.owned.as_ref().map(|owned| owned.process.id())
    }

    /// The endpoint of every AWS service.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.http.endpoint()
    }

    /// The base URL of the application's API. Paths begin with `/api`.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.running.api_url
    }

    /// What other commands know about it.
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

    pub(crate) fn aws_cli(&self) -> &AwsCli {
        &self.aws_cli
    }

    /// The functions as built and bundled. Empty if only attached.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// How long each step of starting up took. Empty if only attached.
    #[must_use]
    pub fn laps(&self) -> &[Lap] {
        &self.laps
    }

    /// The directory with this run's logs and data.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        &self.path
    }

    /// Everything that the local AWS has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.path.join("aws.log"))
            .map_or_else(|_| String::new(), |log| String::from_utf8_lossy(&log).into_owned())
    }

    /// The access token obtained at startup.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Creates a user who is in these groups, and returns an access token.
    ///
    /// # Errors
    /// If the user exists, or Cognito refuses.
    pub fn user(&self, email: &str, groups: &[&str]) -> anyhow::Result<User> {
        let password = cognito::make_user(&self.http, &self.running.user_pool_id, email, groups)?;
        let mut user = User { email: email.to_owned(), password, token: String::new() };
        user.token = self.sign_in(&user)?;
        Ok(user)
    }

    /// A new access token of a user, with the groups that the user is in now.
    ///
    /// # Errors
    /// If Cognito returns none.
    pub fn sign_in(&self, user: &User) -> anyhow::Result<String> {
        let running = &self.running;
        let (pool, client) = (&running.user_pool_id, &running.user_pool_client_id);
        cognito::token(&self.http, pool, client, &user.email, &user.password)
    }

    /// A new access token for the same user.
    ///
    /// # Errors
    /// If Cognito returns none.
    pub fn fresh_token(&self) -> anyhow::Result<String> {
        let (email, password) = (self.running.username.clone(), self.running.password.clone());
        self.sign_in(&User { email, password, token: String::new() })
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
