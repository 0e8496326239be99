//! The settings page in a browser, with a local AWS: tests, screenshots for the documentation, and load times.
#![expect(clippy::print_stdout, reason = "the user reads it")]

use std::process::Command;

use anyhow::{Context as _, bail};
use local::{Browser, Lap, LocalAws, Options, Timings, Workspace, check_page, interrupt};

/// `cargo local test --page`: the checks that need no browser, then the browser tests.
pub(crate) fn test() -> anyhow::Result<()> {
    check_page(&Workspace::find()?, |news| println!("{news}"))?;
    browser()
}

/// `cargo local test --browser`: the browser tests, on a local AWS.
pub(crate) fn browser() -> anyhow::Result<()> {
    in_browser("page", "a browser test failed")
}

/// `cargo local screenshots`
pub(crate) fn screenshots() -> anyhow::Result<()> {
    in_browser("screenshots", "cannot take the screenshots")
}

/// `cargo local bench`: how long until the page can be used. Without a browser, prints that this is skipped.
pub(crate) fn bench(local: &LocalAws) -> anyhow::Result<()> {
    match Browser::command(local, "bench") {
        Ok(mut command) => run("cannot measure the settings page", &mut command),
        Err(missing) => {
            println!("the load time of the settings page isn't measured: {missing:#}");
            Ok(())
        }
    }
}

fn in_browser(project: &str, failure: &'static str) -> anyhow::Result<()> {
    interrupt::install()?;
    let timings =
        Timings { rds_create_seconds: Some(0.5), ecs_steady_seconds: Some(1.5), ..Timings::default() };
    let options =
        Options { demo_stages: true, page: true, timings, report: Some(show), ..Options::default() };
    let local = LocalAws::start(&options)?;
    println!("$ playwright test --project {project}");
    let done = run(failure, &mut Browser::command(&local, project)?);
    local.stop();
    done
}

fn show(lap: &Lap) {
    if lap.took.is_none() {
        println!("{}", lap.what);
    }
}

fn run(failure: &'static str, command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().context("cannot run npm")?;
    if !status.success() {
        bail!(failure);
    }
    Ok(())
}
