//! A stage: its registration, its details, and its deletion.

pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod put;
