//! `cargo local bench`: measures a release build on this computer. Nothing is asserted.
#![expect(clippy::print_stdout, reason = "the user reads it")]

mod cold_start;
mod median;
mod services;
mod stages;

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use local::{DEMO_DATABASE, DEMO_STACK, ECHO, Lap, LocalAws, Options, Profile, interrupt};
use median::median;
use serde_json::Value;

const STAGE: &str = "dev";
/// How often to repeat measurements that are reported as a median.
const REPEATS: usize = 10;
/// How long after an operation the next one on the same stage isn't held up (`database::QUIET`).
const QUIET: Duration = Duration::from_secs(15);
/// How often each function is started.
const COLD_STARTS: usize = 40;

/// Measures, and prints the figures. It uses a free port, so you can run it next to another local AWS, but the two
/// share the processor.
pub(crate) fn bench() -> anyhow::Result<()> {
    interrupt::install()?;
    let show = |lap: &Lap| {
        if lap.took.is_none() {
            println!("{}", lap.what);
        }
    };
    let options = Options {
        profile: Profile::Release,
        demo_stages: true,
        page: true,
        report: Some(show),
        ..Options::default()
    };
    // The first start builds, the second one is measured.
    LocalAws::start(&options)?.stop();
    let started = Instant::now();
    let local = LocalAws::start(&options)?;
    row("startup, already built", &milliseconds(started.elapsed()));
    for lap in local.laps() {
        row(&format!("  {}", lap.what), &lap.took.map(milliseconds).unwrap_or_default());
    }
    if let Some(id) = local.process_id() {
        row("local AWS, resident memory", &megabytes(cold_start::resident_bytes(id)?));
    }

    let settings: Value = serde_json::from_str(DEMO_DATABASE)?;
    let path = format!("/api/stacks/{DEMO_STACK}/stages/{STAGE}/database");
    thread::sleep(QUIET);
    let saved = Instant::now();
    put(&local, &path, &settings, 202)?;
    row("PUT …/database that changes something (202)", &milliseconds(saved.elapsed()));
    let save = follow_save(&local, saved)?;
    row("from a save to published variables", &milliseconds(save.published));
    row("  time RDS needs for the database", &milliseconds(save.database));
    row("  time stagedb adds", &milliseconds(save.published.saturating_sub(save.database)));
    local.wait_for_rebuild(DEMO_STACK, STAGE, |_| ())?;

    put(&local, &path, &settings, 200)?;
    let warm = median((0..REPEATS).map(|_| {
        let started = Instant::now();
        put(&local, &path, &settings, 200)?;
        Ok(started.elapsed())
    }))?;
    row("PUT …/database that changes nothing (200), warm", &milliseconds(warm));

    cold_starts(&local)?;
    println!(
        "init: from the start of the process to its first request for an invocation. memory: resident, idle after init."
    );
    super::page::bench(&local)?;
    let services = services::measure(&local, REPEATS)?;
    row("GET /api/services with 1,000 services, first page", &milliseconds(services.first_page));
    row(&format!("  all {} pages", services.pages), &milliseconds(services.all_pages));
    println!("\nwith 1,000 stages, and 10,000 records in the history of this one:");
    for (path, took) in stages::measure(&local, STAGE, REPEATS)? {
        row(&format!("  GET {path}"), &milliseconds(took));
    }
    local.stop();
    Ok(())
}

/// Compares each function with a bare one.
fn cold_starts(local: &LocalAws) -> anyhow::Result<()> {
    let functions = local.functions();
    let first = functions.first().context("there are no functions")?;
    let echo = first.executable.with_file_name("examples").join(ECHO);
    let mut programs = vec![(ECHO, echo.as_path())];
    programs.extend(functions.iter().map(|function| (function.name.as_str(), function.executable.as_path())));
    let figures = cold_start::measure(local, &programs, COLD_STARTS)?;
    let bare = figures.first().context("nothing was measured")?.init;
    println!("\n{:<24}{:>14}{:>14}{:>14}{:>14}", "function", "init", "of the echo's", "memory", "zip");
    for ((name, _), figures) in programs.iter().zip(&figures) {
        let zip = functions.iter().find(|function| function.name == *name);
        let zip = zip.map(|function| function.compressed_bytes()).transpose()?;
        println!(
            "{name:<24}{:>14}{:>14}{:>14}{:>14}",
            milliseconds(figures.init),
            format!("{:.1} times", figures.init.as_secs_f64() / bare.as_secs_f64()),
            megabytes(figures.resident_bytes),
            zip.map(megabytes).unwrap_or_default()
        );
    }
    Ok(())
}

fn put(local: &LocalAws, path: &str, settings: &Value, expected: u16) -> anyhow::Result<()> {
    let answer = local.api("PUT", path, Some(settings))?;
    if answer.status != expected {
        bail!("PUT {path}: expected {expected}: {}", answer.in_words());
    }
    Ok(())
}

/// How long a save took, from the API call.
struct Save {
    /// The time until a new container would get the variables.
    published: Duration,
    /// The time from when RDS first shows the instance until it is available.
    database: Duration,
}

fn follow_save(local: &LocalAws, saved: Instant) -> anyhow::Result<Save> {
    let identifier = format!("{DEMO_STACK}-{STAGE}-postgres");
    let (mut seen, mut available) = (None, None);
    while saved.elapsed() < Duration::from_mins(5) {
        interrupt::check()?;
        if available.is_none() {
            match local.database_status(&identifier)?.as_deref() {
                Some("creating") => _ = seen.get_or_insert_with(Instant::now),
                Some("available") => available = Some(Instant::now()),
                _ => (),
            }
        } else if local.container_environment(DEMO_STACK, STAGE)?.contains_key("PG_HOST") {
            let published = saved.elapsed();
            let database = available.zip(seen).map(|(available, seen)| available.duration_since(seen));
            return Ok(Save { published, database: database.unwrap_or_default() });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("the variables weren't published within 300 s")
}

fn row(what: &str, figure: &str) {
    println!("{what:<52}{figure:>14}");
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn megabytes(bytes: u64) -> String {
    // One decimal, without a lossy conversion to a float.
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
