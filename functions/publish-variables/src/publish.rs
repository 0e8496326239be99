//! Publishes the state of a stage's stack after one of its operations: to its services, one at a time, to its jobs, and
//! to those that it no longer has.

use aws::{Lookup, Note, Rebuilt, Service, StageStack};
use database::{Former, Job, Publication, Registration, StackStatus, Target, VariableConflict};
use time::OffsetDateTime;
use tracing::{error, info, warn};

use crate::{
    deploy::{Deployed, ServiceError, Wanted},
    function::{PublishError, PublishVariables},
};

/// The result of handling an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Nothing,
    Something,
}

/// What the state of a stack leads to.
struct Published {
    /// What the containers of the registration should have.
    target: Target,
    registration: Registration,
    /// What gets rid of its variables.
    former: Former,
}

impl PublishVariables {
    /// Publishes the state of a stack after one of its operations.
    pub(crate) async fn stack_changed(&self, id: &str, now: OffsetDateTime) -> Result<(), PublishError> {
        let Lookup::Found(stack) = self.stacks.stack(id).await? else { return Ok(()) };
        // First, because the login from before may be in the wrong hands.
        self.announce_login(&stack, now).await?;
        self.publish_from(stack).await
    }

    /// Publishes the current state of a stack.
    pub(crate) async fn publish(&self, id: &str) -> Result<(), PublishError> {
        match self.stacks.stack(id).await? {
            Lookup::Found(stack) => self.publish_from(stack).await,
            Lookup::Missing | Lookup::Foreign => Ok(()),
        }
    }

    /// Publishes the state of a stack, until it stays the same.
    async fn publish_from(&self, mut stack: Box<StageStack>) -> Result<(), PublishError> {
        loop {
            lambda::log_stage(&stack.stage.stack, &stack.stage.stage);
            if self.publish_state(&stack).await? == Written::Nothing {
                return self.announce(&stack).await;
            }
            // Meanwhile, another operation may have ended, and its event may have been handled before this write. So
            // the stack is read again after the last write, until it matches what was published. And if the stack is
            // deleted, the stage may have been registered again.
            let name = stack.stage.stage_stack_name();
            let id = if stack.status == StackStatus::Deleted { &name } else { &stack.id };
            let Lookup::Found(after) = self.stacks.stack(id).await? else { return Ok(()) };
            if after == stack {
                return self.announce(&stack).await;
            }
            stack = after;
        }
    }

    async fn publish_state(&self, stack: &StageStack) -> Result<Written, PublishError> {
        let Some(Published { target, registration, former }) = self.published(stack).await? else {
            return Ok(Written::Nothing);
        };
        let mut written = Written::Nothing;
        let mut failed = Vec::new();
        let mut note = |name: String, result: Result<Written, ServiceError>| match result {
            Ok(Written::Nothing) => {}
            Ok(Written::Something) => written = Written::Something,
            // A failure in one doesn't hold up the others.
            Err(failure) => {
                error!(name, error = lambda::chain(&failure), "the variables weren't published");
                failed.push(name);
            }
        };
        // Jobs come first, because a team may start one as soon as the rebuild is complete.
        for job in &registration.jobs {
            note(job.family.to_string(), self.publish_to_job(stack, &target, job).await);
        }
        for job in &former.jobs {
            note(job.family.to_string(), self.publish_to_job(stack, &Target::Removed, job).await);
        }
        for service in &registration.services {
            note(service.name.to_string(), self.publish_to(stack, &target, service).await);
        }
        for service in &former.services {
            note(service.name.to_string(), self.release_former(&stack.stage, service).await);
        }
        if failed.is_empty() { Ok(written) } else { Err(PublishError::Services(failed)) }
    }

    /// What to publish. `None` if an operation is running, which sends its own event at the end.
    async fn published(&self, stack: &StageStack) -> Result<Option<Published>, PublishError> {
        let registration = Registration::from_parameters(&stack.parameters)?;
        let former = Former::from_parameters(&stack.parameters)?;
        match stack.status {
            StackStatus::InProgress
            | StackStatus::RollingBack
            | StackStatus::CreationFailed
            | StackStatus::RollbackFailed
            | StackStatus::DeletionFailed => Ok(None),
            StackStatus::Deleted => {
                let nothing =
                    Registration { services: Vec::new(), jobs: Vec::new(), restores: false, proves: false };
                // The stage may have been registered again, with other services.
                let now = match self.stacks.stack(&stack.stage.stage_stack_name()).await? {
                    Lookup::Found(live) if live.status != StackStatus::Deleted => {
                        Registration::from_parameters(&live.parameters)?
                    }
                    Lookup::Found(_) | Lookup::Missing | Lookup::Foreign => nothing.clone(),
                };
                let former = former.between(&registration, &now);
                Ok(Some(Published { target: Target::Removed, registration: nothing, former }))
            }
            StackStatus::Complete | StackStatus::RolledBack => {
                if stack.has_database() && !stack.outputs.contains_key("SecretArn") {
                    return Err(PublishError::NoSecretArn);
                }
                Ok(Some(Published { target: stack.target(), registration, former }))
            }
        }
    }

    async fn publish_to(
        &self,
        stack: &StageStack,
        target: &Target,
        registered: &database::Service,
    ) -> Result<Written, ServiceError> {
        let (cluster, name) = registered.key();
        let Some(service) = self.services.service(cluster, name).await? else {
            info!(cluster, service = name, "the service doesn't exist, so there are no containers");
            return Ok(Written::Nothing);
        };
        match service.owner() {
            Some(owner) if owner == stack.stage => {}
            // Somebody's tool may have removed the tags, or the end of an earlier registration did.
            None => {
                self.services.note(&service.arn, &[Note::Owner(stack.stage.clone())]).await?;
            }
            Some(_) => return Err(ServiceError::NotOurs),
        }
        let rebuilt = stack.rebuilt();
        let is_repeat = service.rebuilt().as_ref() == Some(&rebuilt);
        let wanted = Wanted { stage: &stack.stage, target, container: registered.container.as_ref() };
        let base = self.base(&service, wanted).await?;
        match wanted.publication(&base.definition)? {
            Publication::UpToDate if is_repeat && !base.is_overwritten => {
                info!(service = name, operation = stack.operation, "published before");
                return Ok(Written::Nothing);
            }
            // What an interrupted deployment replaced is deployed again, whatever it has.
            publication if base.is_overwritten || matches!(publication, Publication::Change(_)) => {
                match self.deploy(&service, base, wanted).await? {
                    Deployed::Done { to, .. } => info!(service = name, revision = to.arn(), "published"),
                    Deployed::Conflict(conflicts) => warn_of(name, &conflicts),
                    Deployed::Gone => return Ok(Written::Nothing),
                }
            }
            // The values of the variables, or the database itself, may have changed, and tasks read them only when they
            // start. After a rollback, this matters only if the secret has another version than before: then it was
            // changed and changed back, and a task may have started in between. If the operation failed before that, or
            // only changed which services the stage has, nothing is restarted.
            Publication::UpToDate
                if *target != Target::Removed
                    && (has_other_version(&service, &rebuilt)
                        || (stack.status == StackStatus::Complete
                            && has_other_token(&service, &rebuilt))) =>
            {
                self.services.redeploy(&service).await?;
                info!(service = name, "redeployed with the same variables");
            }
            Publication::Conflict(conflicts) => warn_of(name, &conflicts),
            Publication::UpToDate | Publication::Change(_) => info!(service = name, "nothing to publish"),
        }
        self.services.note(&service.arn, &[Note::Rebuilt(rebuilt), Note::Deployed]).await?;
        Ok(Written::Something)
    }

    /// Gives the latest revision of a job's task definition what it should have. Tasks that are running keep theirs.
    pub(crate) async fn settle_job(
        &self,
        stack: &StageStack,
        target: &Target,
        job: &Job,
    ) -> Result<Option<String>, ServiceError> {
        let Some(latest) = self.definitions.latest(job.family.as_ref()).await? else {
            warn!(family = %job.family, "the family has no active revision");
            return Ok(None);
        };
        let container = job.container.as_ref();
        let wanted = Wanted { stage: &stack.stage, target, container };
        match wanted.publication(&latest)? {
            Publication::UpToDate => Ok(None),
            Publication::Conflict(conflicts) => {
                warn_of(job.family.as_ref(), &conflicts);
                Ok(None)
            }
            Publication::Change(secrets) => {
                let revision = self.definitions.register(latest, container, &secrets).await?;
                info!(revision = revision.arn(), "registered");
                Ok(Some(revision.arn().to_owned()))
            }
        }
    }

    async fn publish_to_job(
        &self,
        stack: &StageStack,
        target: &Target,
        job: &Job,
    ) -> Result<Written, ServiceError> {
        let revision = self.settle_job(stack, target, job).await?;
        Ok(revision.map_or(Written::Nothing, |_| Written::Something))
    }
}

pub(crate) fn warn_of(name: &str, conflicts: &[VariableConflict]) {
    let names: Vec<_> = conflicts.iter().map(|VariableConflict { name }| name.as_str()).collect();
    warn!(name, ?names, "the container already has variables with these names, so nothing is published");
}

/// Whether this is another rebuild than the one that the containers were last redeployed for.
fn has_other_token(service: &Service, rebuilt: &Rebuilt) -> bool {
    service.rebuilt().is_none_or(|before| before.token != rebuilt.token)
}

/// Whether clients read a different version of the secret than when the containers were last redeployed.
fn has_other_version(service: &Service, rebuilt: &Rebuilt) -> bool {
    service.rebuilt().is_none_or(|before| before.secret_version != rebuilt.secret_version)
}
