//! The tokens that CloudFormation gets, and shows in its events.

/// How the token of a request with an `Idempotency-Key` starts.
pub const KEYED: &str = "key-";
/// How the token of any other request starts.
pub const WITHOUT_KEY: &str = "request-";
/// What comes before the token of a request that first has to delete a failed registration.
pub const CLEARING: &str = "clear-";

/// Whether stagedb started the operation with this token.
#[must_use]
pub fn is_request_token(token: &str) -> bool {
    [KEYED, WITHOUT_KEY, CLEARING].iter().any(|start| token.starts_with(start))
}
