//! `PUT …/database`: saves the settings, which rebuilds the stage.

use database::{Changed, Settings, Stage};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    response::Problem,
    response::Reply,
    save::{SettingsWire, Wish, in_history},
    stage_stack::Update,
    stage_stack::{rebuild_path, refuse_unless_at_rest, settings},
};

/// The response to a save.
#[derive(Serialize, ToSchema)]
#[schema(as = Saved)]
pub(crate) struct SavedWire {
    /// The settings after the save.
    settings: SettingsWire,
    /// What you should know, even though the save succeeded.
    warnings: Vec<String>,
    /// The path where you can follow the rebuild. Missing if no rebuild is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<String>,
}

impl SettingsApi {
    pub(crate) async fn put_database(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let wish = Wish::from_body(&call.body)?;
        let stack = self.stage_stack(stage).await?;
        if self.was_done(&stack, call).await? {
            return Ok(saved(stage, settings(&stack)?, Vec::new(), Update::Begun));
        }
        refuse_unless_at_rest(&stack)?;
        let plan = self.plan(&stack, wish, call).await?;
        // Even if the settings don't change, the containers may not have their variables after a failure.
        let update = if plan.needed || self.have_containers_failed(&stack).await? {
            let mut changes = Changed::between(in_history(&settings(&stack)?), in_history(&plan.settings));
            if plan.aside.is_some() {
                changes.push(Changed::new("credentials", None, Some("entered manually")));
            }
            let recorded = self.record(stage, changes, call).await?;
            if let Some(aside) = &plan.aside {
                self.put_aside(aside, call, &recorded).await?;
            }
            self.update(&stack, plan.parameters, plan.seen, call, &recorded).await?
        } else {
            Update::NotNeeded
        };
        Ok(saved(stage, plan.settings, plan.warnings, update))
    }
}

fn saved(stage: &Stage, settings: Settings, warnings: Vec<String>, update: Update) -> Reply {
    let settings = settings.into();
    match update {
        Update::NotNeeded => Reply::json(200, &SavedWire { settings, warnings, rebuild: None }),
        Update::Begun => {
            let rebuild = rebuild_path(stage);
            Reply::json(202, &SavedWire { settings, warnings, rebuild: Some(rebuild.clone()) })
                .with_location(rebuild)
        }
    }
}
