//! End-to-end tests on a local AWS: the unchanged templates, the real functions, a real Postgres, and the environments
//! of real containers. `local/aws/README.md` says what AWS does that the local AWS doesn't.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod acceptance;
mod attached;
mod bad_input;
mod changes;
mod conditions;
mod connections;
mod contract;
mod created;
mod deployments;
mod downtime;
mod earlier_version;
mod events;
mod failed_creation;
mod faults;
mod history;
mod logins;
mod permissions;
mod preview;
mod recovery;
mod refusals;
mod removal;
mod restoration;
mod roles;
mod rotations;
mod services;
mod sign_in;
mod snippets;
mod variables;
mod wedged;
mod world;
