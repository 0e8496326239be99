//! A deterministic model of AWS in which the real functions run, by the ten thousand histories, with faults.
//!
//! `cargo histories --count 20000` runs that many; `--seed N` replays one, shrunk to the shortest history that still fails, with
//! everything that happened. See README.md in this crate for what is modelled, what is assumed, and what is not claimed.
//!
//! The seam is HTTP: the SDK's clients, retries, timeouts and signatures are the real ones, over a client that answers as AWS
//! would ([`Plan`] says how it may not). Time is tokio's paused clock, so nothing waits. The stage stack's engine interprets
//! `stage.yaml`, and the state machine is the one that `template.yaml` defines.
#![recursion_limit = "256"]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test-only crate, whose own mistakes are panics"
)]

mod clock;
mod connector;
pub mod contract;
mod coverage;
mod deliver;
mod draw;
mod engine;
mod events;
mod fault;
mod functions;
mod history;
mod invariants;
pub mod kept;
mod log;
mod plan;
mod plant;
mod point;
mod random;
mod requests;
mod services;
mod shrink;
mod template;
mod wire;
mod world;

pub use coverage::{Coverage, Phase, Place};
pub use deliver::{Delivered, deliver};
pub use functions::Kind;
pub use history::{Outcome, run, run_within};
pub use plan::{Action, At, Fault, FaultKind, Logical, Pause, Plan, Step, Weather};
pub use plant::Plant;
pub use point::Point;
pub use shrink::shrink;
pub use world::{Figures, Invariant, Violation};
