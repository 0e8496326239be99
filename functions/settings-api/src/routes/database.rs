//! The database of a stage.

pub(crate) mod connection_test;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod metrics;
pub(crate) mod preview;
pub(crate) mod put;
pub(crate) mod rotation;
