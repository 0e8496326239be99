//! `cargo local`: starts a local AWS on this computer, deploys the application into it, and creates a database.

mod commands;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use local::Acceptance;

/// Start a local AWS on this computer, deploy the application into it, and create a database for a stage. Press Ctrl-C
/// to stop it.
#[derive(Debug, Parser)]
#[command(name = "cargo local", bin_name = "cargo local", args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: Up,
}

#[derive(Debug, Args)]
struct Up {
    /// Start everything, but don't create a database.
    #[arg(long)]
    no_demo: bool,
    /// The port on 127.0.0.1.
    #[arg(long, default_value_t = 4700)]
    port: u16,
    /// Build the functions with the release profile, as for AWS.
    #[arg(long)]
    release: bool,
}

#[derive(Debug, Args)]
struct Which {
    /// The port of the local AWS. Required if more than one is running.
    #[arg(long)]
    port: Option<u16>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a command as a stage's container: with the environment from its task definition and nothing else.
    Run {
        #[command(flatten)]
        which: Which,
        /// The stack, for example test-django2.
        stack: String,
        /// The stage, for example dev.
        stage: String,
        /// The command. Its program is looked up in .local/venv/bin first, then in your PATH.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Print the environment variables for your shell: eval "$(cargo local env)"
    Env {
        #[command(flatten)]
        which: Which,
    },
    /// Run the AWS CLI against the local AWS.
    Aws {
        #[command(flatten)]
        which: Which,
        /// The arguments for the AWS CLI.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Set up everything the tests need, and run all of them.
    Test {
        /// Test only the settings page: types, lints, tests, sizes, and licenses, then the browser tests.
        #[arg(long)]
        page: bool,
        /// Run only the browser tests, against a local AWS.
        #[arg(long)]
        browser: bool,
    },
    /// Walk the whole life cycle in a real AWS account, compare AWS with the local AWS, and remove everything. It says what it
    /// will create and cost, and asks before it starts.
    Acceptance {
        /// Run in the local AWS instead.
        #[arg(long)]
        local: bool,
        /// The profile of the AWS CLI.
        #[arg(long)]
        profile: Option<String>,
        /// The Region, for example us-east-1.
        #[arg(long)]
        region: Option<String>,
        /// Only remove what an earlier run has left.
        #[arg(long)]
        clean_up: bool,
        /// With --local: remember what the local AWS does.
        #[arg(long, requires = "local")]
        accept: bool,
    },
    /// Make a folder that can be deployed with the AWS CLI alone: functions for arm64, template, checksums, bill of materials.
    Release {
        /// Build for this computer instead, as quickly as possible.
        #[arg(long)]
        quick: bool,
        /// The folder. By default, release/.
        #[arg(long)]
        output: Option<PathBuf>,
    },
    /// Compare what the local AWS decided about permissions in the last run of all tests with what the project remembers.
    Permissions {
        /// Remember what is different.
        #[arg(long)]
        accept: bool,
    },
    /// Take new screenshots for the documentation, with a browser and a local AWS.
    Screenshots,
    /// Measure performance, and print the figures.
    Bench,
    /// Delete .local/, including the Python environment, logs, and data.
    Clean,
}

#[expect(clippy::print_stderr, reason = "errors are printed as one line on stderr")]
fn main() -> ExitCode {
    let line = CommandLine::parse();
    let done = match line.command {
        None => commands::up::up(line.up.port, line.up.release, !line.up.no_demo),
        Some(Command::Run { which, stack, stage, command }) => {
            commands::run::run(which.port, &stack, &stage, &command)
        }
        Some(Command::Env { which }) => commands::env::env(which.port),
        Some(Command::Aws { which, arguments }) => commands::aws::aws(which.port, &arguments),
        Some(Command::Test { page: true, .. }) => commands::page::test(),
        Some(Command::Test { browser: true, .. }) => commands::page::browser(),
        Some(Command::Test { .. }) => commands::test::test(),
        Some(Command::Acceptance { local, profile, region, clean_up, accept }) => {
            commands::acceptance::acceptance(&Acceptance {
                is_local: local,
                profile,
                region,
                clean_up,
                accept,
            })
        }
        Some(Command::Release { quick, output }) => commands::release::release(quick, output),
        Some(Command::Permissions { accept }) => commands::permissions::permissions(accept),
        Some(Command::Screenshots) => commands::page::screenshots(),
        Some(Command::Bench) => commands::bench::bench(),
        Some(Command::Clean) => commands::clean::clean(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", in_one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, outermost first.
fn in_one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn arguments_after_the_aws_cli_command_are_passed_on() {
        let line = CommandLine::parse_from([
            "cargo local",
            "aws",
            "--port",
            "4701",
            "rds",
            "x",
            "--port",
            "5432",
            "--help",
        ]);
        let Some(Command::Aws { which, arguments }) = line.command else { panic!("{line:?}") };
        assert_eq!(which.port, Some(4701));
        assert_eq!(arguments, ["rds", "x", "--port", "5432", "--help"]);
    }

    #[test]
    fn an_error_is_one_line() {
        let error = anyhow::anyhow!("a\n  b").context("c");
        assert_eq!(in_one_line(&error), "c: a b");
    }
}
