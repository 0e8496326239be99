//! How long a function's process takes to request its first invocation, measured with a Runtime API served here.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context as _, bail};
use local::{ECHO, LocalAws};
use serde_json::Value;

use super::median::median;

/// The measurements of one function.
pub(crate) struct Figures {
    /// Median time from the start of the process to its first request for an invocation.
    pub(crate) init: Duration,
    /// Resident memory after that.
    pub(crate) resident_bytes: u64,
}

/// Starts each program several times in turns, so that other work on the machine hits all of them alike.
pub(crate) fn measure(
    local: &LocalAws,
    programs: &[(&str, &Path)],
    repeats: usize,
) -> anyhow::Result<Vec<Figures>> {
    let environment = |name: &&str| match *name {
        ECHO => Ok(Value::Null),
        name => local.get_json(&format!("/2015-03-31/functions/stagedb-{name}/configuration")),
    };
    let deployed: Vec<_> = programs.iter().map(|(name, _)| environment(name)).collect::<Result<_, _>>()?;
    let mut took = vec![Vec::new(); programs.len()];
    let mut resident = vec![0; programs.len()];
    for _ in 0..repeats {
        for (index, ((name, program), deployed)) in programs.iter().zip(&deployed).enumerate() {
            let (once, bytes) = start_once(local, program, &format!("stagedb-{name}"), deployed)?;
            took.get_mut(index).into_iter().for_each(|all| all.push(once));
            resident.get_mut(index).into_iter().for_each(|most| *most = bytes.max(*most));
        }
    }
    let figures = |(all, resident_bytes): (Vec<Duration>, u64)| {
        Ok(Figures { init: median(all.into_iter().map(Ok))?, resident_bytes })
    };
    took.into_iter().zip(resident).map(figures).collect()
}

fn start_once(
    local: &LocalAws,
    program: &Path,
    name: &str,
    deployed: &Value,
) -> anyhow::Result<(Duration, u64)> {
    let runtime_api = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.envs(local.aws_environment());
    if let Some(variables) = deployed.pointer("/Environment/Variables").and_then(Value::as_object) {
        command.envs(variables.iter().filter_map(|(name, value)| Some((name, value.as_str()?))));
    }
    let memory = deployed.get("MemorySize").and_then(Value::as_u64).unwrap_or(128);
    command
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api.local_addr()?.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory.to_string())
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}"))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench");
    let started = Instant::now();
    let mut child = Ended(command.spawn().with_context(|| format!("cannot run {}", program.display()))?);
    let (took, _connection) = first_request(&runtime_api, started, &mut child)?;
    // Let it settle: what it does right after the request is still part of its init.
    thread::sleep(Duration::from_millis(20));
    Ok((took, resident_bytes(child.0.id())?))
}

/// Waits for `GET …/invocation/next`. The connection stays open, because there are no invocations.
fn first_request(
    runtime_api: &TcpListener,
    started: Instant,
    child: &mut Ended,
) -> anyhow::Result<(Duration, TcpStream)> {
    runtime_api.set_nonblocking(true)?;
    loop {
        match runtime_api.accept() {
            Ok((connection, _)) => {
                connection.set_nonblocking(false)?;
                connection.set_read_timeout(Some(Duration::from_secs(10)))?;
                let mut line = String::new();
                BufReader::new(connection.try_clone()?).read_line(&mut line)?;
                let took = started.elapsed();
                if !line.contains("/runtime/invocation/next") {
                    bail!("expected a request for an invocation, got: {line}");
                }
                return Ok((took, connection));
            }
            Err(_) if started.elapsed() < Duration::from_secs(10) => {
                if let Some(status) = child.0.try_wait()? {
                    bail!("the function exited before it requested an invocation: {status}");
                }
                thread::sleep(Duration::from_micros(50));
            }
            Err(error) => return Err(error).context("the function didn't request an invocation within 10 s"),
        }
    }
}

/// A child process that is killed when it's dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Resident memory of a process (Linux).
pub(crate) fn resident_bytes(id: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))
        .context("no /proc: memory can only be measured on Linux")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}
