//! Deploys a copy of a service's task definition with other secrets, without losing what somebody else deploys at the
//! same time.
//!
//! ECS has no conditional update. So somebody can deploy between our look and our deployment, which then puts an older
//! image back. ECS shows it: right after our deployment, theirs is still listed. Then theirs is copied and deployed, and
//! so on until nobody came in between. What is about to be deployed is noted first, because the function can be
//! interrupted: then the next look sees it.
//!
//! A call without a reply may have been made or not. It isn't simply repeated, because a repeat would replace what
//! somebody deployed since then. So every try looks first, and has its own note.
//!
//! Other invocations do the same at the same time, and one of them may have looked before somebody deployed. So a
//! deployment of a copy of what is known to be replaced counts as stagedb's, and not as somebody's.

use std::{mem, slice, time::Duration};

use aws::{AwsError, Deployment, Note, Service, TaskDefinition, newest_first};
use database::{Publication, Restoration, Stage, Target, VariableConflict, publication};
use thiserror::Error;
use time::OffsetDateTime;
use tracing::{info, warn};

use crate::function::{PublishError, PublishVariables};

/// How often a deployment is made again because somebody else deployed in between, or because ECS didn't reply.
const ATTEMPTS: u32 = 5;
/// The pause after the first attempt, if ECS didn't reply. The next ones are longer by as much.
const PAUSE: Duration = Duration::from_secs(1);

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

/// The newest deployment that somebody made.
#[derive(Debug)]
struct Theirs {
    definition: TaskDefinition,
    is_primary: bool,
}

/// What was seen of a service so far.
#[derive(Debug)]
struct Seen {
    /// The IDs of its deployments.
    deployments: Vec<String>,
    /// The task definitions of its deployments before the base. They're read when something was deployed in between.
    definitions: Vec<String>,
    /// Definitions that others replaced.
    replaced: Vec<TaskDefinition>,
}

impl Seen {
    fn new(service: &Service, base: &TaskDefinition) -> Self {
        let definitions = service.deployments.iter().map(|deployment| &deployment.task_definition_arn);
        Self {
            deployments: service.deployments.iter().map(|deployment| deployment.id.clone()).collect(),
            definitions: definitions.filter(|arn| *arn != base.arn()).cloned().collect(),
            replaced: Vec::new(),
        }
    }
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

    /// Whether this may be a copy of one of the others that stagedb made.
    pub(crate) fn is_copy(&self, definition: &TaskDefinition, of: &[TaskDefinition]) -> bool {
        let is_same = |other| definition.is_same_except_for_secrets(other, self.container);
        matches!(self.publication(definition), Ok(Publication::UpToDate)) && of.iter().any(is_same)
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
    pub(crate) async fn base(&self, service: &Service, wanted: Wanted<'_>) -> Result<Base, ServiceError> {
        let deployment = service.primary().map(|primary| primary.id.clone()).unwrap_or_default();
        if let Some((base, since)) = service.since_noted() {
            let base = self.definitions.get(&base.task_definition_arn).await?;
            if let Some(Theirs { definition, .. }) = self.newest(&since, &[base], wanted).await? {
                info!(definition = definition.arn(), "an interrupted deployment replaced this one");
                return Ok(Base { deployment, definition, is_overwritten: true });
            }
        }
        let definition = self.definitions.get(&service.task_definition_arn).await?;
        Ok(Base { deployment, definition, is_overwritten: false })
    }

    /// Deploys the base, or a copy of it with other secrets.
    pub(crate) async fn deploy(
        &self,
        service: &Service,
        base: Base,
        wanted: Wanted<'_>,
    ) -> Result<Deployed, ServiceError> {
        let Base { deployment: mut base, mut definition, is_overwritten: mut must_go_back } = base;
        let mut seen = Seen::new(service, &definition);
        for attempt in 1..=ATTEMPTS {
            let to = match wanted.publication(&definition)? {
                Publication::Conflict(conflicts) if !must_go_back => {
                    return Ok(Deployed::Conflict(conflicts));
                }
                Publication::UpToDate if !must_go_back => {
                    return Ok(Deployed::done(definition.clone(), definition));
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
                must_go_back = true;
                if let Some(theirs) = self.theirs(&mut seen, &now.deployments, wanted).await? {
                    must_go_back = !theirs.is_primary;
                    if !must_go_back && wanted.is_copy(&theirs.definition, slice::from_ref(&definition)) {
                        return Ok(Deployed::done(definition, theirs.definition));
                    }
                    seen.replaced.push(mem::replace(&mut definition, theirs.definition));
                }
                continue;
            }
            let copy = to.arn().to_owned();
            self.services.note(&service.arn, &[Note::Deploying { base: base.clone(), copy }]).await?;
            let deployments = match self.deploy_once(service, &to, &base).await {
                Ok(deployments) => deployments,
                Err(failure) if failure.refused || attempt == ATTEMPTS => return Err(failure.into()),
                Err(failure) => {
                    warn!(service = service.name, error = lambda::chain(&failure), "trying it again");
                    tokio::time::sleep(PAUSE * attempt).await;
                    continue;
                }
            };
            base = deployments.iter().find(|d| d.is_primary).map(|d| d.id.clone()).unwrap_or_default();
            seen.deployments.push(base.clone());
            seen.replaced.push(definition.clone());
            let Some(theirs) = self.theirs(&mut seen, &deployments, wanted).await? else {
                return Ok(Deployed::done(definition, to));
            };
            definition = theirs.definition;
            must_go_back = true;
            info!(definition = definition.arn(), "deployed in the meantime, so it's deployed again");
        }
        Err(ServiceError::Unsettled)
    }

    /// Deploys a definition instead of the base. Without a reply, ECS may have done it, so the service is read. Returns
    /// the deployments right after that.
    async fn deploy_once(
        &self,
        service: &Service,
        to: &TaskDefinition,
        base: &str,
    ) -> Result<Vec<Deployment>, AwsError> {
        match self.services.deploy(service, to.arn()).await {
            Err(failure) if !failure.refused => {
                let now = self.services.service(service.cluster(), &service.name).await?;
                let is_done =
                    |primary: &Deployment| primary.task_definition_arn == to.arn() && primary.id != base;
                let done = now.filter(|now| now.primary().is_some_and(is_done));
                done.map(|now| now.deployments).ok_or(failure)
            }
            result => result,
        }
    }

    /// The newest deployment that somebody made since the last look.
    async fn theirs(
        &self,
        seen: &mut Seen,
        deployments: &[Deployment],
        wanted: Wanted<'_>,
    ) -> Result<Option<Theirs>, ServiceError> {
        let is_new =
            |deployment: &&Deployment| !seen.deployments.contains(&deployment.id) && !deployment.has_failed();
        let new: Vec<_> = newest_first(deployments).into_iter().filter(is_new).collect();
        seen.deployments.extend(new.iter().map(|deployment| deployment.id.clone()));
        if !new.is_empty() {
            for definition in mem::take(&mut seen.definitions) {
                seen.replaced.push(self.definitions.get(&definition).await?);
            }
        }
        self.newest(&new, &seen.replaced, wanted).await
    }

    /// The newest of these deployments that isn't a copy of something that was replaced.
    async fn newest(
        &self,
        deployments: &[&Deployment],
        replaced: &[TaskDefinition],
        wanted: Wanted<'_>,
    ) -> Result<Option<Theirs>, ServiceError> {
        for deployment in deployments {
            let definition = self.definitions.get(&deployment.task_definition_arn).await?;
            if !wanted.is_copy(&definition, replaced) {
                return Ok(Some(Theirs { definition, is_primary: deployment.is_primary }));
            }
        }
        Ok(None)
    }
}
