//! The rules that let a stage's services and jobs connect to its database, as one resource of the stage stack.
//!
//! It doesn't use the native `AWS::EC2::SecurityGroupIngress`, because EC2 has each rule only once. A second stage with
//! the same database would fail, removing the first stage would cut off the others, and an existing rule would be in
//! the way. The rules are read again at every step (`database::access_steps`), so a repeat or a crash does no harm.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws::{AwsError, SdkConfig, SecurityGroups, TAG_ATTACHABLE, TurnError, Turns};
use custom_resource::{Addressee, AnswerError, InvalidRequest, Outcome, Request, RequestType, Responder};
use database::{AccessStep, After, Claimant, QUIET, Stage, Wanted};
use lambda::Invocation;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tracing::{Instrument, error};

/// The maximum number of rounds of steps: enough to create or claim the rules and give up others, with room for other
/// stages' changes.
const ROUNDS: usize = 40;
/// How long to wait after a change in EC2, or for another stage that's about to give up a rule.
const PAUSE: Duration = Duration::from_secs(1);

/// The requests that must be over before a stage's rules are changed.
const BEFORE: &[After] = &[After::Any("Access")];

/// What the function needs.
#[derive(Debug)]
pub struct AccessResource {
    groups: SecurityGroups,
    turns: Turns,
    responder: Responder,
}

impl AccessResource {
    /// Creates the function's clients.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            groups: SecurityGroups::new(config),
            turns: Turns::new(config),
            responder: Responder::new(config.http_client()),
        }
    }
}

/// Handles one CloudFormation event.
///
/// # Errors
/// The event doesn't say where to send the answer, or the answer couldn't be delivered.
pub async fn handle(resource: Arc<AccessResource>, invocation: Invocation) -> Result<(), AnswerError> {
    let now = invocation.now;
    let work = |addressee: Addressee, request: Request| {
        let resource = Arc::clone(&resource);
        if let Ok(stage) = request.properties.stage() {
            lambda::log_stage(&stage.stack, &stage.stage);
        }
        async move { Some(resource.outcome(&addressee, &request, now).await) }.in_current_span()
    };
    custom_resource::answer(
        &invocation.event,
        invocation.time_left,
        &resource.responder,
        Request::physical_id,
        work,
    )
    .await
}

/// Why the services can't connect.
#[derive(Debug, Error)]
enum AccessError {
    #[error("The request isn't valid: {0}.")]
    Invalid(#[from] InvalidRequest),
    #[error("EC2 refused a rule that lets a service connect: {} ({}){}", .0.message, .0.code, hint(.0))]
    Aws(#[from] AwsError),
    #[error("{0}.")]
    Turn(#[from] TurnError),
    #[error("Something else keeps changing the rules of the database's security group. Save again.")]
    Unsettled,
}

fn hint(error: &AwsError) -> String {
    if error.code != "UnauthorizedOperation" {
        return String::new();
    }
    format!(
        ". stagedb may change the rules of an attached database's security group only if the group has the tag \
         {TAG_ATTACHABLE}=true"
    )
}

/// How far the work on the rules is.
#[derive(Debug, Default, Clone, Copy)]
struct Pace {
    rounds: usize,
    /// Since when another stage is about to give up a rule that this one has claimed, and nothing else is left to do.
    left_since: Option<Instant>,
}

impl AccessResource {
    async fn outcome(&self, addressee: &Addressee, request: &Request, now: OffsetDateTime) -> Outcome {
        match self.settle(addressee, request, now).await {
            Ok(()) => Outcome::Success(BTreeMap::new()),
            Err(failure) => {
                error!(error = lambda::chain(&failure), "the services' access wasn't updated");
                Outcome::Failed(failure.to_string())
            }
        }
    }

    /// Takes steps until nothing is left to do, in as many turns as needed.
    async fn settle(
        &self,
        addressee: &Addressee,
        request: &Request,
        now: OffsetDateTime,
    ) -> Result<(), AccessError> {
        let stage = &request.properties.stage()?;
        let wanted = wanted(request)?;
        let wanted = wanted.as_slice();
        let asked = request.asked(addressee, BEFORE);
        // It outlives a turn that is cut short.
        let pace = Mutex::default();
        let work = || self.rounds(stage, wanted, &pace);
        self.turns.take(&addressee.stack_id, &asked, now, work).await?
    }

    /// Takes steps until nothing is left to do.
    async fn rounds(&self, stage: &Stage, wanted: &[Wanted], pace: &Mutex<Pace>) -> Result<(), AccessError> {
        let pace = || pace.lock().unwrap_or_else(PoisonError::into_inner);
        let description = format!("Service of stack {}, stage {}", stage.stack, stage.stage);
        while pace().rounds < ROUNDS {
            let left_since = pace().left_since;
            let is_left = left_since.is_some_and(|since| since.elapsed() >= QUIET);
            let steps = self.groups.step(Claimant::Stage(stage), wanted, &description, is_left).await?;
            if steps.is_empty() {
                return Ok(());
            }
            let waits = steps.iter().all(|step| *step == AccessStep::Wait);
            let left_since = waits.then(|| left_since.unwrap_or_else(Instant::now));
            let rounds = pace().rounds + 1;
            *pace() = Pace { rounds, left_since };
            // EC2 shows a change only after a moment.
            sleep(PAUSE).await;
        }
        Err(AccessError::Unsettled)
    }
}

/// The rules that a request asks for, all in one security group.
fn wanted(request: &Request) -> Result<Vec<Wanted>, InvalidRequest> {
    let properties = &request.properties;
    if request.resource_type != "Custom::PostgresAccess" {
        return Err(InvalidRequest::ResourceType("Custom::PostgresAccess"));
    }
    if request.request_type == RequestType::Delete {
        return Ok(Vec::new());
    }
    let sources = match properties.text("ServiceSecurityGroupIds") {
        Err(InvalidRequest::Missing(_)) => return wanted_by_an_earlier_version(request),
        sources => sources?,
    };
    let group = match properties.text("Source")? {
        "created" => properties.text("DatabaseSecurityGroupId")?,
        // An attached database without a security group needs no rule.
        "attached" if is_none(request, "SecurityGroupId") => return Ok(Vec::new()),
        "attached" => properties.text("SecurityGroupId")?,
        _ => return Ok(Vec::new()),
    };
    sources.split(',').map(|source| rule(request, group, source)).collect()
}

/// A rollback to an earlier version of the template asks with the properties of that version. Its one service needs a
/// rule only for an attached database: for a created one, the rule is part of the database's security group.
fn wanted_by_an_earlier_version(request: &Request) -> Result<Vec<Wanted>, InvalidRequest> {
    let properties = &request.properties;
    if properties.text("Source")? != "attached" || is_none(request, "SecurityGroupId") {
        return Ok(Vec::new());
    }
    let source = properties.text("ServiceSecurityGroupId")?;
    Ok(vec![rule(request, properties.text("SecurityGroupId")?, source)?])
}

fn is_none(request: &Request, name: &'static str) -> bool {
    matches!(request.properties.text(name), Ok("none") | Err(InvalidRequest::Missing(_)))
}

fn rule(request: &Request, group: &str, source: &str) -> Result<Wanted, InvalidRequest> {
    let properties = &request.properties;
    if source.is_empty() {
        let reason = "must be security group IDs, separated by commas".to_owned();
        return Err(InvalidRequest::Invalid { name: "ServiceSecurityGroupIds", reason });
    }
    Ok(Wanted {
        group: group.to_owned(),
        port: properties.port("Port")?,
        source_group: source.to_owned(),
        identifier: properties.text("Identifier")?.to_owned(),
    })
}

#[cfg(test)]
mod tests;
