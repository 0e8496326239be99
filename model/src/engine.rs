//! The active parts: the functions in their processes, the CloudFormation and Step Functions engines, EventBridge, and
//! the seam.

pub(crate) mod begin;
pub(crate) mod clients;
pub(crate) mod cloudformation;
pub(crate) mod connector;
pub(crate) mod deployments;
pub(crate) mod events;
pub(crate) mod functions;
pub(crate) mod machine;
pub(crate) mod planted;
mod resource;
