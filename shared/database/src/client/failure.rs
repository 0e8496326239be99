//! Why a client task didn't connect: from ECS's reasons, the exit code, and `psql`'s own words.

use thiserror::Error;

use super::{command::COMMAND_SECONDS, task::StoppedTask};

/// The most characters of someone else's message to repeat.
const WORDS_MAX: usize = 400;
/// The exit code of a process that was killed (128 and SIGKILL).
const KILLED: i32 = 137;
/// The exit codes of a process that was asked to end (128 and SIGTERM), and of `timeout`.
const ENDED: [i32; 2] = [143, 124];
/// The exit codes of a shell that can't run a program.
const NO_PROGRAM: [i32; 2] = [126, 127];

/// Why a client task didn't connect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientFailure {
    /// ECS can't pull the image.
    #[error("ECS can't pull the client's image ({0})")]
    Image(String),
    /// There is no room for the task.
    #[error("ECS has no capacity for the client task ({0})")]
    Capacity(String),
    /// The execution role may not read the secret.
    #[error("the execution role may not read the secret ({0})")]
    SecretDenied(String),
    /// The secret can't be reached or has no such version.
    #[error("ECS can't get the credentials from the secret ({0})")]
    Secret(String),
    /// The log can't be written.
    #[error("the execution role can't write to the client's log ({0})")]
    Log(String),
    /// ECS refused to start a task, or stopped it for another reason.
    #[error("ECS couldn't run the client task ({0})")]
    NotRun(String),
    /// The host name isn't known in the service's network.
    #[error("the host name can't be resolved ({0})")]
    Host(String),
    /// Nothing answers at the address.
    #[error("no route: the database doesn't answer ({0})")]
    Route(String),
    /// The address answers, and no server is at the port.
    #[error("the database refuses connections ({0})")]
    Refused(String),
    /// No connection with a certificate that Amazon signed for this host.
    #[error("TLS failed ({0})")]
    Tls(String),
    /// The password or the user is wrong.
    #[error("{0}")]
    Password(String),
    /// The database doesn't exist.
    #[error("{0} (the database name is wrong)")]
    Database(String),
    /// The server said something else.
    #[error("{0}")]
    Server(String),
    /// The command took too long.
    #[error("the client took longer than {COMMAND_SECONDS} s")]
    Slow,
    /// The task didn't start, or didn't stop, in time.
    #[error("the client task didn't finish within {minutes} minutes; its last status was {status}")]
    TimedOut {
        /// How long stagedb waited.
        minutes: u64,
        /// ECS's last status of the task.
        status: String,
    },
    /// The kernel or ECS killed the client.
    #[error("the client was killed (exit code {KILLED}{0})")]
    Killed(String),
    /// The image isn't what it should be.
    #[error("the client's image has no {program} (exit code {code})")]
    NoProgram {
        /// The programs that it needs.
        program: &'static str,
        /// The shell's exit code.
        code: i32,
    },
    /// It failed without a word.
    #[error("psql failed with exit code {0}, and its log is empty")]
    NoOutput(i32),
    /// ECS forgot the task.
    #[error("ECS no longer shows the client task, so it isn't known whether it could connect")]
    Gone,
}

impl ClientFailure {
    /// Whether another client may do better: nothing is wrong with the connection, as far as anyone knows.
    #[must_use]
    pub const fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::Image(_) | Self::Capacity(_) | Self::NotRun(_) | Self::Killed(_))
    }

    /// Whether it says nothing about the connection, because no client ran. Then another connection can be tried, and the test
    /// can be skipped.
    #[must_use]
    pub const fn is_of_the_client(&self) -> bool {
        match self {
            Self::Image(_)
            | Self::Capacity(_)
            | Self::Log(_)
            | Self::NotRun(_)
            | Self::TimedOut { .. }
            | Self::Killed(_)
            | Self::NoProgram { .. }
            | Self::NoOutput(_)
            | Self::Gone => true,
            Self::SecretDenied(_)
            | Self::Secret(_)
            | Self::Host(_)
            | Self::Route(_)
            | Self::Refused(_)
            | Self::Tls(_)
            | Self::Password(_)
            | Self::Database(_)
            | Self::Server(_)
            | Self::Slow => false,
        }
    }
}

/// Whether a stopped task has connected. `output` is what its container wrote, if anything.
///
/// # Errors
/// It hasn't.
pub fn client_result(task: &StoppedTask, output: Option<&str>) -> Result<(), ClientFailure> {
    if task.has_succeeded() { Ok(()) } else { Err(failure(task, output)) }
}

/// Why a stopped task didn't connect.
fn failure(task: &StoppedTask, output: Option<&str>) -> ClientFailure {
    match task.exit_code {
        None => not_run(task),
        Some(code) if NO_PROGRAM.contains(&code) => {
            ClientFailure::NoProgram { program: "psql or timeout", code }
        }
        Some(code) => match (output.and_then(last_error), code) {
            (Some(words), _) => in_words(&words),
            (None, KILLED) => ClientFailure::Killed(suffix(&task.container_reason)),
            (None, code) if ENDED.contains(&code) => ClientFailure::Slow,
            (None, code) => ClientFailure::NoOutput(code),
        },
    }
}

/// Why no container ran, from ECS's reason.
fn not_run(task: &StoppedTask) -> ClientFailure {
    let reason = if task.reason.is_empty() { &task.container_reason } else { &task.reason };
    let has = |words: &[&str]| words.iter().any(|words| reason.contains(words));
    let said = if reason.is_empty() { task.code.clone() } else { short(reason) };
    // "unable to pull secrets or registry auth" is in the reasons about both.
    if has(&[
        "CannotPull",
        "pull image",
        "InvalidImage",
        "ecr registry auth",
        "ecr:",
        "registry auth from Amazon ECR",
    ]) {
        ClientFailure::Image(said)
    } else if has(&["Capacity is unavailable", "RESOURCE:"]) {
        ClientFailure::Capacity(said)
    } else if has(&["unable to pull secrets", "unable to retrieve secret", "Secrets Manager"]) {
        if has(&["AccessDenied", "not authorized"]) {
            ClientFailure::SecretDenied(said)
        } else {
            ClientFailure::Secret(said)
        }
    } else if has(&["logger args", "log stream", "log group"]) {
        ClientFailure::Log(said)
    } else {
        ClientFailure::NotRun(said)
    }
}

/// The last message of `psql` in the output, without its prefix.
fn last_error(output: &str) -> Option<String> {
    let lines = || output.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_of_psql = |line: &&str| ["failed: ", "error: ", "ERROR:"].iter().any(|words| line.contains(words));
    let mut of_psql = lines().filter(is_of_psql);
    let line = of_psql.next_back().or_else(|| lines().next_back())?;
    let line = line.split_once("psql: error: ").map_or(line, |(_, after)| after);
    Some(line.to_owned())
}

/// What `psql` says, told apart.
fn in_words(line: &str) -> ClientFailure {
    let has = |words: &[&str]| words.iter().any(|words| line.contains(words));
    // "connection to server at "…" (10.0.0.1), port 5432 failed: FATAL:  …"
    let of_server = line.rsplit_once("FATAL:").map(|(_, words)| short(words.trim()));
    if let Some(words) = of_server {
        return if has(&["password authentication failed", "authentication failed for user"]) {
            ClientFailure::Password(words)
        } else if words.starts_with("database ") && words.ends_with("does not exist") {
            ClientFailure::Database(words)
        } else {
            ClientFailure::Server(words)
        };
    }
    // "psql:<stdin>:12: ERROR:  permission denied for …"
    if let Some((_, words)) = line.rsplit_once("ERROR:") {
        return ClientFailure::Server(short(words.trim()));
    }
    let said = short(line);
    if has(&["could not translate host name", "Name or service not known"]) {
        ClientFailure::Host(said)
    } else if has(&["timeout expired", "timed out", "No route to host", "unreachable"]) {
        ClientFailure::Route(said)
    } else if has(&["Connection refused"]) {
        ClientFailure::Refused(said)
    } else if has(&["SSL", "certificate"]) {
        ClientFailure::Tls(said)
    } else {
        ClientFailure::Server(said)
    }
}

fn suffix(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(", {}", short(reason)) }
}

/// The beginning of someone else's message, on one line.
fn short(words: &str) -> String {
    let one_line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", one_line.get(..end).unwrap_or_default()),
        None => one_line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(code: i32, output: &str) -> String {
        let task = StoppedTask { exit_code: Some(code), ..StoppedTask::default() };
        failure(&task, Some(output)).to_string()
    }

    fn not_started(reason: &str) -> ClientFailure {
        let task = StoppedTask {
            code: "TaskFailedToStart".to_owned(),
            reason: reason.to_owned(),
            ..StoppedTask::default()
        };
        failure(&task, None)
    }

    const AT: &str = "psql: error: connection to server at \"orders.example\" (10.0.1.5), port 5432 failed: ";

    #[test]
    fn what_a_statement_leads_to_is_the_message() {
        let printed =
            "psql:<stdin>:34: ERROR:  a schema app already exists\nCONTEXT:  PL/pgSQL function\nHINT:  none";
        assert_eq!(ran(3, printed), "a schema app already exists");
    }

    #[test]
    fn what_the_server_says_is_the_message() {
        for (said, expected) in [
            (
                "FATAL:  password authentication failed for user \"orders\"",
                "password authentication failed for user \"orders\"",
            ),
            (
                "FATAL:  database \"order\" does not exist",
                "database \"order\" does not exist (the database name is wrong)",
            ),
            ("FATAL:  role \"app\" is not permitted to log in", "role \"app\" is not permitted to log in"),
            (
                "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
                "remaining connection slots are reserved for roles with the SUPERUSER attribute",
            ),
        ] {
            assert_eq!(ran(2, &format!("{AT}{said}\n")), expected);
        }
        let odd = format!("{AT}FATAL:  password authentication failed for user \"o'r\"d\\e:r@s%é\"");
        assert_eq!(ran(2, &odd), "password authentication failed for user \"o'r\"d\\e:r@s%é\"");
    }

    #[test]
    fn failures_on_the_way_to_the_server_are_told_apart() {
        for (output, expected) in [
            (
                "psql: error: could not translate host name \"orders\" to address: Name or service not known"
                    .to_owned(),
                "the host name can't be resolved (could not translate host name \"orders\"",
            ),
            (
                format!("{AT}timeout expired"),
                "no route: the database doesn't answer (connection to server at",
            ),
            (
                format!(
                    "{AT}Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?"
                ),
                "the database refuses connections (connection to server at",
            ),
            (format!("{AT}SSL error: certificate verify failed"), "TLS failed (connection to server at"),
            (
                format!("{AT}server certificate for \"a\" does not match host name \"b\""),
                "TLS failed (connection",
            ),
        ] {
            let found = ran(2, &output);
            assert!(found.starts_with(expected), "{found}");
        }
    }

    #[test]
    fn a_task_that_never_ran_is_explained_by_ecs() {
        let secret = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: \
                      unable to retrieve secret from asm: ";
        for (reason, expected) in [
            ("CannotPullContainerError: pull image manifest has been retried 5 time(s)".to_owned(), "ECS can't pull the client's image"),
            ("Capacity is unavailable at this time.".to_owned(), "ECS has no capacity"),
            (format!("{secret}AccessDeniedException: User: arn is not authorized"), "the execution role may not read the secret"),
            (format!("{secret}dial tcp 10.0.0.1:443: i/o timeout"), "ECS can't get the credentials"),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable \
                 to retrieve ecr registry auth: service call has been retried 3 time(s): i/o timeout"
                    .to_owned(),
                "ECS can't pull the client's image",
            ),
            (
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times".to_owned(),
                "the execution role can't write to the client's log",
            ),
            ("Timeout waiting for network interface provisioning to complete.".to_owned(), "ECS couldn't run the client task"),
        ] {
            let found = not_started(&reason).to_string();
            assert!(found.starts_with(expected), "{found}");
        }
        assert_eq!(not_started("").to_string(), "ECS couldn't run the client task (TaskFailedToStart)");
    }

    #[test]
    fn an_exit_code_says_what_a_log_does_not() {
        let quiet = |code, reason: &str| {
            let container_reason = reason.to_owned();
            failure(&StoppedTask { exit_code: Some(code), container_reason, ..StoppedTask::default() }, None)
                .to_string()
        };
        assert_eq!(quiet(137, "OutOfMemoryError"), "the client was killed (exit code 137, OutOfMemoryError)");
        assert_eq!(quiet(137, ""), "the client was killed (exit code 137)");
        assert_eq!(quiet(124, ""), "the client took longer than 30 s");
        assert_eq!(quiet(127, ""), "the client's image has no psql or timeout (exit code 127)");
        assert_eq!(quiet(2, ""), "psql failed with exit code 2, and its log is empty");
        let long = format!("{AT}FATAL:  {}", "é".repeat(5000));
        assert_eq!(ran(2, &long).chars().count(), WORDS_MAX + 1);
    }

    #[test]
    fn only_a_client_that_connected_is_a_success() {
        for code in [None, Some(1), Some(2), Some(137), Some(-1)] {
            let task = StoppedTask { exit_code: code, ..StoppedTask::default() };
            assert!(client_result(&task, Some("1")).is_err(), "{code:?}");
        }
        let connected = StoppedTask { exit_code: Some(0), ..StoppedTask::default() };
        assert_eq!(client_result(&connected, None), Ok(()));
    }
}
