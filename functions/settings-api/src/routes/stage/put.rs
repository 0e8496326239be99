//! `PUT /api/stacks/{stack}/stages/{stage}`: registers a stage, which creates its stack without a database, or changes
//! the services and jobs that it's registered with.

use std::collections::BTreeMap;

use aws::{ChangeError, Lookup, StageStack};
use database::{CLEARING, Former, Registration, Stage, migrate, runtime_variables};
use serde::Serialize;
use tracing::warn;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    record::Recorded,
    registration::{SeenJob, drop_inline_group, registration, registration_changes},
    response::{Problem, Reply},
    stage_stack::{Update, is_failed_registration, rebuild_path, refuse_unless_at_rest},
};

/// The response to a registration.
#[derive(Serialize, ToSchema)]
#[schema(as = Registered)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegisteredWire {
    stack: String,
    stage: String,
    /// The path where you can follow the progress.
    rebuild: String,
}

impl SettingsApi {
    pub(crate) async fn put_stage(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let registration = registration(&call.body)?;
        let found = self.stack_of(stage).await?;
        if let Some(stack) = found.as_ref().filter(|stack| is_failed_registration(stack)) {
            // Not the token for the registration, which a repeat of this request may start.
            let token = format!("{CLEARING}{}", call.token());
            let recorded = self.record_as(stage, Vec::new(), &token, call).await?;
            self.delete_stack(stack, &token, &recorded).await?;
            return Err(Problem::conflict(
                "An earlier registration of this stage failed, and its stage stack is being deleted. Register the stage again in a \
                 minute.",
            )
            .retry_after_seconds(20));
        }
        if found.is_none() && call.conditions.expects_something() {
            return Err(Problem::changed_meanwhile());
        }
        if let Some(stack) = &found
            && self.was_done(stack, call).await?
        {
            return Ok(registered(stage, Update::Begun));
        }
        if let Some(stack) = &found {
            refuse_unless_at_rest(stack)?;
        }
        let checked = self.check(stage, found.as_ref(), &registration).await?;
        let before =
            found.as_ref().map(|stack| Registration::from_parameters(&stack.parameters)).transpose()?;
        let changes = registration_changes(before.as_ref(), Some(&registration));
        let recorded = self.record(stage, changes, call).await?;
        self.adopt(stage, &checked.untagged, &recorded).await?;
        let update = match &found {
            None => {
                let mut parameters = self.parameters_without_database(stage);
                parameters.extend(checked.parameters);
                say(&mut parameters, registration.parameters());
                self.create(stage, parameters, call, &recorded).await?
            }
            Some(stack) => {
                let parameters = self.with(stack, &registration, checked.parameters).await?;
                // Only what changes is updated: the other services keep running.
                self.update_to(stack, &parameters, call, &recorded).await?
            }
        };
        Ok(registered(stage, update))
    }

    /// The stage's stack, if there is one.
    async fn stack_of(&self, stage: &Stage) -> Result<Option<StageStack>, Problem> {
        match self.stacks.stack(&stage.stage_stack_name()).await? {
            Lookup::Missing => Ok(None),
            Lookup::Foreign => Err(Problem::conflict(format!(
                "There is already a CloudFormation stack {} that isn't a stage stack. Choose another name for the stack or the \
                 stage.",
                stage.stage_stack_name()
            ))),
            Lookup::Found(stack) if stack.stage == *stage => Ok(Some(*stack)),
            Lookup::Found(stack) => Err(Problem::conflict(format!(
                "The stage {} already uses the CloudFormation stack name {}, which {stage} would need, too. Choose another \
                 name for the stack or the stage.",
                stack.stage,
                stage.stage_stack_name()
            ))),
        }
    }

    async fn create(
        &self,
        stage: &Stage,
        mut parameters: BTreeMap<String, String>,
        call: &Call,
        _: &Recorded,
    ) -> Result<Update, Problem> {
        parameters.extend(self.deployment());
        let role = &self.configuration.stage_stack_role_arn;
        match self.stacks.create(stage, &self.template.body, &parameters, role, &call.token()).await {
            Ok(()) => {
                // There is nothing to protect yet, and the next update makes up for a failure.
                if let Err(failure) = self.stacks.protect(&stage.stage_stack_name(), true).await {
                    warn!(
                        error = lambda::chain(&failure),
                        "the stage stack has no termination protection yet"
                    );
                }
                Ok(Update::Begun)
            }
            Err(ChangeError::NoChange) => Ok(Update::NotNeeded),
            // Another request has just registered it.
            Err(ChangeError::WrongState(_) | ChangeError::Exists(_)) => {
                Err(Problem::busy(rebuild_path(stage)))
            }
            Err(ChangeError::Aws(error)) => Err(error.into()),
        }
    }

    /// The parameters of an existing stack with another registration.
    async fn with(
        &self,
        stack: &StageStack,
        after: &Registration,
        checked: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Problem> {
        let before = Registration::from_parameters(&stack.parameters)?;
        let former = self.not_released(stack, Former::from_parameters(&stack.parameters)?).await?;
        let former = former.between(&before, after);
        let mut parameters = stack.parameters.clone();
        migrate(&mut parameters);
        parameters.extend(checked);
        say(&mut parameters, after.parameters());
        say(&mut parameters, former.parameters());
        drop_inline_group(&mut parameters);
        Ok(self.complete(parameters))
    }

    /// Those former services and jobs whose variables haven't been removed yet.
    async fn not_released(&self, stack: &StageStack, former: Former) -> Result<Former, Problem> {
        let keys: Vec<_> = former.services.iter().map(database::Service::key).collect();
        let mut live = self.services.services(&keys).await?;
        live.retain(|service| service.owner().as_ref() == Some(&stack.stage));
        let is_live = |service: &database::Service| live.iter().any(|live| service.has_arn(&live.arn));
        let services = former.services.iter().filter(|service| is_live(service)).cloned().collect();
        let secret_name = stack.stage.secret_name();
        let has_variables = |(job, definition): &SeenJob| {
            let variables = definition.as_ref().and_then(|found| found.container(job.container.as_ref()));
            variables.is_some_and(|variables| !runtime_variables(&variables, &secret_name).is_empty())
        };
        let jobs = self.see_jobs(&former.jobs).await?.into_iter().filter(has_variables);
        Ok(Former { services, jobs: jobs.map(|(job, _)| job).collect() })
    }

    fn parameters_without_database(&self, stage: &Stage) -> BTreeMap<String, String> {
        [
            ("Stack", stage.stack.to_string()),
            ("Stage", stage.stage.to_string()),
            ("Rebuild", "none".to_owned()),
            ("Lookup", "none".to_owned()),
            ("Source", "none".to_owned()),
            ("Generation", "none".to_owned()),
            ("InstanceClass", "none".to_owned()),
            ("StorageGiB", "20".to_owned()),
            ("DatabaseName", "none".to_owned()),
            ("EngineVersion", self.configuration.engine_version.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

fn say<const N: usize>(parameters: &mut BTreeMap<String, String>, said: [(&'static str, String); N]) {
    parameters.extend(said.map(|(name, value)| (name.to_owned(), value)));
}

fn registered(stage: &Stage, changed: Update) -> Reply {
    let rebuild = rebuild_path(stage);
    let (stack, stage) = (stage.stack.to_string(), stage.stage.to_string());
    let wire = RegisteredWire { stack, stage, rebuild: rebuild.clone() };
    match changed {
        Update::Begun => Reply::json(202, &wire).with_location(rebuild),
        Update::NotNeeded => Reply::json(200, &wire),
    }
}
