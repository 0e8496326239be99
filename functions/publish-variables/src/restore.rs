//! Restores the variables of a service that was deployed without them.

use aws::{Lookup, Note, Service, StageStack, TaskDefinition};
use database::{
    Fact, Phase, Publication, Registration, Restorations, Restore, Stage, StageEvent, Target,
    missing_variables, restore, service_in_arn,
};
use time::OffsetDateTime;
use tracing::{error, info, warn};

use crate::{
    deploy::{Base, Deployed, ServiceError, Wanted},
    function::{PublishError, PublishVariables},
    hint::ignored,
    publish::warn_of,
    release::Removed,
};

impl PublishVariables {
    /// Looks at a service that was deployed.
    pub(crate) async fn deployed(
        &self,
        arn: &str,
        has_started: bool,
        now: OffsetDateTime,
    ) -> Result<(), PublishError> {
        let (cluster, name) = service_in_arn(arn).unwrap_or_default();
        let Some(service) = self.services.service(cluster, name).await? else {
            ignored("the service doesn't exist");
            return Ok(());
        };
        let Some(owner) = service.owner() else {
            ignored("the service isn't registered");
            return Ok(());
        };
        lambda::log_stage(&owner.stack, &owner.stage);
        let found = self.stage(&owner).await?;
        if let Some((stack, registration)) = found.as_ref().filter(|(stack, _)| !stack.is_at_rest()) {
            info!("an operation is running, which publishes the variables at its end");
            let registered = registration.service(arn).map(|registered| registered.container.as_ref());
            let Some(container) = registered.or_else(|| service.leaving()) else { return Ok(()) };
            if self.put_back(stack, &service, container).await? {
                self.publish(&stack.id).await?;
            }
            return Ok(());
        }
        let registered = found
            .as_ref()
            .and_then(|(stack, registration)| Some((stack, registration, registration.service(arn)?)));
        let Some((stack, registration, registered)) = registered else {
            return self.deployed_after_leaving(&owner, &service).await;
        };
        let asked = Asked { by_user: false, is_on: registration.restores };
        if has_started && self.restore_service(stack, registered, service, asked, now).await? {
            self.check_again(stack).await?;
        }
        self.announce(stack).await
    }

    /// Deploys again what an interrupted deployment replaced, with what its copy has. ECS shows it only for as long as
    /// that deployment takes, so this doesn't wait for the end of an operation. `true` if it was deployed.
    async fn put_back(
        &self,
        stack: &StageStack,
        service: &Service,
        container: &str,
    ) -> Result<bool, ServiceError> {
        if service.since_noted().is_none() {
            return Ok(false);
        }
        let Some(secret_arn) = stack.outputs.get("SecretArn") else { return Ok(false) };
        let published = Target::Published { secret_arn: secret_arn.clone() };
        let nothing = Wanted { stage: &stack.stage, target: &Target::Removed, container };
        let copy = self.definitions.get(&service.task_definition_arn).await?;
        let has_variables = nothing.publication(&copy)? != Publication::UpToDate;
        let wanted = if has_variables { Wanted { target: &published, ..nothing } } else { nothing };
        let base = self.base(service, wanted).await?;
        if !base.is_overwritten {
            return Ok(false);
        }
        self.deploy(service, base, wanted).await?;
        self.services.note(&service.arn, &[Note::Deployed]).await?;
        Ok(true)
    }

    /// Restores whatever a stage's services and jobs lack, because a user asked for it.
    pub(crate) async fn missing(&self, stage: &Stage, now: OffsetDateTime) -> Result<(), PublishError> {
        lambda::log_stage(&stage.stack, &stage.stage);
        let Some((stack, registration)) = self.stage(stage).await? else {
            ignored("the stage isn't registered");
            return Ok(());
        };
        if !stack.is_at_rest() || !stack.has_database() {
            info!("the stage has no variables to restore now");
            return Ok(());
        }
        let target = stack.target();
        let (mut failed, mut written) = (Vec::new(), false);
        for job in &registration.jobs {
            match self.settle_job(&stack, &target, job).await {
                Ok(revision) => written |= revision.is_some(),
                Err(failure) => {
                    error!(family = %job.family, error = lambda::chain(&failure), "the variables weren't restored");
                    failed.push(job.family.to_string());
                }
            }
        }
        for registered in &registration.services {
            let (cluster, name) = registered.key();
            let asked = Asked { by_user: true, is_on: registration.restores };
            let restored = match self.services.service(cluster, name).await {
                Ok(None) => continue,
                Ok(Some(service)) => self.restore_service(&stack, registered, service, asked, now).await,
                Err(error) => Err(error.into()),
            };
            match restored {
                Ok(restored) => written |= restored,
                Err(failure) => {
                    error!(service = name, error = lambda::chain(&failure), "the variables weren't restored");
                    failed.push(name.to_owned());
                }
            }
        }
        if written {
            self.check_again(&stack).await?;
        }
        if failed.is_empty() { Ok(()) } else { Err(PublishError::Services(failed)) }
    }

    /// The stack of a stage, and what it's registered with.
    pub(crate) async fn stage(
        &self,
        stage: &Stage,
    ) -> Result<Option<(StageStack, Registration)>, PublishError> {
        match self.stacks.stack(&stage.stage_stack_name()).await? {
            Lookup::Found(stack) if stack.stage == *stage => {
                let registration = Registration::from_parameters(&stack.parameters)?;
                Ok(Some((*stack, registration)))
            }
            Lookup::Found(_) | Lookup::Missing | Lookup::Foreign => Ok(None),
        }
    }

    /// An operation may have ended in the meantime, and its event may have been handled before this write.
    async fn check_again(&self, stack: &StageStack) -> Result<(), PublishError> {
        match self.stacks.stack(&stack.id).await? {
            Lookup::Found(now) if *now == *stack => Ok(()),
            Lookup::Found(_) | Lookup::Missing | Lookup::Foreign => self.publish(&stack.id).await,
        }
    }

    /// Restores the variables of one service, if it lacks them. `true` if it was deployed.
    async fn restore_service(
        &self,
        stack: &StageStack,
        registered: &database::Service,
        service: Service,
        asked: Asked,
        now: OffsetDateTime,
    ) -> Result<bool, ServiceError> {
        if service.owner().as_ref() != Some(&stack.stage) {
            return Err(ServiceError::NotOurs);
        }
        if !stack.has_database() {
            return self.remove_after_rollback(stack, registered, &service).await;
        }
        let (name, target) = (service.name.clone(), stack.target());
        let wanted =
            Wanted { stage: &stack.stage, target: &target, container: registered.container.as_ref() };
        let base = self.base(&service, wanted).await?;
        let before = service.restorations();
        let deployed = database::Deployed {
            publication: wanted.publication(&base.definition)?,
            is_on: asked.is_on,
            is_asked: asked.by_user,
            is_rolled_back: self.is_rolled_back(stack, &service, registered).await?,
        };
        match restore(deployed, &before, now) {
            // What an interrupted deployment replaced is deployed again, whatever it has.
            _ if base.is_overwritten => {}
            Restore::NotNeeded => {
                if service.is_being_deployed() {
                    self.services.note(&service.arn, &[Note::Deployed]).await?;
                }
                return Ok(false);
            }
            Restore::Now(_) => {}
            Restore::Off => {
                info!(service = name, "the stage doesn't restore variables");
                return Ok(false);
            }
            Restore::Conflict(conflicts) => {
                warn_of(&name, &conflicts);
                return Ok(false);
            }
            Restore::RolledBack => {
                warn!(service = name, "ECS went back to a task definition without the variables");
                let to = service.task_definition_arn.clone();
                self.services.note(&service.arn, &[Note::RolledBack { to }]).await?;
                return Ok(false);
            }
            Restore::Stopped => {
                // An alarm counts these lines.
                error!(
                    service = name,
                    stopped = true,
                    "something else keeps deploying its own task definition"
                );
                return Ok(false);
            }
        }
        self.redeploy(stack, registered, &service, base, wanted, &before, now).await
    }

    #[expect(clippy::too_many_arguments, reason = "what the decision was made from")]
    async fn redeploy(
        &self,
        stack: &StageStack,
        registered: &database::Service,
        service: &Service,
        base: Base,
        wanted: Wanted<'_>,
        before: &Restorations,
        now: OffsetDateTime,
    ) -> Result<bool, ServiceError> {
        let deployed = self.deploy(service, base, wanted).await?;
        let Some(restoration) = deployed.restoration(now) else { return Ok(false) };
        if matches!(&deployed, Deployed::Done { from, to } if from.arn() == to.arn()) {
            self.services.note(&service.arn, &[Note::Deployed]).await?;
            return Ok(true);
        }
        info!(service = service.name, from = restoration.from, to = restoration.to, "restored");
        let notes = [Note::Restored(before.and(restoration.clone())), Note::Deployed];
        self.services.note(&service.arn, &notes).await?;
        let event = StageEvent {
            stage: stack.stage.clone(),
            stage_stack_id: stack.id.clone(),
            phase: Phase::Redeploying,
            reason: restoration.in_words(),
            at: now,
            fact: Fact::VariablesRestored { service: registered.clone(), restoration },
        };
        self.events.put(&event).await?;
        Ok(true)
    }

    /// In a stage without a database, references are a team's own matter, with one exception: if ECS goes back to a
    /// definition from the time when there was one, its containers couldn't start. If ECS then goes back to it once
    /// more, they don't start without the variables either, and it's left alone.
    async fn remove_after_rollback(
        &self,
        stack: &StageStack,
        registered: &database::Service,
        service: &Service,
    ) -> Result<bool, ServiceError> {
        let container = registered.container.as_ref();
        let wanted = Wanted { stage: &stack.stage, target: &Target::Removed, container };
        let base = self.base(service, wanted).await?;
        if service.rolled_back_to().is_none() && !is_older(&base.definition, stack) {
            return Ok(false);
        }
        Ok(self.remove(service, base, wanted, true).await? == Removed::Deployed)
    }

    /// Whether ECS went back to the current task definition because containers with the variables didn't start.
    async fn is_rolled_back(
        &self,
        stack: &StageStack,
        service: &Service,
        registered: &database::Service,
    ) -> Result<bool, ServiceError> {
        if service.was_rolled_back() {
            return Ok(true);
        }
        if service.rolled_back_to().is_none() {
            return Ok(false);
        }
        // If ECS doesn't show the failed deployment anymore, it may have been ours.
        let Some(failed) = service.newest_failed() else { return Ok(true) };
        let definition = self.definitions.get(&failed.task_definition_arn).await?;
        let variables = definition.container(registered.container.as_ref());
        let secret_name = stack.stage.secret_name();
        Ok(variables.is_some_and(|variables| missing_variables(&variables, &secret_name).is_empty()))
    }
}

/// Whether and by whom a restoration is wanted.
#[derive(Debug, Clone, Copy)]
struct Asked {
    by_user: bool,
    is_on: bool,
}

/// Whether a task definition is from before the last operation of a stage, which removed the variables from its
/// services. An event can arrive so late that ECS no longer says that it went back to it.
fn is_older(definition: &TaskDefinition, stack: &StageStack) -> bool {
    let times = definition.registered_at().zip(stack.operation_at());
    times.is_some_and(|(registered, operation)| registered < operation)
}
