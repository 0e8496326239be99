//! The plan for a save. `PUT …/database` and its preview share it.

use std::collections::BTreeMap;

use aws::{SecretValue, SeenService, StageStack};
use database::{Change, Generation, Login, Settings};

use super::Wish;
use crate::{
    api::{Call, SettingsApi},
    response::Problem,
};

/// What a save does.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The settings after the save.
    pub(crate) settings: Settings,
    /// What changes, setting by setting.
    pub(crate) changes: Vec<Change>,
    /// Warnings for the user.
    pub(crate) warnings: Vec<String>,
    /// The parameters of the stage stack after the save.
    pub(crate) parameters: BTreeMap<String, String>,
    /// The typed credentials to store before the rebuild.
    pub(crate) aside: Option<Aside>,
    /// What ECS shows of the services, if the plan has looked.
    pub(crate) seen: Option<Vec<SeenService>>,
    /// Whether the settings change at all.
    pub(crate) needed: bool,
}

/// A value for a stage's secret that clients don't read yet.
#[derive(Debug)]
pub(crate) struct Aside {
    pub(crate) arn: String,
    pub(crate) value: SecretValue,
    /// The staging label of the new generation.
    pub(crate) label: String,
    /// The labels to keep, regardless of their age.
    pub(crate) in_use: Vec<String>,
}

impl SettingsApi {
    /// What a save would do, or why it's refused.
    pub(crate) async fn plan(&self, stack: &StageStack, wish: Wish, call: &Call) -> Result<Plan, Problem> {
        let mut plan = match wish {
            Wish::Created(wish) => self.plan_created(stack, wish, call).await?,
            Wish::Attached(wish) => self.plan_attachment(stack, wish, call).await?,
        };
        if !plan.needed {
            return Ok(plan);
        }
        plan.seen = Some(self.refuse_unless_publishable(stack).await?);
        Ok(plan)
    }
}

/// The parameters of a stage stack with these settings. Parameters for another source keep their values.
pub(crate) fn parameters(
    stack: &StageStack,
    settings: &Settings,
    generation: Option<&Generation>,
    login: Option<&Login>,
) -> BTreeMap<String, String> {
    let generation = generation.map_or_else(|| "none".to_owned(), ToString::to_string);
    let mut parameters = stack.parameters.clone();
    parameters.insert("Generation".to_owned(), generation);
    parameters.insert("Login".to_owned(), login.map_or_else(|| "none".to_owned(), ToString::to_string));
    parameters.extend(settings.parameters().into_iter().map(|(name, value)| (name.to_owned(), value)));
    parameters
}
