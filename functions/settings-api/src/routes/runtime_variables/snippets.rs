//! `GET …/runtime-variables/snippets`: the references, for the users' own task definitions.

use database::{Snippet, Stage, snippets};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::SettingsApi,
    response::{Problem, Reply},
};

/// Snippets with the references to the stage's secret. With them in your own task definition, nothing ever needs to be
/// restored.
#[derive(Serialize, ToSchema)]
#[schema(as = Snippets)]
pub(crate) struct SnippetsWire {
    snippets: Vec<SnippetWire>,
}

/// A snippet for one tool.
#[derive(Serialize, ToSchema)]
#[schema(as = Snippet)]
struct SnippetWire {
    /// `task-definition`, `cloudformation`, `cdk`, `terraform`, or `copilot`.
    tool: &'static str,
    /// What to call it.
    title: &'static str,
    /// The language of the text: `json`, `yaml`, `typescript`, or `hcl`.
    language: &'static str,
    /// Where to put it, and what to know.
    note: &'static str,
    text: String,
}

impl SettingsApi {
    pub(crate) async fn get_snippets(&self, stage: &Stage) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        let Some(secret_arn) = stack.outputs.get("SecretArn") else {
            return Err(Problem::conflict("The stage isn't registered yet, so it has no secret."));
        };
        let wire =
            |Snippet { tool, title, language, note, text }| SnippetWire { tool, title, language, note, text };
        let snippets = snippets(stage, secret_arn).into_iter().map(wire).collect();
        Ok(Reply::json(200, &SnippetsWire { snippets }))
    }
}
