//! A deterministic model of AWS that runs the real functions, for tens of thousands of histories with faults.
//!
//! `cargo histories --count 20000` runs that many histories. `--seed N` replays one, shrunk to the shortest history
//! that still fails, and prints everything that happened. This crate's README.md describes what is modeled, what is
//! assumed, and what isn't covered.
//!
//! The seam is HTTP. The SDK's clients, retries, timeouts, and signatures are the real ones, on top of an HTTP client
//! that responds as AWS would, except for the faults in the [`Plan`]. Time is Tokio's paused clock, so nothing waits.
//! The stage stack's engine interprets `stage.yaml`, and the state machine is the one that `template.yaml` defines.
#![recursion_limit = "256"]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this crate is for tests only, and its own bugs are panics"
)]

mod base;
mod engine;
mod histories;
mod plans;
mod services;
mod world;

/// The SDK makes many small allocations. With the C library's, histories take a third longer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use base::{
    invariant::{Invariant, Violation},
    kind::Kind,
};
pub use histories::{
    contract,
    crowd::{Crowd, crowd},
    deliver::{AtWork, Delivered, at_work, deliver},
    history::{Outcome, Prepared, prepare, run, run_after, run_within},
    shrink::shrink,
};
pub use plans::{
    fault::{At, Fault, FaultKind},
    kept,
    plan::{Action, Logical, Pause, Plan, Step, Weather},
    plant::Plant,
    point::Point,
};
pub use world::{
    coverage::{Coverage, Phase, Place},
    model::Figures,
};
