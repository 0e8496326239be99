//! The `cargo local` commands, one file each.

pub(crate) mod acceptance;
pub(crate) mod aws;
pub(crate) mod bench;
pub(crate) mod clean;
pub(crate) mod env;
mod job;
pub(crate) mod page;
pub(crate) mod permissions;
pub(crate) mod release;
pub(crate) mod run;
pub(crate) mod test;
pub(crate) mod up;
mod walk;
