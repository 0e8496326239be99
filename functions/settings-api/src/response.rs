//! The API's responses.

mod problem;
mod reply;

pub(crate) use problem::{FieldError, Problem, ProblemWire};
pub(crate) use reply::Reply;
