//! Records in the history of a stage how its changes ended, and what was changed outside of stagedb: a stack that someone
//! updated, a service that was deployed without its variables, an instance that someone modified or deleted.
//!
//! A record has the ID of its event, so an event that is delivered twice is recorded once.

mod hint;

use std::sync::Arc;

use aws::{
    AwsError, Databases, HistoryLog, Lookup, Protections, SdkConfig, Services, Stacks, StageServices,
    StageStack,
};
use database::{
    Entry, InvalidParameter, Outcome, Publication, Record, Registration, Settings, StackStatus, Stage, ends,
    is_request_token, lacks_in_words, missing_variables, outside_changes, publication, was_running,
};
pub use hint::{About, Event};
use lambda::Invocation;
use thiserror::Error;
use time::{Duration, OffsetDateTime};
use tracing::info;

/// What the function needs.
#[derive(Debug)]
pub struct RecordChanges {
    stacks: Stacks,
    services: Services,
    stage_services: StageServices,
    databases: Databases,
    history: HistoryLog,
    protections: Protections,
}

/// Why an event wasn't handled. Lambda retries, and then sends the event to the dead-letter queue.
#[derive(Debug, Error)]
pub enum RecordError {
    /// Not an event that a rule of ours delivers.
    #[error("the event isn't about a stack, a service, or an instance")]
    Unknown,
    /// The stack's events don't show the end yet. A retry sees it.
    #[error("the stage stack's events don't show the end of the operation yet")]
    NotShown,
    /// A parameter of the stack can't be read.
    #[error("the stage stack can't be read")]
    Parameter(#[from] InvalidParameter),
    /// AWS didn't reply, or refused.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// Handles one event.
///
/// # Errors
/// See [`RecordError`].
pub async fn handle(function: Arc<RecordChanges>, invocation: Invocation) -> Result<(), RecordError> {
    let event = Event::read(&invocation.event).ok_or(RecordError::Unknown)?;
    let recorded: Option<(Stage, Entry)> = match &event.about {
        About::Stack { id, token } => function.of_stack(id, token.as_deref(), event.at).await?,
        About::Deployment { cluster, service } => function.of_deployment(cluster, service).await?,
        About::Instance { identifier, kind, message } => {
            function.of_instance(identifier, kind, message.as_ref(), event.at).await?
        }
        About::Restored { stage, what } => {
            Some((stage.clone(), Entry::Outside { what: what.clone(), changes: Vec::new() }))
        }
        About::Nothing => None,
    };
    if let Some((stage, entry)) = recorded {
        lambda::log_stage(&stage.stack, &stage.stage);
        // At most 14 days old, or CloudWatch Logs would reject it. An event is at most 4 hours old.
        let record = Record { id: event.id, at: event.at, entry };
        function.history.write(Some(&stage), &record).await?;
        info!("recorded");
    }
    Ok(())
}

type Recorded = Option<(Stage, Entry)>;

impl RecordChanges {
    /// Creates the function's clients.
    #[must_use]
    pub fn new(config: &SdkConfig, log_group: String) -> Self {
        Self {
            stacks: Stacks::new(config),
            services: Services::new(config),
            stage_services: StageServices::new(config),
            databases: Databases::new(config),
            history: HistoryLog::new(config, log_group),
            protections: Protections::new(config),
        }
    }

    /// An operation of a stack ended.
    async fn of_stack(
        &self,
        id: &str,
        token: Option<&str>,
        at: OffsetDateTime,
    ) -> Result<Recorded, RecordError> {
        let Lookup::Found(stack) = self.stacks.stack(id).await? else { return Ok(None) };
        if stack.status == StackStatus::Deleted {
            self.end_protection(&stack).await?;
        }
        let Some(token) = token.filter(|token| is_request_token(token)) else {
            let what = "The stage stack was changed with CloudFormation.".into();
            return Ok(Some((stack.stage, Entry::Outside { what, changes: Vec::new() })));
        };
        let (events, _) = self.stacks.events_since(&stack.id, at - LONGEST_OPERATION).await?;
        let mut ended = ends(&events).into_iter().filter(|end| end.outcome != Outcome::Running);
        let end = ended.rfind(|end| end.token.as_ref() == token).ok_or(RecordError::NotShown)?;
        Ok(Some((stack.stage, Entry::Ended(end))))
    }

    /// A stage that is registered again starts without protection. Only once the stack is gone, because a deletion can fail.
    async fn end_protection(&self, deleted: &StageStack) -> Result<(), RecordError> {
        let stage = &deleted.stage;
        let now = self.stacks.stack(&stage.stage_stack_name()).await?;
        let is_gone = !matches!(now, Lookup::Found(now) if now.status != StackStatus::Deleted);
        if is_gone && self.protections.is_protected(stage).await? {
            self.protections.protect(stage, false, "deletion").await?;
        }
        Ok(())
    }

    /// A service was deployed, perhaps without its variables.
    async fn of_deployment(&self, cluster: &str, name: &str) -> Result<Recorded, RecordError> {
        let Some(service) = self.services.service(cluster, name).await? else { return Ok(None) };
        let Some(owner) = service.owner() else { return Ok(None) };
        let Lookup::Found(stack) = self.stacks.stack(&owner.stage_stack_name()).await? else {
            return Ok(None);
        };
        // During an operation, services don't have the variables yet. If stagedb restores them, its own event says so.
        if stack.stage != owner || !stack.is_at_rest() || !stack.has_database() {
            return Ok(None);
        }
        let registration = Registration::from_parameters(&stack.parameters)?;
        if registration.restores {
            return Ok(None);
        }
        let Some(registered) = registration.service(&service.arn).cloned() else { return Ok(None) };
        let seen = self.stage_services.look(std::slice::from_ref(&registered)).await?;
        let live = seen.into_iter().find_map(|seen| seen.live);
        let variables = live.and_then(|(_, definition)| definition.container(registered.container.as_ref()));
        let variables = variables.unwrap_or_default();
        let secret_name = owner.secret_name();
        if !matches!(publication(&variables, &secret_name, &stack.target()), Publication::Change(_)) {
            return Ok(None);
        }
        let lacks = lacks_in_words(&missing_variables(&variables, &secret_name));
        let what = format!("The service {cluster}/{name} was deployed without {lacks}.").as_str().into();
        Ok(Some((stack.stage, Entry::Outside { what, changes: Vec::new() })))
    }

    /// RDS reported something about an instance, perhaps of a stage.
    async fn of_instance(
        &self,
        identifier: &str,
        kind: &str,
        message: &str,
        at: OffsetDateTime,
    ) -> Result<Recorded, RecordError> {
        let Some(name) = Stage::stage_stack_of(identifier) else { return Ok(None) };
        let Lookup::Found(stack) = self.stacks.stack(name).await? else { return Ok(None) };
        let Settings::Created(settings) =
            Settings::from_parameters(|name| Ok::<_, InvalidParameter>(stack.parameters.get(name).cloned()))?
        else {
            return Ok(None);
        };
        let events = self.stacks.events(&stack.id, None).await?;
        let operations = ends(&events);
        if stack.stage.identifier() != identifier || was_running(&operations, at, Duration::ZERO) {
            return Ok(None);
        }
        let live = self.databases.instance(identifier).await?;
        let mut changes = live.as_ref().map(|live| outside_changes(&settings, live)).unwrap_or_default();
        // Not what an earlier event was about.
        changes.retain(|change| changed_by(kind) == Some(change.setting.as_ref()));
        let is_ours = |changed_at: OffsetDateTime| kind == PASSWORD && (at - changed_at).abs() < OURS_WITHIN;
        let is_of_someone = ALWAYS.contains(&kind)
            && !was_running(&operations, at, REPORTED_WITHIN)
            && !live.and_then(|live| live.password_changed_at).is_some_and(is_ours);
        if changes.is_empty() && !is_of_someone {
            return Ok(None);
        }
        Ok(Some((stack.stage, Entry::Outside { what: message.into(), changes })))
    }
}

/// The setting that an event of RDS is about.
fn changed_by(kind: &str) -> Option<&'static str> {
    match kind {
        "RDS-EVENT-0014" => Some("instanceClass"),
        "RDS-EVENT-0017" => Some("storageGiB"),
        "RDS-EVENT-0025" | "RDS-EVENT-0029" => Some("multiAz"),
        "RDS-EVENT-0028" | "RDS-EVENT-0032" => Some("backupRetentionDays"),
        _ => None,
    }
}

/// How long an operation can take.
const LONGEST_OPERATION: Duration = Duration::hours(12);
/// RDS can report what an operation did a little after its end.
const REPORTED_WITHIN: Duration = Duration::seconds(15);
/// The events that no change of a setting leads to: deletion, a new password, stopping, and starting. RDS also starts an
/// instance that has been stopped for seven days.
const ALWAYS: [&str; 4] = ["RDS-EVENT-0003", PASSWORD, "RDS-EVENT-0087", "RDS-EVENT-0088"];
/// The event about a new password.
const PASSWORD: &str = "RDS-EVENT-0016";
/// How long after its start a change of the password is stagedb's own.
const OURS_WITHIN: Duration = Duration::minutes(15);
