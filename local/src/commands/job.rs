//! The main use case, once: create a database for a stage, and have its container connect.
#![expect(clippy::print_stdout, reason = "the user reads it")]

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use local::{DEMO_DATABASE, DEMO_STACK, LocalAws, Rebuild};
use serde_json::Value;

/// The command that acts as the application in the stage's container.
pub(crate) fn application(local: &LocalAws) -> Vec<&'static str> {
    let command = ["python3", "examples/python/main.py"];
    let without_tls = ["env", "PGSSLMODE=disable"];
    without_tls.into_iter().filter(|_| !local.running().tls).chain(command).collect()
}

/// Saves the stage's settings, waits for the rebuild, and runs the application.
pub(crate) fn run(local: &LocalAws, stage: &str) -> anyhow::Result<()> {
    let progress = Progress::start(&format!("creating a database for {DEMO_STACK} {stage}"))?;
    let path = format!("/api/stacks/{DEMO_STACK}/stages/{stage}/database");
    let settings: Value = serde_json::from_str(DEMO_DATABASE)?;
    let answer = local.api("PUT", &path, Some(&settings))?;
    if answer.status != 202 {
        bail!("PUT {path}: {}", answer.in_words());
    }
    let mut progress = progress.saved();
    local.wait_for_rebuild(DEMO_STACK, stage, |rebuild| progress.show(rebuild))?;
    progress.end();

    let application = application(local);
    println!("$ cargo local run {DEMO_STACK} {stage} -- {}", application.join(" "));
    let output = local.run_in_container(DEMO_STACK, stage, &application)?;
    stdout().write_all(&output.stdout)?;
    if !output.status.success() {
        bail!("the application failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// A progress bar on a terminal; otherwise one line per change.
struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    shown: String,
}

impl Progress {
    fn start(what: &str) -> anyhow::Result<Self> {
        let bar = if stdout().is_terminal() {
            let style = ProgressStyle::with_template("{elapsed:>6}  {prefix} [{bar:24}]  {msg}")?;
            let bar =
                ProgressBar::no_length().with_style(style.progress_chars("=> ")).with_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            Some(bar)
        } else {
            println!("           {what}");
            None
        };
        Ok(Self { bar, started: Instant::now(), shown: String::new() })
    }

    fn saved(mut self) -> Self {
        self.say("saved");
        self
    }

    fn show(&mut self, rebuild: &Rebuild) {
        if let Some(bar) = &self.bar {
            bar.set_length(rebuild.steps.len() as u64);
            bar.set_position(rebuild.complete_steps() as u64);
        }
        let step = rebuild.running_step().map(|step| format!(": {}", step.name)).unwrap_or_default();
        self.say(&format!("{}{step}", rebuild.phase));
    }

    fn say(&mut self, message: &str) {
        if self.shown == message {
            return;
        }
        message.clone_into(&mut self.shown);
        match &self.bar {
            Some(bar) => bar.set_message(message.to_owned()),
            None => println!("{:>7.1} s  {message}", self.started.elapsed().as_secs_f64()),
        }
    }

    fn end(self) {
        if let Some(bar) = self.bar {
            // Steps that weren't needed stay pending.
            bar.set_position(bar.length().unwrap_or_default());
            bar.finish();
        }
    }
}
