//! Answers to CloudFormation.

use std::collections::BTreeMap;

use database::Stage;
use serde::Serialize;
use serde_json::Value;

use crate::{Addressee, InvalidRequest};

/// The maximum size of an answer that CloudFormation accepts, in bytes.
const ANSWER_MAX: usize = 4096;

/// The physical ID of a resource whose creation was refused because of its properties.
const NOTHING_MADE: &str = "nothing-made";

/// An answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The resource's physical ID. It's the same on every path, because another one would make CloudFormation replace,
    /// and so delete, the resource.
    pub physical_id: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded. `Fn::GetAtt` and the stack's events show the values, so they mustn't contain a secret.
    Success(BTreeMap<&'static str, String>),
    /// It failed, for this reason.
    Failed(String),
}

/// The wire form of an answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a BTreeMap<&'static str, String>>,
}

impl Answer {
    /// The answer to a request. An Update or a Delete keeps the physical ID in the request. A Create uses the derived
    /// one.
    #[must_use]
    pub fn new(addressee: &Addressee, derived_id: &str, outcome: Outcome) -> Self {
        let physical_id = addressee.physical_id.clone().unwrap_or_else(|| derived_id.to_owned());
        Self { physical_id, outcome }
    }

    /// The answer to a request that isn't valid, so that no physical ID can be derived from it.
    ///
    /// Nothing was ever made for a physical ID that isn't ours, so its deletion succeeds. Otherwise, a stack couldn't
    /// even roll back. If the ID is ours, there may be something to delete.
    #[must_use]
    pub fn invalid(addressee: &Addressee, event: &Value, invalid: &InvalidRequest) -> Self {
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let id = addressee.physical_id.as_deref().unwrap_or_default();
        let is_ours = Stage::is_resource_id(id);
        let outcome = match (text("RequestType"), is_ours) {
            ("Delete", false) => Outcome::Success(BTreeMap::new()),
            ("Delete", true) => Outcome::Failed(format!(
                "It can't be deleted, because the request isn't valid: {invalid}. Repeat the deletion with the resource retained."
            )),
            _ => Outcome::Failed(format!("The request isn't valid: {invalid}.")),
        };
        Self::new(addressee, NOTHING_MADE, outcome)
    }

    /// The body that CloudFormation reads: at most 4,096 bytes. A reason that's too long is shortened.
    #[must_use]
    pub fn body(&self, addressee: &Addressee) -> Vec<u8> {
        let body = |reason: &str| {
            let (status, reason, data) = match &self.outcome {
                Outcome::Success(data) => ("SUCCESS", None, Some(data)),
                Outcome::Failed(_) => ("FAILED", Some(reason), None),
            };
            let body = Body {
                status,
                reason,
                physical_resource_id: &self.physical_id,
                stack_id: &addressee.stack_id,
                request_id: &addressee.request_id,
                logical_resource_id: &addressee.logical_id,
                data,
            };
            // Strings and maps of strings always serialize.
            serde_json::to_vec(&body).unwrap_or_default()
        };
        let Outcome::Failed(reason) = &self.outcome else {
            return body("");
        };
        // Escaping makes characters longer, so shorten the reason until the body fits.
        let mut reason = if reason.trim().is_empty() { "no reason was given" } else { reason };
        loop {
            let body = body(reason);
            let Some(excess) = body.len().checked_sub(ANSWER_MAX).filter(|excess| *excess > 0) else {
                return body;
            };
            let mut end = reason.len().saturating_sub(excess.div_ceil(6).max(1));
            while !reason.is_char_boundary(end) {
                end -= 1;
            }
            reason = reason.get(..end).unwrap_or_default();
            if reason.is_empty() {
                return body;
            }
        }
    }
}
