//! `cargo local bench`: figures of a release build on this computer. Nothing is asserted.
#![expect(clippy::print_stdout, reason = "a person reads it")]

mod cold_start;

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use local::{DEMO_DATABASE, DEMO_STACK, Lap, LocalAws, Options, Profile, interrupt};
use serde_json::Value;

const STAGE: &str = "dev";
/// Repeats of what is given as a median.
const REPEATS: usize = 10;

/// Measures and prints. A free port is used, so another local AWS does not matter, but it takes its share of the
/// processor.
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
    // Once to build, once to measure.
    LocalAws::start(&options)?.stop();
    let started = Instant::now();
    let local = LocalAws::start(&options)?;
    row("ready, once built", &milliseconds(started.elapsed()));
    for lap in local.laps() {
        row(&format!("  {}", lap.what), &lap.took.map(milliseconds).unwrap_or_default());
    }
    if let Some(id) = local.process_id() {
        row("local AWS, resident memory", &megabytes(cold_start::resident_bytes(id)?));
    }

    let settings: Value = serde_json::from_str(DEMO_DATABASE)?;
    let path = format!("/api/stacks/{DEMO_STACK}/stages/{STAGE}/database");
    let saved = Instant::now();
    put(&local, &path, &settings, 202)?;
    row("PUT …/database that changes something (202)", &milliseconds(saved.elapsed()));
    let save = follow_save(&local, saved)?;
    row("Save to published variables", &milliseconds(save.published));
    row("  of it the database's own time", &milliseconds(save.database));
    row("  the rest is ours", &milliseconds(save.published.saturating_sub(save.database)));
    local.wait_for_rebuild(DEMO_STACK, STAGE, |_| ())?;

    put(&local, &path, &settings, 200)?;
    let warm = median((0..REPEATS).map(|_| {
        let started = Instant::now();
        put(&local, &path, &settings, 200)?;
        Ok(started.elapsed())
    }))?;
    row("PUT …/database that changes nothing (200), warm", &milliseconds(warm));

    println!("\n{:<24}{:>14}{:>14}{:>14}", "function", "init", "memory", "zip");
    for function in local.functions() {
        let figures = cold_start::measure(&local, function, REPEATS)?;
        println!(
            "{:<24}{:>14}{:>14}{:>14}",
            function.name,
            milliseconds(figures.init),
            megabytes(figures.resident_bytes),
            megabytes(function.compressed_bytes()?)
        );
    }
    println!(
        "init: from the process' start to its first request for work. memory: resident, idle after init."
    );
    super::page::bench(&local)?;
    local.stop();
    Ok(())
}

fn put(local: &LocalAws, path: &str, settings: &Value, expected: u16) -> anyhow::Result<()> {
    let answer = local.api("PUT", path, Some(settings))?;
    if answer.status != expected {
        bail!("PUT {path}: expected {expected}: {}", answer.in_words());
    }
    Ok(())
}

/// How long a Save took, from the call of the API.
struct Save {
    /// Until a new container would get the variables.
    published: Duration,
    /// From the first time RDS shows the instance to the first time it is available.
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
    bail!("the variables were not published within 300 s")
}

/// The middle one of what was measured.
fn median(measured: impl Iterator<Item = anyhow::Result<Duration>>) -> anyhow::Result<Duration> {
    let mut all = measured.collect::<anyhow::Result<Vec<_>>>()?;
    all.sort();
    all.get(all.len() / 2).copied().context("nothing was measured")
}

fn row(what: &str, figure: &str) {
    println!("{what:<52}{figure:>14}");
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn megabytes(bytes: u64) -> String {
    // One decimal, without a detour through a lossy float conversion.
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
