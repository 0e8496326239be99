//! RDS's errors.

use crate::base::wire::Failure;

pub(super) fn refuse(code: &'static str, words: impl Into<String>) -> Failure {
    Failure::new(if code.contains("NotFound") { 404 } else { 400 }, code, words)
}
