//! The settings page in a browser, on a local AWS: its tests, the README's screenshots, and how soon it can be used.
#![expect(clippy::print_stdout, reason = "a person reads it")]

use std::process::Command;

use anyhow::{Context as _, bail};
use local::{Browser, Lap, LocalAws, Options, PageChecks, Timings, Workspace, interrupt};

/// `cargo local test --page`: what can be checked without a browser, then the browser tests.
pub(crate) fn test() -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let mut checks = PageChecks::command(&workspace, |news| println!("{news}"))?;
    println!("$ npm run check");
    run("the settings page is not clean", &mut checks)?;
    in_browser("page", "a browser test failed")
}

/// `cargo local screenshots`
pub(crate) fn screenshots() -> anyhow::Result<()> {
    in_browser("screenshots", "the screenshots could not be made")
}

/// `cargo local bench`: how soon the page can be used. Left out, in words, where there is no browser.
pub(crate) fn bench(local: &LocalAws) -> anyhow::Result<()> {
    match Browser::command(local, "bench") {
        Ok(mut command) => run("the settings page could not be measured", &mut command),
        Err(missing) => {
            println!("{missing:#}");
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
