//! CloudFormation's side of custom resources: requests, and the answers sent to its bucket.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;
use tokio::sync::Notify;

use crate::{base::invariant::Invariant, services::secrets::PASSWORD_MARK};

/// Part of the signature in every response URL, to recognize it wherever it appears.
pub(crate) const SIGNATURE_MARK: &str = "SiGnAtUrE";

/// The requests of a history, by ID.
#[derive(Debug, Default, Clone)]
pub(crate) struct Requests {
    pub(crate) all: BTreeMap<String, Request>,
    /// The total number of answers received.
    pub(crate) arrived: u64,
}

/// A request from CloudFormation.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) stack_id: String,
    pub(crate) logical: String,
    pub(crate) kind: &'static str,
    /// The physical ID in an Update or Delete.
    pub(crate) physical_id: Option<String>,
    /// The answer that counts.
    pub(crate) answer: Option<Value>,
    /// The processes that know that their answer arrived.
    pub(crate) told: BTreeSet<u64>,
    /// Whether a fault hit a call, a delivery was repeated, or the request was abandoned. Then two answers may differ.
    pub(crate) disturbed: bool,
    /// Whether it has been answered, or CloudFormation has stopped waiting.
    pub(crate) over: bool,
    /// Whether a user canceled the update.
    pub(crate) cancelled: bool,
    pub(crate) arrived: Arc<Notify>,
}

/// What's wrong with an answer.
pub(crate) type Wrong = (Invariant, String);

impl Requests {
    /// Receives an answer, and returns what's wrong with it. CloudFormation reads only the first.
    pub(crate) fn answer(&mut self, url: &str, text: &str, content_type: Option<&str>) -> Vec<Wrong> {
        self.arrived += 1;
        let mut wrong = Vec::new();
        let mut invalid = |words: String| wrong.push((Invariant::ValidAnswer, words));
        let id = url.split('?').next().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
        let Some(request) = self.all.get_mut(id) else {
            invalid(format!("an answer to {id}, which doesn't exist"));
            return wrong;
        };
        let what = format!("{} of {}", request.kind, request.logical);
        if let Some(content_type) = content_type {
            invalid(format!("{what}: the Content-Type {content_type} invalidates the signature"));
        }
        if text.len() > 4096 {
            invalid(format!("{what}: {} bytes", text.len()));
        }
        let answer: Value = serde_json::from_str(text).unwrap_or_default();
        let field = |name: &str| answer[name].as_str().unwrap_or_default();
        let status = field("Status").to_owned();
        if !["SUCCESS", "FAILED"].contains(&status.as_str()) {
            invalid(format!("{what}: the status {status}"));
        }
        if status == "FAILED" && field("Reason").trim().is_empty() {
            invalid(format!("{what}: FAILED without a reason"));
        }
        let physical_id = field("PhysicalResourceId");
        if physical_id.is_empty() || physical_id.len() > 1024 {
            invalid(format!("{what}: the physical ID {physical_id:?}"));
        }
        if let Some(before) = request.physical_id.as_deref().filter(|before| *before != physical_id) {
            invalid(format!(
                "{what}: the physical ID {physical_id} instead of {before} replaces the resource"
            ));
        }
        if field("StackId") != request.stack_id
            || field("RequestId") != id
            || field("LogicalResourceId") != request.logical
        {
            invalid(format!("{what}: the IDs don't match the request"));
        }
        let strings = |data: &Value| data.as_object().is_some_and(|data| data.values().all(Value::is_string));
        if !answer["Data"].is_null() && !strings(&answer["Data"]) {
            invalid(format!("{what}: Data contains values that aren't strings"));
        }
        if text.contains(PASSWORD_MARK) || text.contains(SIGNATURE_MARK) {
            wrong.push((Invariant::NothingLeaks, format!("{what}: a secret in the answer")));
        }
        match &request.answer {
            None => {
                request.answer = Some(answer);
                request.over = true;
                request.arrived.notify_one();
            }
            Some(first) if first["Status"] != answer["Status"] && !request.disturbed => {
                let words =
                    format!("{what}: {status} after {}", first["Status"].as_str().unwrap_or_default());
                wrong.push((Invariant::AnsweredOnce, words));
            }
            Some(_) => {}
        }
        wrong
    }

    /// Records that a process knows that its answer arrived.
    pub(crate) fn tell(&mut self, url: &str, invocation: u64) -> Option<Wrong> {
        let id = url.split('?').next()?.rsplit('/').next()?;
        let request = self.all.get_mut(id)?;
        let again = !request.told.insert(invocation);
        let words = format!("{} of {}: answered twice by one invocation", request.kind, request.logical);
        again.then_some((Invariant::AnsweredOnce, words))
    }
}
