//! `GET /api/leftovers`: instances and snapshots that stagedb created and that no stage uses anymore. They cost money.

use std::collections::BTreeMap;

use aws::{Lookup, StageStack};
use database::{Instance, StackStatus, Stage, Status};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
    routes::snapshots::SnapshotWire,
    stage_stack::generation,
};

/// A page of leftovers.
#[derive(Serialize, ToSchema)]
#[schema(as = Leftovers)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LeftoversWire {
    instances: Vec<LeftInstanceWire>,
    snapshots: Vec<LeftSnapshotWire>,
    /// The token for the next page. A page can be empty and still have a next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// A DB instance that no stage uses.
#[derive(Serialize, ToSchema)]
#[schema(as = LeftInstance)]
#[serde(rename_all = "camelCase")]
struct LeftInstanceWire {
    identifier: String,
    /// The stage that it was created for, as `{stack}/{stage}`.
    stage: String,
    /// The status in RDS's own words.
    status: String,
    #[serde(rename = "storageGiB")]
    storage_gib: u32,
}

/// A DB snapshot whose stage isn't registered.
#[derive(Serialize, ToSchema)]
#[schema(as = LeftSnapshot)]
struct LeftSnapshotWire {
    /// The stage whose data it contains, as `{stack}/{stage}`. If you register the stage again, you can restore the
    /// snapshot.
    stage: String,
    #[serde(flatten)]
    snapshot: SnapshotWire,
}

impl SettingsApi {
    /// One call to RDS for a page of 20, and one to CloudFormation for each stage on the page.
    pub(crate) async fn get_leftovers(&self, call: &Call) -> Result<Reply, Problem> {
        let token = call.query("nextToken");
        let mut page = match self.databases.owned_page(token.as_deref()).await {
            Err(error) if error.refused && token.is_some() => return Err(Problem::stale_token()),
            page => page?,
        };
        let is_visible = |stage: &Stage| call.caller.roles.on(&stage.stack).is_some();
        page.instances.retain(|(_, _, stage)| is_visible(stage));
        page.snapshots.retain(|snapshot| snapshot.stage.as_ref().is_none_or(is_visible));
        let mut stacks = BTreeMap::new();
        let stages = page.instances.iter().map(|(_, _, stage)| stage);
        for stage in stages.chain(page.snapshots.iter().filter_map(|snapshot| snapshot.stage.as_ref())) {
            if !stacks.contains_key(stage) {
                stacks.insert(stage.clone(), self.registered(stage).await?);
            }
        }
        let stack_of = |stage: &Stage| stacks.get(stage).and_then(Option::as_ref);
        let instances = page.instances.iter().filter(|(_, instance, stage)| {
            instance.status != Status::Deleting && !claims(stack_of(stage), instance)
        });
        let snapshots = page.snapshots.into_iter().filter_map(|snapshot| {
            let stage = snapshot.stage.clone().filter(|stage| stack_of(stage).is_none())?;
            Some(LeftSnapshotWire { stage: stage.to_string(), snapshot: snapshot.into() })
        });
        let wire = LeftoversWire {
            instances: instances
                .map(|(identifier, instance, stage)| LeftInstanceWire {
                    identifier: identifier.clone(),
                    stage: stage.to_string(),
                    status: instance.status.to_string(),
                    storage_gib: instance.storage_gib,
                })
                .collect(),
            snapshots: snapshots.collect(),
            next_token: page.next_token,
        };
        Ok(Reply::json(200, &wire))
    }

    /// The stack of a stage, if it's registered.
    async fn registered(&self, stage: &Stage) -> Result<Option<StageStack>, Problem> {
        match self.stacks.stack(&stage.stage_stack_name()).await? {
            Lookup::Found(stack) if stack.stage == *stage && stack.status != StackStatus::Deleted => {
                Ok(Some(*stack))
            }
            Lookup::Found(_) | Lookup::Foreign | Lookup::Missing => Ok(None),
        }
    }
}

/// Whether a stage stack has this instance, or is working on it.
fn claims(stack: Option<&StageStack>, instance: &Instance) -> bool {
    let Some(stack) = stack else { return false };
    let is_of_stack = instance.is_of_stack(&stack.id);
    let is_desired = stack.source() == "created" && generation(stack) == instance.generation;
    is_of_stack && (is_desired || stack.status.is_busy())
}
