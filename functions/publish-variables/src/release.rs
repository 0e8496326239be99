//! Removes the variables from a service that its stage no longer has, and lets go of it.
//!
//! If a deployment is running, ECS can still go back to a definition with the variables. So the service keeps its tags
//! until a deployment is complete, and every event about one leads here again.

use aws::{Note, Service};
use database::{Publication, Stage, Target};
use tracing::{info, warn};

use crate::{
    deploy::{ServiceError, Wanted},
    function::{PublishError, PublishVariables},
    publish::Written,
    restore::ignored,
};

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
        if self.release(stage, (service.cluster(), &service.name), container).await? == Written::Nothing {
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

    /// Removes the variables from a service, and lets go of it as soon as ECS can't go back to them.
    pub(crate) async fn release(
        &self,
        stage: &Stage,
        (cluster, name): (&str, &str),
        container: &str,
    ) -> Result<Written, ServiceError> {
        let Some(service) = self.services.service(cluster, name).await? else {
            return Ok(Written::Nothing);
        };
        if service.owner().as_ref() != Some(stage) {
            return Ok(Written::Nothing);
        }
        let base = self.base(&service).await?;
        let wanted = Wanted { stage, target: &Target::Removed, container };
        let has_container = base.definition.container(container).is_some();
        let must_change = has_container && wanted.publication(&base.definition)? != Publication::UpToDate;
        let gave_up = must_change && service.was_rolled_back();
        let mut notes = Vec::new();
        if gave_up {
            warn!(service = name, "containers without the variables didn't start, so ECS went back to them");
        } else if must_change || (has_container && base.is_overwritten) {
            self.deploy(&service, base, wanted).await?;
            notes.push(Note::Deployed);
            notes.extend(service.rolled_back_to().map(|to| Note::RolledBack { to: to.to_owned() }));
        }
        if !gave_up && service.is_unsettled() {
            if service.leaving() != Some(container) {
                notes.push(Note::Leaving { container: container.to_owned() });
            }
            if notes.is_empty() {
                return Ok(Written::Nothing);
            }
            self.services.note(&service.arn, &notes).await?;
            info!(service = name, "a deployment of the former service is running");
            return Ok(Written::Something);
        }
        self.services.forget(&service.arn).await?;
        info!(service = name, "the service no longer belongs to the stage");
        Ok(Written::Something)
    }
}
