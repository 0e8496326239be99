//! `POST …/runtime-variables`: restores the variables that services and jobs lack, without a rebuild.
//!
//! It only puts a fact on the event bus: that variables are missing. publish-variables looks at the stage and does the
//! rest, as after a deployment. So the API needs no permission to change services or to pass roles.

use database::{
    Fact, Outcome, Phase, Publication, Registration, Stage, StageEvent, Target, lacks_in_words,
    missing_variables, publication,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
    stage_stack::refuse_unless_at_rest,
};

/// The response to a request to restore variables.
#[derive(Serialize, ToSchema)]
#[schema(as = Restoring)]
pub(crate) struct RestoringWire {
    /// The services that lack variables, as `cluster/service`.
    services: Vec<String>,
    /// The families of the jobs that lack variables.
    jobs: Vec<String>,
}

impl SettingsApi {
    pub(crate) async fn post_runtime_variables(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        if !call.conditions.accept(&crate::stage_stack::etag(&stack)) {
            return Err(Problem::changed_meanwhile());
        }
        refuse_unless_at_rest(&stack)?;
        let target = stack.target();
        if target == Target::Removed {
            return Err(Problem::conflict(
                "The stage has no database, so there are no variables to restore.",
            ));
        }
        let registration = Registration::from_parameters(&stack.parameters)?;
        let secret_name = stage.secret_name();
        let mut lacking = Vec::new();
        let mut services = Vec::new();
        for seen in self.stage_services.look(&registration.services).await? {
            let Some((_, definition)) = &seen.live else { continue };
            let variables = definition.container(seen.registered.container.as_ref()).unwrap_or_default();
            if matches!(publication(&variables, &secret_name, &target), Publication::Change(_)) {
                let (cluster, name) = seen.registered.key();
                lacking.push(lacks("service", name, &missing_variables(&variables, &secret_name)));
                services.push(format!("{cluster}/{name}"));
            }
        }
        let mut jobs = Vec::new();
        for (job, definition) in self.see_jobs(&registration.jobs).await? {
            let found = definition.and_then(|definition| definition.container(job.container.as_ref()));
            let Some(variables) = found else { continue };
            if matches!(publication(&variables, &secret_name, &target), Publication::Change(_)) {
                lacking.push(lacks("job", job.family.as_ref(), &missing_variables(&variables, &secret_name)));
                jobs.push(job.family.to_string());
            }
        }
        let wire = RestoringWire { services, jobs };
        if lacking.is_empty() {
            // A service with variables of its own doesn't hold up the others.
            self.refuse_unless_publishable(&stack).await?;
            return Ok(Reply::json(200, &wire));
        }
        let event = StageEvent {
            stage: stage.clone(),
            stage_stack_id: stack.id.clone(),
            phase: Phase::Complete,
            reason: lacking.join(" "),
            at: call.now,
            fact: Fact::VariablesMissing,
        };
        self.record(stage, Vec::new(), call).await?;
        self.events.put(&event).await?;
        self.record_end(Outcome::Complete, call).await;
        Ok(Reply::json(202, &wire))
    }
}

fn lacks(what: &str, name: &str, missing: &[&str]) -> String {
    format!("The {what} {name} lacks {}.", lacks_in_words(missing))
}
