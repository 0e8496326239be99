//! How long reads take in an account with many stages, and with a long history.

use std::time::{Duration, Instant};

use anyhow::bail;
use local::{DEMO_STACK, LocalAws};
use serde_json::{Value, json};

use super::median::median;

/// The number of stages in the account.
const STAGES: u32 = 1000;
/// The number of records in the history of one stage.
const RECORDS: u64 = 10_000;
/// A stack that costs nothing.
const TEMPLATE: &str = r#"{"Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}"#;

/// Creates the stages and the history, and returns the median time of each read of one stage.
pub(crate) fn measure(
    local: &LocalAws,
    stage: &str,
    repeats: usize,
) -> anyhow::Result<Vec<(String, Duration)>> {
    let owner = local.with_keys("test", "test");
    for number in 0..STAGES {
        let (name, stack) = (format!("many{number}-dev"), format!("many{number}"));
        let fields = [
            ("Action", "CreateStack"),
            ("StackName", &name),
            ("TemplateBody", TEMPLATE),
            ("Tags.member.1.Key", "stagedb:stack"),
            ("Tags.member.1.Value", &stack),
            ("Tags.member.2.Key", "stagedb:stage"),
            ("Tags.member.2.Value", "dev"),
        ];
        owner.query("cloudformation", "2010-05-15", &fields)?;
    }
    fill(local, stage)?;
    let of_stage = format!("/api/stacks/{DEMO_STACK}/stages/{stage}");
    let paths = [
        "/api/stacks".to_owned(),
        format!("/api/me?stack={DEMO_STACK}&stage={stage}"),
        of_stage.clone(),
        format!("{of_stage}/database"),
        format!("{of_stage}/rebuild"),
        format!("{of_stage}/runtime-variables"),
        format!("{of_stage}/history"),
        format!("{of_stage}/history?who=nobody@example.com"),
    ];
    let time = |path: String| {
        let took = median((0..repeats).map(|_| {
            let started = Instant::now();
            let answer = local.api("GET", &path, None)?;
            if answer.status != 200 {
                bail!("GET {path}: {}", answer.in_words());
            }
            Ok(started.elapsed())
        }))?;
        Ok((path, took))
    };
    paths.into_iter().map(time).collect()
}

/// Denied attempts, a second apart, before now.
fn fill(local: &LocalAws, stage: &str) -> anyhow::Result<()> {
    let user = local.user("denied@example.com", &["stagedb-viewer"])?;
    let path = format!("/api/stacks/{DEMO_STACK}/stages/{stage}/protection");
    local.api_as(Some(&user.token), "PUT", &path, Some(&json!({"protected": true})))?;
    let groups = local.aws(&["logs", "describe-log-groups"])?;
    let name = groups.pointer("/logGroups").and_then(|groups| {
        let names = groups.as_array()?.iter().filter_map(|group| group.get("logGroupName")?.as_str());
        names.into_iter().find(|name| name.contains("History")).map(str::to_owned)
    });
    let stream = format!("{DEMO_STACK}/{stage}");
    let read = json!({"logGroupName": name, "logStreamName": stream, "limit": 1});
    let newest = local.post_json("Logs_20140328.GetLogEvents", &read)?;
    let Some(event) = newest.pointer("/events/0") else { bail!("the attempt isn't in the history") };
    let (at, line) =
        (event.get("timestamp").and_then(Value::as_u64), event.get("message").and_then(Value::as_str));
    let (at, line) = (at.unwrap_or_default(), line.unwrap_or_default());
    for batch in (0..RECORDS).collect::<Vec<_>>().chunks(1000) {
        let events: Vec<_> = batch
            .iter()
            .map(|number| {
                let line = line.replacen("\"id\":\"", &format!("\"id\":\"{number}-"), 1);
                json!({"timestamp": at - (RECORDS - number) * 1000, "message": line})
            })
            .collect();
        let put = json!({"logGroupName": name, "logStreamName": stream, "logEvents": events});
        local.post_json("Logs_20140328.PutLogEvents", &put)?;
    }
    Ok(())
}
