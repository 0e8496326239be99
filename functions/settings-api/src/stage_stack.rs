//! The CloudFormation stack of a stage: its state, its operations, and its updates.

mod begun;
mod containers;
mod state;
mod template;
mod update;

pub(crate) use begun::etag;
pub(crate) use state::{
    begun_by, generation, is_failed_registration, rebuild_path, refuse_unless_at_rest, settings,
};
pub use template::StageTemplate;
pub(crate) use update::Update;
