//! How the changes of a history ended.

use time::{Duration, OffsetDateTime};

use super::{Changed, Clean, End, Entry, Found, Outcome, Record};
use crate::{StackEvent, StackStatus};

/// A request starts its change within this time, because API Gateway ends it after 30 s. Clocks may differ a little.
const STARTS_WITHIN: Duration = Duration::minutes(1);

/// What AWS shows of the changes that haven't ended, or whose end isn't in the log.
#[derive(Debug, Clone, Default)]
pub struct Observations {
    /// The operations in the stack's latest events.
    pub operations: Vec<End>,
    /// Before this time, there may have been more operations than these. `None`: nothing is visible.
    pub visible_since: Option<OffsetDateTime>,
    /// The tokens of the changes of the stage's protection.
    pub protections: Vec<String>,
}

impl Observations {
    /// What the latest events of the stage's stack show, newest first, and whether they're all that matter. Without a stack,
    /// nothing is visible. The first event of a stack comes a moment after the record of its creation.
    #[must_use]
    pub fn new(events: &[StackEvent], are_all: bool, protections: Vec<String>) -> Self {
        let slack = if are_all { STARTS_WITHIN } else { Duration::ZERO };
        let visible_since = events.last().map(|event| event.at - slack);
        Self { operations: ends(events), visible_since, protections }
    }
}

/// A record as it's shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRecord {
    /// The record.
    pub record: Record,
    /// How the change ended. `None`: it isn't a change.
    pub outcome: Option<Outcome>,
    /// Why it failed.
    pub reason: Option<Clean>,
    /// When it ended.
    pub ended_at: Option<OffsetDateTime>,
}

impl Found {
    /// The record with what became of it.
    #[must_use]
    pub fn shown(self, observed: &Observations, now: OffsetDateTime) -> ShownRecord {
        let Self { record, end } = self;
        let Entry::Change { operation, token, .. } = &record.entry else {
            return ShownRecord { record, outcome: None, reason: None, ended_at: None };
        };
        let end = end.or_else(|| observed.operations.iter().find(|end| end.is_of(&record)).cloned());
        if let Some(End { outcome, reason, ended_at, .. }) = end {
            return ShownRecord { record, outcome: Some(outcome), reason, ended_at };
        }
        let age = now - record.at;
        let outcome = match operation.as_ref() {
            "putProtection" if observed.protections.iter().any(|known| known == token.as_ref()) => {
                Outcome::Complete
            }
            _ if age < STARTS_WITHIN => Outcome::Running,
            // Systems Manager remembers 100 versions of a parameter.
            "putProtection" if observed.protections.len() < 100 => Outcome::NotStarted,
            // It isn't an operation of the stack.
            "putProtection" | "postRuntimeVariables" => Outcome::Unknown,
            _ if observed.visible_since.is_none_or(|since| record.at < since) => Outcome::Unknown,
            _ => Outcome::NotStarted,
        };
        ShownRecord { record, outcome: Some(outcome), reason: None, ended_at: None }
    }
}

impl End {
    /// Whether this is the end of the change that a record announces. A request that is repeated with its key has the same
    /// token, but only one of them started the operation.
    pub(super) fn is_of(&self, record: &Record) -> bool {
        let Entry::Change { token, .. } = &record.entry else { return false };
        *token == self.token && (self.began_at - record.at).abs() < STARTS_WITHIN
    }
}

/// The operations that a stack's events show, oldest first, from events that are newest first.
#[must_use]
pub fn ends(events: &[StackEvent]) -> Vec<End> {
    let mut ends: Vec<End> = Vec::new();
    let mut is_failed = false;
    for event in events.iter().rev() {
        let Some(token) = event.token.as_deref().map(Clean::from) else { continue };
        let is_of_last = ends.last().is_some_and(|end| end.token == token);
        if event.is_stack && !is_of_last {
            is_failed = false;
            ends.push(End {
                token: token.clone(),
                began_at: event.at,
                ended_at: None,
                outcome: Outcome::Running,
                reason: None,
            });
        }
        let Some(end) = ends.last_mut().filter(|end| end.token == token) else { continue };
        if event.status.ends_with("_FAILED") && !is_failed {
            is_failed = true;
            end.reason = event.reason.as_deref().map(Clean::from);
        }
        if event.is_stack {
            end.outcome = match StackStatus::from(event.status.as_str()) {
                // A creation that failed, with everything undone.
                StackStatus::CreationFailed if event.status == "ROLLBACK_COMPLETE" => Outcome::RolledBack,
                StackStatus::InProgress | StackStatus::RollingBack => Outcome::Running,
                StackStatus::Complete | StackStatus::Deleted => Outcome::Complete,
                StackStatus::RolledBack => Outcome::RolledBack,
                StackStatus::CreationFailed | StackStatus::RollbackFailed | StackStatus::DeletionFailed => {
                    Outcome::Failed
                }
            };
            end.ended_at = (end.outcome != Outcome::Running).then_some(event.at);
        }
    }
    ends
}

impl Changed {
    /// The change of a stage's protection.
    #[must_use]
    pub fn protection(before: bool, after: bool) -> Self {
        Self::new("protected", Some(&before.to_string()), Some(&after.to_string()))
    }
}
