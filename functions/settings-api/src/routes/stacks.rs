//! `GET /api/stacks`: the stacks, their stages, and each stage's state.

use std::collections::BTreeMap;

use database::StackStatus;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
};

/// A page of stacks.
#[derive(Serialize, ToSchema)]
#[schema(as = Stacks)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StacksWire {
    stacks: Vec<StackWire>,
    /// The token for the next page. A page can be empty and still have a next page, and a stack's stages can be on
    /// several pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// A stack, with those of its stages that are on this page.
#[derive(Serialize, ToSchema)]
#[schema(as = Stack)]
struct StackWire {
    name: String,
    stages: Vec<StageWire>,
}

/// A stage.
#[derive(Serialize, ToSchema)]
#[schema(as = StageSummary)]
struct StageWire {
    name: String,
    /// `updating`, `complete`, `rolled-back`, or `failed`.
    state: &'static str,
    /// `none`, `created`, or `attached`.
    source: String,
}

impl SettingsApi {
    /// One call to AWS, no matter how many stages there are.
    pub(crate) async fn get_stacks(&self, call: &Call) -> Result<Reply, Problem> {
        let has_token = call.query("nextToken").is_some();
        let page = match self.stacks.page(call.query("nextToken")).await {
            Err(error) if error.refused && has_token => {
                return Err(Problem::stale_token());
            }
            page => page?,
        };
        let mut stacks: BTreeMap<String, Vec<StageWire>> = BTreeMap::new();
        let roles = &call.caller.roles;
        for stack in page.stacks.into_iter().filter(|stack| roles.on(&stack.stage.stack).is_some()) {
            let source = stack.parameters.get("Source").cloned().unwrap_or_else(|| "none".to_owned());
            let stage = StageWire { name: stack.stage.stage.to_string(), state: state(stack.status), source };
            stacks.entry(stack.stage.stack.to_string()).or_default().push(stage);
        }
        let stack = |(name, mut stages): (String, Vec<StageWire>)| {
            stages.sort_by(|a, b| a.name.cmp(&b.name));
            StackWire { name, stages }
        };
        let stacks = stacks.into_iter().map(stack).collect();
        Ok(Reply::json(200, &StacksWire { stacks, next_token: page.next_token }))
    }
}

/// The state of the stage stack. The state of the containers is in the stage's rebuild only.
pub(crate) fn state(status: StackStatus) -> &'static str {
    match status {
        StackStatus::InProgress | StackStatus::RollingBack => "updating",
        StackStatus::Complete => "complete",
        StackStatus::RolledBack => "rolled-back",
        StackStatus::CreationFailed | StackStatus::RollbackFailed | StackStatus::DeletionFailed => "failed",
        StackStatus::Deleted => "deleted",
    }
}
