//! The services: what they hold, and what they say to a call.

pub(crate) mod ec2;
pub(crate) mod ecs;
pub(crate) mod rds;
pub(crate) mod secrets;
pub(crate) mod stacks;
pub(crate) mod states;
