//! The CloudFormation stack of a stage: its state, its operations, and its updates.

mod begun;
mod containers;
mod state;
mod update;

pub(crate) use begun::etag;
pub(crate) use containers::{conflict_in_words, conflicts};
pub(crate) use state::{
    begun_by, generation, has_database, is_at_rest, is_failed_registration, rebuild_path,
    refuse_unless_at_rest, settings,
};
pub(crate) use update::{STAGE_TEMPLATE, Update};
