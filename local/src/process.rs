//! Child processes: either run to completion, or kept in the background and stopped by their ID.

use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::interrupt;

/// How long a process may take to stop after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a command to completion. An interrupt stops it. Returns its stdout, and its stderr if the command pipes it.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let stdout = child.stdout.take().map(|pipe| thread::spawn(move || read_all(pipe)));
    let stderr = child.stderr.take().map(|pipe| thread::spawn(move || read_all(pipe)));
    let status = wait_or_interrupt(&mut child).with_context(|| format!("{name} was stopped"))?;
    Ok(Output { status, stdout: joined(stdout), stderr: joined(stderr) })
}

/// What a command wrote to stdout. If it failed, the error has the end of what it wrote to stderr.
pub(crate) fn said(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = run(command.stderr(Stdio::piped()))?;
    if !output.status.success() {
        let program = command.get_program().to_string_lossy().into_owned();
        bail!("{program}: {}", last_lines(&String::from_utf8_lossy(&output.stderr), 20));
    }
    Ok(output.stdout)
}

fn read_all(mut pipe: impl io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // If reading fails partway, keep what was read: this output is only displayed.
    let _ = pipe.read_to_end(&mut bytes);
    bytes
}

fn joined(reader: Option<JoinHandle<Vec<u8>>>) -> Vec<u8> {
    reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
}

fn wait_or_interrupt(child: &mut Child) -> anyhow::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if interrupt::requested() {
            stop(child);
            interrupt::check()?;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Sends SIGTERM, waits a while, then sends SIGKILL, only to this one process. It's our child and hasn't been waited
/// for yet, so its ID can't belong to another process.
fn stop(child: &mut Child) {
    if let Ok(id) = i32::try_from(child.id()) {
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// A process that runs in the background until it's stopped or dropped.
///
/// One thread owns it from start to end. This way, a child that watches for the death of the *thread* that started it
/// (`PR_SET_PDEATHSIG`) outlives a short-lived test thread, and no other code can signal an ID that is no longer ours.
#[derive(Debug)]
pub(crate) struct Background {
    id: u32,
    stop: Option<SyncSender<()>>,
    owner: Option<JoinHandle<()>>,
    ended: Arc<Mutex<Option<ExitStatus>>>,
}

impl Background {
    /// Starts the command in its own process group, so that a Ctrl-C in the terminal doesn't reach it. Its owner stops
    /// it. Its output goes to `log`.
    pub(crate) fn start(mut command: Command, log: &File) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot write the log")?)
            .stderr(log.try_clone().context("cannot write the log")?)
            .process_group(0);
        let (stop, stopped) = mpsc::sync_channel(1);
        let (started, start) = mpsc::sync_channel(1);
        let ended = Arc::new(Mutex::new(None));
        let end = Arc::clone(&ended);
        let owner = thread::spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(started.send(Err(error))),
            };
            drop(started.send(Ok(child.id())));
            loop {
                match stopped.recv_timeout(Duration::from_millis(100)) {
                    Err(RecvTimeoutError::Timeout) => {
                        if let Ok(Some(status)) = child.try_wait() {
                            *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                            return;
                        }
                    }
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return self::stop(&mut child),
                }
            }
        });
        let id = start
            .recv()
            .map_err(|_| anyhow!("the thread that starts {name} ended"))?
            .with_context(|| format!("cannot run {name}"))?;
        Ok(Self { id, stop: Some(stop), owner: Some(owner), ended })
    }

    /// Its process ID.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// How it ended, for a message, if it ended on its own.
    pub(crate) fn ended(&self) -> Option<String> {
        let status = (*self.ended.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(match (status.code(), status.signal()) {
            (Some(code), _) => format!("exited with code {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => "exited".to_owned(),
        })
    }

    /// Stops it, and waits until it has ended.
    pub(crate) fn stop(&mut self) {
        self.stop = None;
        if let Some(owner) = self.owner.take() {
            let _ = owner.join();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The last lines of a program's output, for an error message.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(count);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_process_is_gone() {
        let log = File::options().write(true).open("/dev/null").unwrap();
        let mut command = Command::new("sleep");
        command.arg("60");
        let mut sleep = Background::start(command, &log).unwrap();
        let id = Pid::from_raw(i32::try_from(sleep.id()).unwrap());
        assert_eq!(kill(id, None), Ok(()));
        sleep.stop();
        assert!(kill(id, None).is_err());
    }

    #[test]
    fn a_process_that_ends_by_itself_says_how() {
        let log = File::options().write(true).open("/dev/null").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "exit 3"]);
        let ended = Background::start(command, &log).unwrap();
        let how = crate::wait::until("the end", Duration::from_secs(5), || Ok(ended.ended())).unwrap();
        assert_eq!(how, "exited with code 3");
    }

    #[test]
    fn a_command_that_is_missing_is_named() {
        let log = File::options().write(true).open("/dev/null").unwrap();
        let error = Background::start(Command::new("no-such-program"), &log).unwrap_err();
        assert_eq!(error.to_string(), "cannot run no-such-program");
    }
}
