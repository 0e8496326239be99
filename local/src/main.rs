//! `cargo local`: an AWS on this computer with the application deployed into it, and a database made in it.

mod commands;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Brings up an AWS on this computer, deploys the application into it, and gives a stage a database. Ctrl-C stops it.
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
    /// Only bring everything up; give no stage a database.
    #[arg(long)]
    no_demo: bool,
    /// The port on 127.0.0.1.
    #[arg(long, default_value_t = 4700)]
    port: u16,
    /// Build the functions as for AWS.
    #[arg(long)]
    release: bool,
}

#[derive(Debug, Args)]
struct Which {
    /// The port of the local AWS, if more than one runs.
    #[arg(long)]
    port: Option<u16>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a stage's container: run a command with the environment its task definition gives, and nothing else.
    Run {
        #[command(flatten)]
        which: Which,
        /// The stack, such as test-django2.
        stack: String,
        /// The stage, such as dev.
        stage: String,
        /// The command. Its program is looked up in .local/venv/bin, then in your PATH.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Print what a shell needs: eval "$(cargo local env)"
    Env {
        #[command(flatten)]
        which: Which,
    },
    /// The AWS CLI, pointed at the local AWS.
    Aws {
        #[command(flatten)]
        which: Which,
        /// What the AWS CLI is given.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run every test, with all set-up.
    Test {
        /// Only the settings page: its types, lints, tests, sizes and licences, then a browser on a local AWS.
        #[arg(long)]
        page: bool,
    },
    /// Make the screenshots of the README anew, with a browser on a local AWS.
    Screenshots,
    /// Measure; prints figures.
    Bench,
    /// Remove .local/, with the Python environment, logs and data.
    Clean,
}

#[expect(clippy::print_stderr, reason = "an error is one line on stderr")]
fn main() -> ExitCode {
    let line = CommandLine::parse();
    let done = match line.command {
        None => commands::up::up(line.up.port, line.up.release, !line.up.no_demo),
        Some(Command::Run { which, stack, stage, command }) => {
            commands::run::run(which.port, &stack, &stage, &command)
        }
        Some(Command::Env { which }) => commands::env::env(which.port),
        Some(Command::Aws { which, arguments }) => commands::aws::aws(which.port, &arguments),
        Some(Command::Test { page: false }) => commands::test::test(),
        Some(Command::Test { page: true }) => commands::page::test(),
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

/// The error and what it comes from, outermost first.
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
    fn what_follows_the_command_of_the_aws_cli_is_its_own() {
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
