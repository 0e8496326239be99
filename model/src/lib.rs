//! A deterministic model of AWS in which the real functions run, by the ten thousand histories.
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
mod engine;
mod events;
mod functions;
mod history;
mod invariants;
mod log;
mod plan;
mod plant;
mod random;
mod requests;
mod services;
mod shrink;
mod template;
mod wire;
mod world;

pub use history::{Outcome, run};
pub use plan::{Action, Fault, FaultKind, Logical, Pause, Plan, Step, Weather};
pub use plant::Plant;
pub use shrink::shrink;
pub use world::{Figures, Invariant, Violation};
