//! CloudWatch Logs: the history of each stage, in a stream of its own. Nothing here deletes or changes a line.

use aws_config::SdkConfig;
use database::{Record, Stage};
use serde_json::{Value, json};

use crate::{AwsError, json::Json};

/// The log group with the histories.
#[derive(Debug, Clone)]
pub struct HistoryLog {
    json: Json,
    group: String,
}

/// Lines of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// The lines, newest first, each with its time in milliseconds since 1970.
    pub lines: Vec<(i64, String)>,
    /// The token for the lines before these. `None` if there are none.
    pub next_token: Option<String>,
}

impl HistoryLog {
    /// The log group with this name, in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig, group: String) -> Self {
        Self { json: Json::new(config, "logs", "Logs_20140328"), group }
    }

    /// Writes a record to the history of a stage, or of what belongs to no stage. A repeat writes the line once more, and
    /// readers recognize it.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn write(&self, stage: Option<&Stage>, record: &Record) -> Result<(), AwsError> {
        let stream = stream(stage);
        let line = record.line().map_err(|_| AwsError::unexpected(PUT, "the record has no JSON form"))?;
        let body = json!({
            "logGroupName": self.group, "logStreamName": stream,
            "logEvents": [{"timestamp": milliseconds(record), "message": line}],
        });
        match self.json.call(PUT, body.clone()).await {
            Err(error) if error.code == NOT_FOUND => {}
            reply => return accepted(&reply?),
        }
        let new = json!({"logGroupName": self.group, "logStreamName": stream});
        match self.json.call("CreateLogStream", new).await {
            Err(error) if error.code != "ResourceAlreadyExistsException" => Err(error),
            _ => accepted(&self.json.call(PUT, body).await?),
        }
    }

    /// The newest lines before a time, in milliseconds since 1970. `None` if nothing was ever recorded.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn lines(
        &self,
        stage: &Stage,
        before: Option<i64>,
        token: Option<&str>,
        limit: usize,
    ) -> Result<Option<Lines>, AwsError> {
        let body = json!({
            "logGroupName": self.group, "logStreamName": stream(Some(stage)), "startFromHead": false,
            "limit": limit, "endTime": before, "nextToken": token,
        });
        let reply = match self.json.call("GetLogEvents", body).await {
            Err(error) if error.code == NOT_FOUND => return Ok(None),
            reply => reply?,
        };
        let events = reply.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let line = |event: &Value| {
            Some((event.get("timestamp")?.as_i64()?, event.get("message")?.as_str()?.to_owned()))
        };
        // At the end, AWS returns the token that it got.
        let next = reply.get("nextBackwardToken").and_then(Value::as_str).filter(|next| Some(*next) != token);
        let lines = events.iter().rev().filter_map(line).collect();
        Ok(Some(Lines { lines, next_token: next.map(str::to_owned) }))
    }
}

const PUT: &str = "PutLogEvents";
const NOT_FOUND: &str = "ResourceNotFoundException";

fn stream(stage: Option<&Stage>) -> String {
    stage.map_or_else(|| "account".to_owned(), ToString::to_string)
}

fn milliseconds(record: &Record) -> i64 {
    i64::try_from(record.at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

/// CloudWatch Logs accepts the call, and still can reject a line because of its time.
fn accepted(reply: &Value) -> Result<(), AwsError> {
    match reply.get("rejectedLogEventsInfo").filter(|info| !info.is_null()) {
        None => Ok(()),
        Some(_) => Err(AwsError::unexpected(PUT, "CloudWatch Logs rejected the record because of its time")),
    }
}
