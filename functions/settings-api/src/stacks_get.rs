//! `GET /api/stacks`: the stacks, their stages, and each stage's state.

use std::collections::BTreeMap;

use database::StackStatus;
use serde::Serialize;

use crate::{Call, SettingsApi, problem::Problem, reply::Reply};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    stacks: Vec<StackWire>,
    /// Leads to the next page. A page may be empty and still have one; a stack's stages may stand on several.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
struct StackWire {
    name: String,
    stages: Vec<StageWire>,
}

#[derive(Serialize)]
struct StageWire {
    name: String,
    state: &'static str,
    source: String,
}

impl SettingsApi {
    /// One call to AWS, however many stages there are.
    pub(crate) async fn get_stacks(&self, call: &Call) -> Result<Reply, Problem> {
        let has_token = call.next_token.is_some();
        let page = match self.stacks.page(call.next_token.clone()).await {
            Err(error) if error.refused && has_token => {
                return Err(Problem::address(
                    "nextToken is the one that the page before gave, and it may be too old.",
                ));
            }
            page => page?,
        };
        let mut stacks: BTreeMap<String, Vec<StageWire>> = BTreeMap::new();
        for stack in page.stacks {
            let source = stack.parameters.get("Source").cloned().unwrap_or_else(|| "none".to_owned());
            let stage = StageWire { name: stack.stage.stage.to_string(), state: state(stack.status), source };
            stacks.entry(stack.stage.stack.to_string()).or_default().push(stage);
        }
        let stack = |(name, mut stages): (String, Vec<StageWire>)| {
            stages.sort_by(|a, b| a.name.cmp(&b.name));
            StackWire { name, stages }
        };
        let stacks = stacks.into_iter().map(stack).collect();
        Ok(Reply::json(200, &Wire { stacks, next_token: page.next_token }))
    }
}

/// The state of the stage stack. How far the containers are, only the stage's rebuild knows.
fn state(status: StackStatus) -> &'static str {
    match status {
        StackStatus::InProgress | StackStatus::RollingBack => "updating",
        StackStatus::Complete => "complete",
        StackStatus::RolledBack => "rolled-back",
        StackStatus::Failed => "failed",
        StackStatus::Deleted => "deleted",
    }
}
