//! The AWS CLI, for programs that call it many times.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use serde::Deserialize;

/// One AWS CLI that's loaded once, at the first call. Ends when it's dropped.
#[derive(Debug, Default)]
pub(crate) struct AwsCli(Mutex<Option<Loaded>>);

#[derive(Debug)]
struct Loaded {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// What a command returned.
#[derive(Debug, Deserialize)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl AwsCli {
    /// Runs the AWS CLI with these arguments. The command loads it, if it isn't loaded yet.
    pub(crate) fn run(&self, command: impl FnOnce() -> Command, arguments: &[&str]) -> anyhow::Result<Ended> {
        let mut loaded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = match &mut *loaded {
            Some(loaded) => loaded,
            none => none.insert(Loaded::start(command())?),
        };
        loaded.run(arguments)
    }
}

impl Loaded {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.context("cannot run the AWS CLI")?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("the AWS CLI has no stdout")?);
        Ok(Self { child, stdin, stdout })
    }

    fn run(&mut self, arguments: &[&str]) -> anyhow::Result<Ended> {
        let stdin = self.stdin.as_mut().context("the AWS CLI has no stdin")?;
        writeln!(stdin, "{}", serde_json::to_string(arguments)?).context("the AWS CLI has ended")?;
        let mut line = String::new();
        self.stdout.read_line(&mut line).context("the AWS CLI has ended")?;
        serde_json::from_str(&line).context("the AWS CLI has ended")
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // It ends at the end of its stdin.
        self.stdin = None;
        let _ = self.child.wait();
    }
}
