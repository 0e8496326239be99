//! Runs histories on several threads, and watches for those that never return.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use model::{Figures, Outcome, Plant, Violation, run};

use crate::{
    coverage::Reached,
    job::{Job, Jobs},
};

/// How often a long run prints its progress.
const EVERY: Duration = Duration::from_secs(10);

/// How to run histories.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) plant: Option<Plant>,
    pub(crate) workers: usize,
    /// The time limit for one history.
    pub(crate) patience: Duration,
    /// After this many failures, no new histories are started.
    pub(crate) failures: usize,
}

/// Why a history failed.
#[derive(Debug)]
pub(crate) enum Why {
    Violated(Violation),
    /// The model itself panicked.
    Panicked,
    /// It didn't return in time.
    Stuck,
}

/// A history that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    number: u64,
    pub(crate) job: Job,
    pub(crate) why: Why,
}

/// The results of a run.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) done: u64,
    pub(crate) figures: Figures,
    pub(crate) failed: Vec<Failed>,
    pub(crate) reached: Reached,
}

/// The history that a worker is running, and when it started.
type Slot = Mutex<Option<(u64, Job, Instant)>>;

#[derive(Debug)]
struct Shared {
    jobs: Jobs,
    next: AtomicU64,
    enough: AtomicBool,
    slots: Vec<Slot>,
}

impl Shared {
    fn slot(&self, worker: usize, work: Option<(u64, Job, Instant)>) {
        if let Some(slot) = self.slots.get(worker) {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = work;
        }
    }

    /// The workers that have been running one history for longer than this.
    fn overdue(&self, patience: Duration) -> Vec<(usize, u64, Job)> {
        let slots = self.slots.iter().enumerate();
        let overdue = slots.filter_map(|(worker, slot)| {
            let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            let (number, job, began) = slot.as_ref()?;
            (began.elapsed() > patience).then(|| (worker, *number, job.clone()))
        });
        overdue.collect()
    }
}

enum Message {
    /// `None` means that the model panicked.
    Done(u64, Job, Option<Box<Outcome>>),
    NoMore,
}

fn work(shared: &Shared, plant: Option<Plant>, worker: usize, to: &Sender<(usize, Message)>) {
    while !shared.enough.load(Ordering::Relaxed) {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(job) = shared.jobs.get(number) else { break };
        shared.slot(worker, Some((number, job.clone(), Instant::now())));
        let outcome = catch_unwind(AssertUnwindSafe(|| Box::new(run(&job.plan(), plant, false)))).ok();
        shared.slot(worker, None);
        if to.send((worker, Message::Done(number, job, outcome))).is_err() {
            return;
        }
    }
    // Sending fails only if this worker was abandoned.
    let _ = to.send((worker, Message::NoMore));
}

/// Runs all of them, or until enough have failed.
pub(crate) fn run_all(jobs: Jobs, settings: Settings, totals: &mut Totals) {
    let count = jobs.count();
    let slots = (0..settings.workers).map(|_| Mutex::new(None)).collect();
    let shared = Arc::new(Shared { jobs, next: AtomicU64::new(0), enough: AtomicBool::new(false), slots });
    let (to, from) = channel();
    for worker in 0..settings.workers {
        let (shared, to) = (Arc::clone(&shared), to.clone());
        thread::spawn(move || work(&shared, settings.plant, worker, &to));
    }
    let mut at_work: Vec<usize> = (0..settings.workers).collect();
    let failed_before = totals.failed.len();
    let mut told = failed_before;
    let done_before = totals.done;
    let began = Instant::now();
    let mut said = began;
    while !at_work.is_empty() {
        match from.recv_timeout(Duration::from_millis(500)) {
            // An abandoned worker may still return.
            Ok((worker, _)) if !at_work.contains(&worker) => {}
            Ok((worker, Message::NoMore)) => at_work.retain(|other| *other != worker),
            Ok((_, Message::Done(number, job, outcome))) => {
                totals.add(number, job, outcome.map(|outcome| *outcome));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        for (worker, number, job) in shared.overdue(settings.patience) {
            if at_work.contains(&worker) {
                totals.failed.push(Failed { number, job, why: Why::Stuck });
                at_work.retain(|other| *other != worker);
            }
        }
        // Print failures immediately, because a long run may be interrupted.
        for failed in totals.failed.get(told..).unwrap_or_default() {
            say(&format!("failed: {}", failed.job.replay(settings.plant)));
        }
        told = totals.failed.len();
        if totals.failed.len() >= settings.failures {
            shared.enough.store(true, Ordering::Relaxed);
        }
        if said.elapsed() >= EVERY {
            said = Instant::now();
            progress(totals, (done_before, count), began.elapsed());
        }
    }
    if let Some(new) = totals.failed.get_mut(failed_before..) {
        new.sort_by_key(|failed| failed.number);
    }
}

impl Totals {
    fn add(&mut self, number: u64, job: Job, outcome: Option<Outcome>) {
        self.done += 1;
        let Some(outcome) = outcome else {
            self.failed.push(Failed { number, job, why: Why::Panicked });
            return;
        };
        self.figures.add(&outcome.figures);
        self.reached.add(&job, &outcome.coverage);
        if let Some(violation) = outcome.violations.into_iter().next() {
            self.failed.push(Failed { number, job, why: Why::Violated(violation) });
        }
    }
}

fn progress(totals: &Totals, (before, count): (u64, u64), took: Duration) {
    let done = totals.done - before;
    #[expect(clippy::cast_precision_loss, reason = "the rate is only displayed")]
    let rate = done as f64 / took.as_secs_f64();
    say(&format!("{done} of {count}, {rate:.0} per second, {} failed", totals.failed.len()));
}

#[expect(clippy::print_stderr, reason = "the user reads it")]
fn say(words: &str) {
    eprintln!("{words}");
}
