//! CloudWatch Logs: streams that lines are only ever added to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::wire::{Call, Failure, Reply};

#[derive(Debug, Default, Clone)]
pub(crate) struct Logs {
    /// The lines of each stream, by its name, each with its time.
    pub(crate) streams: BTreeMap<String, Vec<(i64, String)>>,
}

impl Logs {
    /// Whether any line contains this text.
    pub(crate) fn contain(&self, text: &str) -> bool {
        self.streams.values().flatten().any(|(_, line)| line.contains(text))
    }

    pub(crate) fn call(&mut self, call: &Call) -> Result<Reply, Failure> {
        let name = call.text("logStreamName").unwrap_or_default();
        if call.operation == "CreateLogStream" {
            if self.streams.contains_key(name) {
                let words = "The specified log stream already exists";
                return Err(Failure::new(400, "ResourceAlreadyExistsException", words));
            }
            self.streams.insert(name.to_owned(), Vec::new());
            return Ok(Reply::Json(json!({})));
        }
        let Some(lines) = self.streams.get_mut(name) else {
            let words = "The specified log stream does not exist.";
            return Err(Failure::new(400, "ResourceNotFoundException", words));
        };
        match call.operation.as_str() {
            "PutLogEvents" => {
                let line = |event: &Value| {
                    Some((event["timestamp"].as_i64()?, event["message"].as_str()?.to_owned()))
                };
                lines.extend(call.json()["logEvents"].as_array().into_iter().flatten().filter_map(line));
                lines.sort_by_key(|(at, _)| *at);
                Ok(Reply::Json(json!({"nextSequenceToken": "1"})))
            }
            "GetLogEvents" => {
                let before = call.json()["endTime"].as_i64();
                let until = call.text("nextToken").and_then(|token| token.parse().ok());
                let end = lines.iter().filter(|(at, _)| before.is_none_or(|before| *at < before)).count();
                let end = until.unwrap_or(end);
                let limit = call.json()["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok());
                let begin = end.saturating_sub(limit.unwrap_or(10_000));
                let event = |(at, line): &(i64, String)| json!({"timestamp": at, "message": line});
                let events: Vec<_> = lines.iter().take(end).skip(begin).map(event).collect();
                Ok(Reply::Json(json!({"events": events, "nextBackwardToken": begin.to_string()})))
            }
            other => Err(Failure::new(400, "UnknownOperationException", other)),
        }
    }
}
