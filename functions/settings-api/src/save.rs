//! Planning a save: the new settings, what they change, and why they're refused. A save and its preview make the same
//! plan.

mod attachment;
mod created;
mod plan;
mod settings;
mod wish;

pub(crate) use attachment::{closed, used_by, why_never};
pub(crate) use plan::{Plan, parameters};
pub(crate) use settings::{SettingsWire, in_history};
pub(crate) use wish::Wish;
