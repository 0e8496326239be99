//! Deploys a copy of a service's task definition with other secrets, without losing what somebody else deploys at the
//! same time.
//!
//! ECS has no conditional update. So somebody can deploy between our look and our deployment, which then puts an older
//! image back. ECS shows it: right after our deployment, theirs is still listed. Then theirs is copied and deployed, and
//! so on until nobody came in between. What is about to be deployed is noted first, because the function can be
//! interrupted: then the next look sees it.

use aws::{AwsError, Deployment, Note, Service, TaskDefinition};
use database::{Publication, Restoration, Stage, Target, VariableConflict, publication};
use thiserror::Error;
use time::OffsetDateTime;
use tracing::info;

use crate::function::{PublishError, PublishVariables};

/// How often a deployment is made again because somebody else deployed in between.
const ATTEMPTS: usize = 5;

/// Why a service didn't get its variables.
#[derive(Debug, Error)]
pub(crate) enum ServiceError {
    /// The container isn't in the task definition.
    #[error("the task definition {definition} has no container {container}")]
    NoContainer {
        /// The task definition.
        definition: String,
        /// The container that the stage was registered with.
        container: String,
    },
    /// It belongs to another stage, or to none.
    #[error("the service doesn't have the tags of the stage, so it's left alone")]
    NotOurs,
    /// Somebody else keeps deploying.
    #[error("somebody else deployed it {ATTEMPTS} times in the meantime")]
    Unsettled,
    /// AWS didn't reply, or refused.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl From<ServiceError> for PublishError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error.into())
    }
}

/// The task definition to start from.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// The ID of its deployment.
    pub(crate) deployment: String,
    pub(crate) definition: TaskDefinition,
    /// Whether a copy of an earlier one has replaced it.
    pub(crate) is_overwritten: bool,
}

/// How a deployment ended.
#[derive(Debug, Clone)]
pub(crate) enum Deployed {
    /// The service has it.
    Done {
        /// The revision that was copied.
        from: Box<TaskDefinition>,
        /// The revision that was deployed.
        to: Box<TaskDefinition>,
    },
    /// The container has variables of its own with our names.
    Conflict(Vec<VariableConflict>),
    /// The service was deleted in the meantime.
    Gone,
}

/// What the container of a service should have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) target: &'a Target,
    pub(crate) container: &'a str,
}

impl Wanted<'_> {
    pub(crate) fn publication(&self, definition: &TaskDefinition) -> Result<Publication, ServiceError> {
        let variables = definition.container(self.container).ok_or_else(|| ServiceError::NoContainer {
            definition: definition.arn().to_owned(),
            container: self.container.to_owned(),
        })?;
        Ok(publication(&variables, &self.stage.secret_name(), self.target))
    }
}

impl Deployed {
    fn done(from: TaskDefinition, to: TaskDefinition) -> Self {
        Self::Done { from: Box::new(from), to: Box::new(to) }
    }

    /// What was restored, if the service has a new revision.
    pub(crate) fn restoration(&self, at: OffsetDateTime) -> Option<Restoration> {
        let Self::Done { from, to } = self else { return None };
        let family = to.family().to_owned();
        Some(Restoration { family, from: from.revision(), to: to.revision(), at })
    }
}

impl PublishVariables {
    /// The task definition that the team deployed last.
    pub(crate) async fn base(&self, service: &Service) -> Result<Base, AwsError> {
        let overwritten = service.overwritten().map(|theirs| theirs.task_definition_arn.as_str());
        if let Some(definition) = overwritten {
            info!(definition, "an interrupted deployment replaced this one");
        }
        let definition = overwritten.unwrap_or(&service.task_definition_arn);
        Ok(Base {
            deployment: service.primary().map(|primary| primary.id.clone()).unwrap_or_default(),
            definition: self.definitions.get(definition).await?,
            is_overwritten: overwritten.is_some(),
        })
    }

    /// Deploys the base, or a copy of it with other secrets.
    pub(crate) async fn deploy(
        &self,
        service: &Service,
        base: Base,
        wanted: Wanted<'_>,
    ) -> Result<Deployed, ServiceError> {
        let Base { deployment: mut base, mut definition, is_overwritten: mut must_go_back } = base;
        for _ in 0..ATTEMPTS {
            let to = match wanted.publication(&definition)? {
                Publication::Conflict(conflicts) if !must_go_back => {
                    return Ok(Deployed::Conflict(conflicts));
                }
                // It's deployed again as it is.
                Publication::Conflict(_) | Publication::UpToDate => definition.clone(),
                Publication::Change(secrets) => {
                    self.definitions.register(definition.clone(), wanted.container, &secrets).await?
                }
            };
            let Some(now) = self.services.service(service.cluster(), &service.name).await? else {
                return Ok(Deployed::Gone);
            };
            if let Some(primary) = now.primary().filter(|primary| primary.id != base) {
                // It took a moment to register the copy.
                base.clone_from(&primary.id);
                if let Some(done) = self.replace(&mut definition, primary, wanted).await? {
                    return Ok(done);
                }
                continue;
            }
            let copy = to.arn().to_owned();
            self.services.note(&service.arn, &[Note::Deploying { base: base.clone(), copy }]).await?;
            let deployments = self.services.redeploy(service, Some(to.arn())).await?;
            let is_new = |other: &&Deployment| now.deployments.iter().all(|known| known.id != other.id);
            let others = deployments.iter().filter(|other| !other.is_primary && !other.has_failed());
            let Some(theirs) = others.filter(is_new).max_by_key(|other| other.created_at) else {
                return Ok(Deployed::done(definition, to));
            };
            info!(
                definition = theirs.task_definition_arn,
                "deployed in the meantime, so it's deployed again"
            );
            base = deployments.iter().find(|d| d.is_primary).map(|d| d.id.clone()).unwrap_or_default();
            must_go_back = true;
            if self.replace(&mut definition, theirs, wanted).await?.is_some() {
                return Ok(Deployed::done(definition, to));
            }
        }
        Err(ServiceError::Unsettled)
    }

    /// Replaces the definition to copy with the one that was deployed in the meantime. If that was a copy of the same
    /// definition, which another invocation deployed, there is nothing left to do.
    async fn replace(
        &self,
        definition: &mut TaskDefinition,
        theirs: &Deployment,
        wanted: Wanted<'_>,
    ) -> Result<Option<Deployed>, ServiceError> {
        let theirs = self.definitions.get(&theirs.task_definition_arn).await?;
        if wanted.publication(&theirs)? == Publication::UpToDate
            && theirs.is_same_except_for_secrets(definition, wanted.container)
        {
            return Ok(Some(Deployed::done(definition.clone(), theirs)));
        }
        *definition = theirs;
        Ok(None)
    }
}
