//! A stage: its registration and its deletion.

pub(crate) mod delete;
pub(crate) mod put;
