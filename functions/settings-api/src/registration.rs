//! What a stage is registered with: the body of a registration, whether ECS and EC2 agree with it, and the parameters of
//! the stage stack that follow from the services and jobs.

mod body;
mod candidates;
mod changes;
mod check;
mod derived;

pub(crate) use body::{JobWire, RegistrationBody, ServiceWire, registration};
pub(crate) use candidates::{Candidate, why_not};
pub(crate) use changes::registration_changes;
pub(crate) use derived::{SeenJob, drop_inline_group};
