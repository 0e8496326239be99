//! The local AWS: everything that `cargo local` does, as a library for the end-to-end tests.
//!
//! A [`LocalAws`] is one running local AWS with the application deployed into it. Start it with [`LocalAws::start`]; it
//! stops when it is dropped. Other commands find a running one by its files in `.local/`, and attach to it with
//! [`LocalAws::attach`].

mod acceptance;
mod actor;
mod api;
mod artifacts;
mod aws_cli;
mod calls;
mod cargo;
mod cloudformation;
mod cognito;
mod container;
mod control;
mod demo;
mod files;
mod functions;
mod http;
pub mod interrupt;
mod local_aws;
mod options;
mod page;
mod parameters;
pub mod permissions;
mod postgres;
mod process;
mod python;
mod rebuild;
mod release;
mod start;
mod template;
mod tests_setup;
mod wait;

pub use acceptance::{Acceptance, accept, can_start};
pub use actor::Actor;
pub use api::ApiAnswer;
pub use cargo::as_in_a_shell;
pub use container::{ContainerEnvironment, run_as_container};
pub use demo::{DEMO_DATABASE, DEMO_STACK, DEMO_STAGES};
pub use files::{Running, Workspace};
pub use functions::{ECHO, Function, Profile};
pub use local_aws::{LocalAws, User};
pub use options::{Lap, Options, Timings};
pub use page::{Browser, check_page};
pub use rebuild::{Rebuild, RebuildStep};
pub use release::{Build, Release, release};
pub use tests_setup::set_up_tests;
