//! `GET …/history`: who changed the stage, when, and how it ended, newest first.

use aws::{Lines, Lookup};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use database::{
    Changed, Clean, Cursor, Entry, Filter, Found, Kind, Observations, Outcome, Pages, ShownRecord, Stage, Who,
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
};

/// How many records a page has, if the request doesn't say.
const LIMIT: usize = 25;
/// The most records of a page.
const LIMIT_MAX: usize = 100;
/// How many lines to read at once.
const LINES: usize = 200;
/// How often to read lines for one page. A filter can skip many.
const READS: usize = 10;

/// A page of the history.
#[derive(Serialize, ToSchema)]
#[schema(as = History)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HistoryWire {
    /// The records, newest first.
    records: Vec<RecordWire>,
    /// The token for the next page. With a filter, a page can have fewer records than the limit and still have a next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// A record of the history.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryRecord)]
#[serde(rename_all = "camelCase")]
struct RecordWire {
    id: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// `change`, `denied` for an attempt that a role didn't allow, or `outside` for a change that wasn't made through stagedb.
    kind: &'static str,
    /// The operationId of the request. Missing if `kind` is `outside`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    operation: Option<Clean>,
    /// Who sent the request. Missing if `kind` is `outside`.
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<WhoWire>,
    /// What changes, setting by setting. Never a secret.
    changes: Vec<ChangedWire>,
    /// Why the attempt was denied, or what was changed outside of stagedb.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    detail: Option<Clean>,
    /// How the change ended: `running`, `complete`, `rolled-back`, `failed`, `not-started`, or `unknown`, if AWS no longer
    /// shows it. Missing if `kind` isn't `change`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reason: Option<Clean>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<OffsetDateTime>,
}

/// Who sent a request.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryUser)]
struct WhoWire {
    /// The user's ID in the user pool, which never changes.
    #[schema(value_type = String)]
    subject: Clean,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    email: Option<Clean>,
    /// The IP address that the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    address: Option<Clean>,
}

/// A setting before and after a change.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryChange)]
struct ChangedWire {
    /// The field in the body of the request.
    #[schema(value_type = String)]
    setting: Clean,
    /// Missing if it had no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    before: Option<Clean>,
    /// Missing if it has no value anymore.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    after: Option<Clean>,
}

impl SettingsApi {
    pub(crate) async fn get_history(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let mut pages = Pages::new(cursor(call)?, filter(call)?, limit(call)?);
        let stack = async { self.stacks.stack(&stage.stage_stack_name()).await };
        let (has_more, stack) = tokio::join!(self.fill(stage, &mut pages), stack);
        let stack = match stack? {
            Lookup::Found(stack) if stack.stage == *stage => Some(stack),
            Lookup::Found(_) | Lookup::Foreign | Lookup::Missing => None,
        };
        let Some(has_more) = has_more? else {
            // Without a history and without a stack, there never was such a stage.
            if stack.is_none() {
                self.stage_stack(stage).await?;
            }
            return Ok(Reply::json(200, &HistoryWire { records: Vec::new(), next_token: None }));
        };
        let (found, next) = pages.finish(has_more);
        let observed = self.observe(stage, stack.as_ref().map(|stack| stack.id.as_str()), &found).await?;
        let wire = HistoryWire {
            records: found.into_iter().map(|found| found.shown(&observed, call.now).into()).collect(),
            next_token: next
                .and_then(|next| serde_json::to_vec(&next).ok())
                .map(|json| BASE64_URL_SAFE_NO_PAD.encode(json)),
        };
        Ok(Reply::json(200, &wire))
    }

    /// Reads lines until the page is full. Returns whether there are more, or `None` if nothing was ever recorded.
    async fn fill(&self, stage: &Stage, pages: &mut Pages) -> Result<Option<bool>, Problem> {
        let before = pages.before();
        let mut token = None;
        for _ in 0..READS {
            let page = self.history.lines(stage, before, token.as_deref(), LINES).await?;
            let Some(Lines { lines, next_token }) = page else { return Ok(None) };
            if pages.take(lines.iter().map(|(at, line)| (*at, line.as_str()))) {
                return Ok(Some(true));
            }
            match next_token {
                Some(next) => token = Some(next),
                None => return Ok(Some(false)),
            }
        }
        Ok(Some(true))
    }

    /// What AWS shows of those changes whose end isn't in the log.
    async fn observe(
        &self,
        stage: &Stage,
        stack_id: Option<&str>,
        found: &[Found],
    ) -> Result<Observations, Problem> {
        let is_open =
            |found: &&Found| found.end.is_none() && matches!(found.record.entry, Entry::Change { .. });
        let is_of = |found: &Found, name: &str| matches!(&found.record.entry, Entry::Change { operation, .. } if operation.as_ref() == name);
        let open: Vec<_> = found.iter().filter(is_open).collect();
        let oldest = open.iter().map(|found| found.record.at).min();
        let (events, are_all) = match (stack_id, oldest) {
            (Some(id), Some(oldest)) => self.stacks.events_since(id, oldest).await?,
            _ => (Vec::new(), true),
        };
        let protections = if open.iter().any(|found| is_of(found, "putProtection")) {
            self.protections.changes(stage).await?
        } else {
            Vec::new()
        };
        Ok(Observations::new(&events, are_all, protections))
    }
}

fn cursor(call: &Call) -> Result<Option<Cursor>, Problem> {
    let Some(token) = call.query("nextToken") else { return Ok(None) };
    let json = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    let cursor = json.and_then(|json| serde_json::from_slice(&json).ok());
    cursor.map(Some).ok_or_else(Problem::stale_token)
}

fn filter(call: &Call) -> Result<Filter, Problem> {
    let kind = call.query("kind").map(|kind| {
        Kind::named(&kind).ok_or_else(|| Problem::address("kind must be change, denied, or outside."))
    });
    Ok(Filter { kind: kind.transpose()?, operation: call.query("operation"), who: call.query("who") })
}

fn limit(call: &Call) -> Result<usize, Problem> {
    let Some(limit) = call.query("limit") else { return Ok(LIMIT) };
    let limit = limit.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| Problem::address(format!("limit must be a whole number from 1 to {LIMIT_MAX}.")))
}

impl From<ShownRecord> for RecordWire {
    fn from(shown: ShownRecord) -> Self {
        let ShownRecord { record, outcome, reason, ended_at } = shown;
        let (kind, who, operation, changes, detail) = match record.entry {
            Entry::Change { who, operation, changes, .. } => {
                (Kind::Change, Some(who), Some(operation), changes, None)
            }
            Entry::Denied { who, operation, reason } => {
                (Kind::Denied, Some(who), Some(operation), Vec::new(), Some(reason))
            }
            Entry::Outside { what, changes } => (Kind::Outside, None, None, changes, Some(what)),
            Entry::Ended(end) => (Kind::Outside, None, None, Vec::new(), end.reason),
        };
        Self {
            id: record.id.to_string(),
            at: record.at,
            kind: kind.name(),
            operation,
            who: who.map(|Who { subject, email, address }| WhoWire { subject, email, address }),
            changes: changes
                .into_iter()
                .map(|Changed { setting, before, after }| ChangedWire { setting, before, after })
                .collect(),
            detail,
            outcome: outcome.map(Outcome::name),
            reason,
            ended_at,
        }
    }
}
