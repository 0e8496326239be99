//! The AWS services. Each has its own state and handles its own calls. None uses another.

pub(crate) mod begun;
pub(crate) mod clients;
pub(crate) mod ec2;
pub(crate) mod ecs;
pub(crate) mod logs;
pub(crate) mod parameters;
pub(crate) mod rds;
pub(crate) mod requests;
pub(crate) mod secrets;
pub(crate) mod stacks;
pub(crate) mod states;
pub(crate) mod template;
