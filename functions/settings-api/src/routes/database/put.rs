//! `PUT …/database`: saves the settings, which rebuilds the stage.

use database::{Settings, Stage};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    response::Problem,
    response::Reply,
    save::SettingsWire,
    save::Wish,
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
        let update = if plan.needed {
            if let Some(aside) = &plan.aside {
                self.put_aside(aside, call).await?;
            }
            self.update(&stack, plan.parameters, call).await?
        } else {
            // The settings don't change, but after a failure, the containers may not have their variables.
            if self.have_containers_failed(&stack).await? {
                self.update(&stack, plan.parameters, call).await?
            } else {
                Update::NotNeeded
            }
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
