//! `GET …/runtime-variables`: the name of each variable and the secret key that it comes from, but never a value.

use database::{Stage, runtime_variables};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::SettingsApi,
    response::{Problem, Reply},
    stage_stack::conflicts,
};

/// The runtime variables of a stage's container.
#[derive(Serialize, ToSchema)]
#[schema(as = RuntimeVariables)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VariablesWire {
    /// The variables that the containers get when they start next.
    variables: Vec<VariableWire>,
    /// Variables with the same names that stagedb didn't add.
    conflicts: Vec<ConflictWire>,
    /// The secret that they come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_arn: Option<String>,
    task_definition: String,
}

/// A variable and where its value comes from.
#[derive(Serialize, ToSchema)]
#[schema(as = RuntimeVariable)]
#[serde(rename_all = "camelCase")]
struct VariableWire {
    /// The name of the environment variable.
    name: &'static str,
    /// The key in the secret's JSON value.
    secret_key: &'static str,
}

/// A variable that stagedb didn't add and doesn't overwrite.
#[derive(Serialize, ToSchema)]
#[schema(as = VariableConflict)]
struct ConflictWire {
    /// The name of the environment variable.
    name: String,
}

impl SettingsApi {
    pub(crate) async fn get_runtime_variables(&self, stage: &Stage) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        let observed = self.observe_containers(&stack).await?.map_err(Problem::conflict)?;
        let variables = runtime_variables(&observed.variables, &stage.secret_name());
        let conflicts = conflicts(&stack, &observed.variables);
        let variable = |v: database::RuntimeVariable| VariableWire { name: v.name, secret_key: v.secret_key };
        Ok(Reply::json(
            200,
            &VariablesWire {
                conflicts: conflicts.into_iter().map(|c| ConflictWire { name: c.name }).collect(),
                variables: variables.into_iter().map(variable).collect(),
                secret_arn: stack.outputs.get("SecretArn").cloned(),
                task_definition: observed.service.task_definition_arn,
            },
        ))
    }
}
