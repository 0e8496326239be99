//! Removes the variables from a service that its stage no longer has, and lets go of it.
//!
//! While a deployment is running, also the one that removes the variables, ECS can go back to a definition with them:
//! to the one whose deployment was complete last. So the service keeps its tags until a deployment without the variables
//! is complete, and every event about one leads here again.

use std::slice;

use aws::{Note, Service};
use database::{Publication, Stage, Target};
use tracing::{info, warn};

use crate::{
    deploy::{Base, ServiceError, Wanted},
    function::{PublishError, PublishVariables},
    hint::ignored,
    publish::Written,
};

/// What removing the variables led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removed {
    /// There were none.
    Nothing,
    /// A definition without them is being deployed.
    Deployed,
    /// ECS went back to them once before, because containers without them didn't start. So they stay.
    LeftAlone,
}

impl PublishVariables {
    /// Looks again at a service without a stage that was deployed.
    pub(crate) async fn deployed_after_leaving(
        &self,
        stage: &Stage,
        service: &Service,
    ) -> Result<(), PublishError> {
        let Some(container) = service.leaving() else {
            ignored("the service isn't registered");
            return Ok(());
        };
        if self.release(stage, service, container).await? == Written::Nothing {
            return Ok(());
        }
        // It may have come back in the meantime, and its event may have been handled before this write.
        match self.stage(stage).await? {
            Some((stack, registration)) if registration.service(&service.arn).is_some() => {
                self.publish(&stack.id).await
            }
            _ => Ok(()),
        }
    }

    /// Releases a service that the stage had before, if it still has the stage's tags.
    pub(crate) async fn release_former(
        &self,
        stage: &Stage,
        former: &database::Service,
    ) -> Result<Written, ServiceError> {
        let (cluster, name) = former.key();
        match self.services.service(cluster, name).await? {
            Some(service) if service.owner().as_ref() == Some(stage) => {
                self.release(stage, &service, former.container.as_ref()).await
            }
            _ => Ok(Written::Nothing),
        }
    }

    /// Removes the variables from a service, and lets go of it as soon as ECS can't go back to them.
    async fn release(
        &self,
        stage: &Stage,
        service: &Service,
        container: &str,
    ) -> Result<Written, ServiceError> {
        let wanted = Wanted { stage, target: &Target::Removed, container };
        let has_gone_back = service.rolled_back_to().is_some();
        let base = self.base(service, wanted).await?;
        let removed = self.remove(service, base, wanted, has_gone_back).await?;
        let name = &service.name;
        let is_settled = removed == Removed::Nothing && !service.is_unsettled();
        if removed == Removed::LeftAlone || is_settled {
            self.services.forget(&service.arn).await?;
            info!(service = name, "the service no longer belongs to the stage");
            return Ok(Written::Something);
        }
        if service.leaving() != Some(container) {
            let leaving = Note::Leaving { container: container.to_owned() };
            self.services.note(&service.arn, &[leaving]).await?;
            info!(service = name, "the former service keeps its tags until a deployment is complete");
            return Ok(Written::Something);
        }
        Ok(if removed == Removed::Nothing { Written::Nothing } else { Written::Something })
    }

    /// Removes the variables, that is, deploys what is wanted instead of the base. If ECS then goes back to them, it's
    /// done once more, and not again. `has_gone_back` says whether this is that once more.
    pub(crate) async fn remove(
        &self,
        service: &Service,
        base: Base,
        wanted: Wanted<'_>,
        has_gone_back: bool,
    ) -> Result<Removed, ServiceError> {
        match self.remove_from_container(service, base, wanted, has_gone_back).await {
            // Its container is gone, and the variables with it.
            Err(ServiceError::NoContainer { .. }) => Ok(Removed::Nothing),
            removed => removed,
        }
    }

    async fn remove_from_container(
        &self,
        service: &Service,
        base: Base,
        wanted: Wanted<'_>,
        has_gone_back: bool,
    ) -> Result<Removed, ServiceError> {
        let has_variables = wanted.publication(&base.definition)? != Publication::UpToDate;
        if has_variables
            && service.was_rolled_back()
            && self.has_failed_without(service, &base, wanted).await?
        {
            warn!(
                service = service.name,
                "containers without the variables didn't start, so ECS went back to them"
            );
            return Ok(Removed::LeftAlone);
        }
        if !has_variables && !base.is_overwritten {
            return Ok(Removed::Nothing);
        }
        self.deploy(service, base, wanted).await?;
        info!(service = service.name, "removed the variables");
        let to = service.task_definition_arn.clone();
        let mut notes = vec![Note::Deployed];
        notes.extend(has_gone_back.then_some(Note::RolledBack { to }));
        self.services.note(&service.arn, &notes).await?;
        Ok(Removed::Deployed)
    }

    /// Whether containers without the variables didn't start. Another definition of the team's that didn't start says
    /// nothing about that.
    async fn has_failed_without(
        &self,
        service: &Service,
        base: &Base,
        wanted: Wanted<'_>,
    ) -> Result<bool, ServiceError> {
        // If ECS doesn't show the failed deployment anymore, it may have been stagedb's.
        let Some(failed) = service.newest_failed() else { return Ok(true) };
        let failed = self.definitions.get(&failed.task_definition_arn).await?;
        Ok(wanted.is_copy(&failed, slice::from_ref(&base.definition)))
    }
}
