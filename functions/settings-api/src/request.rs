//! A request: its route, its conditions, and its body. Each is parsed once, into types that can't be invalid.

mod body;
mod caller;
mod conditions;
mod route;

pub(crate) use body::{Body, Fields};
pub(crate) use caller::Caller;
pub(crate) use conditions::Conditions;
pub(crate) use route::{Endpoint, Route};
