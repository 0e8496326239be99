//! The account that the run happens in: calls through the AWS CLI, each of them in the transcript.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail, ensure};
use serde_json::Value;

use super::names::NAME;
use crate::{ApiAnswer, LocalAws, Workspace, api, http::Http, interrupt, process};

/// Options whose values are secrets.
const SECRET_OPTIONS: [&str; 4] =
    ["--password", "--master-user-password", "--auth-parameters", "--parameter-overrides"];

/// Where the run happens.
pub(super) enum Place {
    /// A real account: a profile of the AWS CLI, and a Region.
    Aws { profile: Option<String>, region: String },
    /// The local AWS.
    Local(Box<LocalAws>),
}

/// Calls AWS and the API of stagedb, and writes the transcript.
pub(super) struct Account {
    pub(super) place: Place,
    program: PathBuf,
    http: Http,
    transcript: RefCell<File>,
    path: PathBuf,
    started: Instant,
    /// What must never be in the transcript or the report.
    secrets: RefCell<Vec<String>>,
}

impl Account {
    pub(super) fn new(workspace: &Workspace, place: Place, transcript: &Path) -> anyhow::Result<Self> {
        if let Some(folder) = transcript.parent() {
            fs::create_dir_all(folder)?;
        }
        let file =
            File::create(transcript).with_context(|| format!("cannot write {}", transcript.display()))?;
        Ok(Self {
            program: workspace.program("aws"),
            http: Http::anywhere(),
            transcript: RefCell::new(file),
            path: transcript.to_owned(),
            started: Instant::now(),
            secrets: RefCell::default(),
            place,
        })
    }

    pub(super) fn is_local(&self) -> bool {
        matches!(self.place, Place::Local(_))
    }

    /// Keeps a text out of the transcript.
    pub(super) fn hide(&self, secret: &str) {
        self.secrets.borrow_mut().push(secret.to_owned());
    }

    fn without_secrets(&self, text: &str) -> String {
        self.secrets.borrow().iter().fold(text.to_owned(), |text, secret| text.replace(secret, "****"))
    }

    /// Whether the transcript and this text are free of secrets.
    pub(super) fn check_secrets(&self, text: &str) -> anyhow::Result<()> {
        let transcript = fs::read_to_string(&self.path).context("cannot read the transcript")?;
        let leaks = |secret: &String| transcript.contains(secret) || text.contains(secret);
        ensure!(!self.secrets.borrow().iter().any(leaks), "a secret is in the transcript or in the report");
        Ok(())
    }

    /// Writes a line to the transcript.
    pub(super) fn note(&self, line: &str) -> anyhow::Result<()> {
        let line =
            self.secrets.borrow().iter().fold(line.to_owned(), |line, secret| line.replace(secret, "****"));
        writeln!(self.transcript.borrow_mut(), "{:>8.1} s  {line}", self.started.elapsed().as_secs_f64())
            .context("cannot write the transcript")
    }

    /// Runs the AWS CLI, and reads its JSON. No output becomes null.
    pub(super) fn aws(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        self.noted(arguments, || match &self.place {
            Place::Local(local) => local.aws(arguments),
            Place::Aws { .. } => {
                let text = self.said(arguments)?;
                if text.trim().is_empty() {
                    return Ok(Value::Null);
                }
                serde_json::from_str(&text).context("the output isn't JSON")
            }
        })
    }

    /// Runs a command of the AWS CLI that says something for people.
    pub(super) fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        self.noted(arguments, || self.said(arguments).map(drop))
    }

    fn noted<T>(&self, arguments: &[&str], call: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let since = Instant::now();
        let answer = call();
        let outcome = answer.as_ref().err().map_or_else(|| "ok".to_owned(), |error| format!("{error:#}"));
        let took = since.elapsed().as_secs_f64();
        self.note(&format!("aws {}: {outcome} ({took:.1} s)", shown(arguments)))?;
        answer.map_err(|_| anyhow!("aws {}: {}", shown(arguments), self.without_secrets(&outcome)))
    }

    fn said(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = match &self.place {
            Place::Local(local) => local.aws_command(),
            Place::Aws { profile, region } => {
                let mut command = Command::new(&self.program);
                command.env("AWS_PAGER", "").args(["--region", region]);
                command.args(profile.iter().flat_map(|profile| ["--profile", profile]));
                command
            }
        };
        let output = process::run(command.args(["--output", "json"]).args(arguments).stderr(Stdio::piped()))?;
        if !output.status.success() {
            bail!("{}", process::last_lines(&String::from_utf8_lossy(&output.stderr), 3));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The account ID.
    pub(super) fn id(&self) -> anyhow::Result<String> {
        let identity = self.aws(&["sts", "get-caller-identity"])?;
        Ok(identity.get("Account").and_then(Value::as_str).context("no account ID")?.to_owned())
    }

    /// The bucket for the functions.
    pub(super) fn bucket(&self) -> anyhow::Result<String> {
        Ok(format!("{NAME}-{}", self.id()?))
    }

    /// Calls the API of stagedb.
    pub(super) fn api(
        &self,
        url: &str,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<ApiAnswer> {
        let authorization = format!("Bearer {token}");
        let mut headers = vec![("Authorization", authorization.as_str())];
        headers.extend(body.map(|_| ("Content-Type", "application/json")));
        let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let answer = api::call(&self.http, url, method, path, &headers, body)?;
        self.note(&format!("{method} {path}: {}", answer.status))?;
        Ok(answer)
    }

    /// Looks again and again until there is something.
    pub(super) fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let since = Instant::now();
        let pause = if self.is_local() { Duration::from_millis(200) } else { Duration::from_secs(10) };
        while since.elapsed() < limit {
            interrupt::check()?;
            if let Some(found) = look()? {
                return Ok(found);
            }
            std::thread::sleep(pause);
        }
        bail!("{what}: not after {} s", limit.as_secs())
    }
}

/// The arguments without secrets.
fn shown(arguments: &[&str]) -> String {
    let mut words = Vec::new();
    let mut is_secret = false;
    for argument in arguments {
        if is_secret && !argument.starts_with("--") {
            words.push("****".to_owned());
            continue;
        }
        is_secret = SECRET_OPTIONS.contains(argument);
        let short: String = argument.chars().take(80).collect();
        words.push(short.replace('\n', " "));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transcript_has_no_secrets() {
        let line = shown(&["cognito-idp", "admin-set-user-password", "--password", "hunter2", "--permanent"]);
        assert_eq!(line, "cognito-idp admin-set-user-password --password **** --permanent");
        let line = shown(&[
            "cloudformation",
            "deploy",
            "--parameter-overrides",
            "Password=a",
            "Version=2",
            "--stack-name",
            "x",
        ]);
        assert_eq!(line, "cloudformation deploy --parameter-overrides **** **** --stack-name x");
    }
}
