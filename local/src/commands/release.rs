//! `cargo local release`: makes a folder that can be deployed with the AWS CLI alone.
#![expect(clippy::print_stdout, reason = "the user reads it")]

use std::{path::PathBuf, time::Instant};

use local::{Build, Workspace, release as make};

/// Makes a release.
pub(crate) fn release(quick: bool, folder: Option<PathBuf>) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let folder = folder.unwrap_or_else(|| workspace.path("release"));
    let started = Instant::now();
    let build = if quick { Build::Quick } else { Build::Arm64 };
    let made = make(&workspace, build, &folder, |news| println!("{news}"))?;
    for (name, bytes) in &made.bundles {
        let tenths = bytes / 100_000;
        println!("{name:<28}{:>4}.{} MB", tenths / 10, tenths % 10);
    }
    println!(
        "{} is ready after {} s; its README.md says how to deploy it",
        made.folder.display(),
        started.elapsed().as_secs()
    );
    Ok(())
}
