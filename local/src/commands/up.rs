//! `cargo local`: starts everything, runs the main use case once, and waits for Ctrl-C.
#![expect(clippy::print_stdout, reason = "the user reads it")]

use std::thread;
use std::time::Duration;

use anyhow::{anyhow, bail};
use local::{Lap, LocalAws, Options, Profile, interrupt};

use super::{job, walk};

/// Runs in the foreground until Ctrl-C, which counts as success.
pub(crate) fn up(port: u16, release: bool, demo: bool) -> anyhow::Result<()> {
    interrupt::install()?;
    match bring_up(port, release, demo) {
        Err(_) if interrupt::requested() => Ok(()),
        done => done,
    }
}

fn bring_up(port: u16, release: bool, demo: bool) -> anyhow::Result<()> {
    let options = Options {
        port: Some(port),
        profile: if release { Profile::Release } else { Profile::Dev },
        demo_stages: true,
        report: Some(show),
        ..Options::default()
    };
    let local = LocalAws::start(&options)?;
    if demo {
        println!();
        let logs = local.run_dir().to_owned();
        job::run(&local, "dev").map_err(|error| anyhow!("{error:#} (logs: {})", logs.display()))?;
    }
    println!("\n{}", walk::text(&local, demo));
    while !interrupt::requested() {
        if let Some(how) = local.ended() {
            bail!(
                "the local AWS stopped unexpectedly: {how} (log: {})",
                local.run_dir().join("aws.log").display()
            );
        }
        thread::sleep(Duration::from_millis(100));
    }
    println!("\nstopping");
    local.stop();
    Ok(())
}

/// Prints one line per step.
fn show(lap: &Lap) {
    match lap.took {
        Some(took) => println!("{:>7.1} s  {}", took.as_secs_f64(), lap.what),
        None => println!("           {}", lap.what),
    }
}
