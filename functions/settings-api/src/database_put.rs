//! `PUT …/database`: saves the settings, which rebuilds the stage.

use database::{Containers, Settings, Stage};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Call, SettingsApi,
    database_get::SettingsWire,
    problem::Problem,
    rebuild_post::Update,
    reply::Reply,
    stage::{rebuild_path, refuse_unless_at_rest, settings},
    wish::Wish,
};

/// What is said of a Save.
#[derive(Serialize, ToSchema)]
#[schema(as = Saved)]
pub(crate) struct SavedWire {
    /// The settings afterwards.
    settings: SettingsWire,
    /// What a person should know although nothing is wrong.
    warnings: Vec<String>,
    /// Where to see how far the rebuild is; missing if none is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<String>,
}

impl SettingsApi {
    pub(crate) async fn put_database(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let wish = Wish::from_body(&call.body)?;
        let stack = self.stage_stack(stage).await?;
        if self.was_done(&stack, call).await? {
            return Ok(saved(stage, settings(&stack), Vec::new(), Update::Begun));
        }
        refuse_unless_at_rest(&stack)?;
        let plan = self.plan(&stack, wish, call).await?;
        let update = if plan.needed {
            if let Some(aside) = &plan.aside {
                self.put_aside(aside, call).await?;
            }
            self.update(&stack, plan.parameters, call).await?
        } else {
            // The settings are as they should be; the containers need not be, after a failure.
            match self.containers(&stack).await? {
                Containers::Failed(_) => self.update(&stack, plan.parameters, call).await?,
                Containers::Waiting | Containers::Redeploying { .. } | Containers::Complete { .. } => {
                    Update::NotNeeded
                }
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
