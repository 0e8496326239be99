//! `GET …/runtime-variables`: each name and the secret key it comes from, never a value.

use database::{RuntimeVariable, Stage, VariableConflict, runtime_variables};
use serde::Serialize;

use crate::{SettingsApi, containers::conflicts, problem::Problem, reply::Reply};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    /// The variables that the containers get at their next start.
    variables: Vec<RuntimeVariable>,
    /// Variables of such a name that somebody else put there.
    conflicts: Vec<VariableConflict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_arn: Option<String>,
    task_definition: String,
}

impl SettingsApi {
    pub(crate) async fn get_runtime_variables(&self, stage: &Stage) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        let observed = self.observe_containers(&stack).await?.map_err(Problem::conflict)?;
        let variables = runtime_variables(&observed.variables, &stage.secret_name());
        Ok(Reply::json(
            200,
            &Wire {
                conflicts: conflicts(&stack, &observed.variables),
                variables,
                secret_arn: stack.outputs.get("SecretArn").cloned(),
                task_definition: observed.service.task_definition_arn,
            },
        ))
    }
}
