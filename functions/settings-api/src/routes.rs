//! The routes, by resource: a file for each, or a directory with a file for each method.

pub(crate) mod database;
pub(crate) mod databases;
pub(crate) mod downtime;
pub(crate) mod endpoint;
pub(crate) mod history;
pub(crate) mod instance_classes;
pub(crate) mod leftovers;
pub(crate) mod me;
pub(crate) mod protection;
pub(crate) mod rebuild;
pub(crate) mod runtime_variables;
pub(crate) mod services;
pub(crate) mod snapshots;
pub(crate) mod stacks;
pub(crate) mod stage;
