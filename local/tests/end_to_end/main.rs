//! The whole way on a local AWS: the unchanged templates, the real functions, a real Postgres, real containers'
//! environments. What AWS itself would do beyond the local AWS is in `local/aws/README.md`.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod attached;
mod bad_input;
mod changes;
mod conditions;
mod contract;
mod created;
mod failed_creation;
mod faults;
mod preview;
mod recovery;
mod refusals;
mod removal;
mod restoration;
mod sign_in;
mod variables;
mod wedged;
mod world;
