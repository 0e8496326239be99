//! Runs histories: the actors, the invariants, and shrinking a failed history.

pub mod contract;
pub(crate) mod crowd;
pub(crate) mod deliver;
pub(crate) mod history;
pub(crate) mod invariants;
mod rest;
pub(crate) mod shrink;
mod users;
