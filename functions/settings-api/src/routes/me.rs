//! The signed-in user: what they may do, and their sessions.

pub(crate) mod get;
pub(crate) mod sign_out;
