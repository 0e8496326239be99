//! A stage's rebuild, as returned by `GET …/rebuild`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::local_aws::LocalAws;
use crate::wait;

/// Longer than any rebuild takes in the local AWS.
const LIMIT: Duration = Duration::from_mins(10);

/// The current or last rebuild.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rebuild {
    /// `updating`, `redeploying`, `complete`, `failed` or `rolled-back`.
    pub phase: String,
    /// The reason, if there is one.
    pub reason: Option<String>,
    /// When it started.
    pub started_at: Option<String>,
    /// Its steps, in order.
    pub steps: Vec<RebuildStep>,
}

/// One step of a rebuild.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RebuildStep {
    /// What the step does.
    pub name: String,
    /// `pending`, `running`, `complete` or `failed`.
    pub status: String,
    /// When it started, if it has.
    pub started_at: Option<String>,
    /// When it ended, if it has.
    pub ended_at: Option<String>,
}

impl Rebuild {
    /// How many steps are complete.
    #[must_use]
    pub fn complete_steps(&self) -> usize {
        self.steps.iter().filter(|step| step.status == "complete").count()
    }

    /// The step that is running now.
    #[must_use]
    pub fn running_step(&self) -> Option<&RebuildStep> {
        self.steps.iter().find(|step| step.status == "running")
    }
}

/// Waits until a stage's rebuild is complete, and calls `watch` with each of its states.
pub(crate) fn wait(
    local: &LocalAws,
    stack: &str,
    stage: &str,
    mut watch: impl FnMut(&Rebuild),
) -> anyhow::Result<Rebuild> {
    let path = format!("/api/stacks/{stack}/stages/{stage}/rebuild");
    wait::until(&format!("the rebuild of {stack} {stage}"), LIMIT, || {
        let answer = local.api("GET", &path, None)?;
        if answer.status != 200 {
            bail!("GET {path}: {}", answer.in_words());
        }
        let rebuild: Rebuild = serde_json::from_value(answer.body.clone())
            .with_context(|| format!("GET {path}: unexpected response: {}", answer.text))?;
        watch(&rebuild);
        match rebuild.phase.as_str() {
            "complete" => Ok(Some(rebuild)),
            "failed" | "rolled-back" => {
                let reason = rebuild.reason.as_deref().unwrap_or("no reason given");
                bail!("the rebuild of {stack} {stage} ended as {}: {reason}", rebuild.phase)
            }
            _ => Ok(None),
        }
    })
}
