//! The rule that lets a stage's service connect to an attached database, as one resource of the stage stack.
//!
//! It doesn't use the native `AWS::EC2::SecurityGroupIngress`, because EC2 has each rule only once. A second stage with
//! the same database would fail, removing the first stage would cut off the others, and an existing rule would be in
//! the way. The rules are read again at every step (`database::access_step`), so a repeat or a crash does no harm.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws::{AwsError, SdkConfig, SecurityGroups, TurnError, Turns};
use custom_resource::{Addressee, AnswerError, InvalidRequest, Outcome, Request, RequestType, Responder};
use database::{AccessStep, After, QUIET, Stage, Wanted, access_step, claim_tag};
use lambda::Invocation;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tracing::{Instrument, error, info};

/// The maximum number of steps: enough to create or claim one rule and give up two, with room for other stages'
/// changes.
const STEPS: usize = 40;
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

/// Why the service can't connect.
#[derive(Debug, Error)]
enum AccessError {
    #[error("The request isn't valid: {0}.")]
    Invalid(#[from] InvalidRequest),
    #[error("EC2 refused the rule that lets the service connect: {} ({})", .0.message, .0.code)]
    Aws(#[from] AwsError),
    #[error("{0}.")]
    Turn(#[from] TurnError),
    #[error("Something else keeps changing the rules of the database's security group. Save again.")]
    Unsettled,
}

/// How far the work on a rule is.
#[derive(Debug, Default, Clone, Copy)]
struct Pace {
    steps: usize,
    /// Since when another stage is about to give up the rule that this one has claimed.
    left_since: Option<Instant>,
}

impl AccessResource {
    async fn outcome(&self, addressee: &Addressee, request: &Request, now: OffsetDateTime) -> Outcome {
        match self.settle(addressee, request, now).await {
            Ok(()) => Outcome::Success(BTreeMap::new()),
            Err(failure) => {
                error!(error = lambda::chain(&failure), "the service's access wasn't updated");
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
        let wanted = &wanted(request)?;
        let asked = request.asked(addressee, BEFORE);
        // It outlives a turn that is cut short.
        let pace = Mutex::default();
        let work = || self.steps(stage, wanted.as_ref(), &pace);
        self.turns.take(&addressee.stack_id, &asked, now, work).await?
    }

    /// Takes steps until nothing is left to do.
    async fn steps(
        &self,
        stage: &Stage,
        wanted: Option<&Wanted>,
        pace: &Mutex<Pace>,
    ) -> Result<(), AccessError> {
        let pace = || pace.lock().unwrap_or_else(PoisonError::into_inner);
        while pace().steps < STEPS {
            let left_since = pace().left_since;
            let is_left = left_since.is_some_and(|since| since.elapsed() >= QUIET);
            let left_since = match self.step(stage, wanted, is_left).await? {
                AccessStep::Done => return Ok(()),
                AccessStep::Wait => left_since.or_else(|| Some(Instant::now())),
                _ => None,
            };
            let steps = pace().steps + 1;
            *pace() = Pace { steps, left_since };
            // EC2 shows a change only after a moment.
            sleep(PAUSE).await;
        }
        Err(AccessError::Unsettled)
    }

    /// Looks at the rules, and takes the next step.
    async fn step(
        &self,
        stage: &Stage,
        wanted: Option<&Wanted>,
        is_left: bool,
    ) -> Result<AccessStep, AwsError> {
        let groups = &self.groups;
        let mut rules = groups.rules_tagged(&claim_tag(stage)).await?;
        if let Some(wanted) = wanted {
            let of_group = groups.rules_of(&[&wanted.group]).await?;
            rules.retain(|rule| rule.group != wanted.group);
            rules.extend(of_group);
        }
        let step = access_step(stage, wanted, &rules, is_left);
        info!(?step, "next step");
        match &step {
            AccessStep::Done | AccessStep::Wait => {}
            AccessStep::Authorize(tags) => {
                // Only a wanted rule is authorized.
                let Some(Wanted { group, port, source_group, .. }) = wanted else { return Ok(step) };
                let description = format!("Service of stack {}, stage {}", stage.stack, stage.stage);
                groups.authorize(group, *port, source_group, &description, tags).await?;
            }
            AccessStep::Tag { id, tags } => groups.tag(id, tags).await?,
            AccessStep::Untag { id, keys } => groups.untag(id, keys).await?,
            AccessStep::Revoke { group, id } => groups.revoke(group, id).await?,
        }
        Ok(step)
    }
}

/// The rule that a request asks for.
fn wanted(request: &Request) -> Result<Option<Wanted>, InvalidRequest> {
    let properties = &request.properties;
    if request.resource_type != "Custom::PostgresAccess" {
        return Err(InvalidRequest::ResourceType("Custom::PostgresAccess"));
    }
    // A database without a security group needs no rule.
    let needs_none = |name| matches!(properties.text(name), Ok("none") | Err(InvalidRequest::Missing(_)));
    if request.request_type == RequestType::Delete
        || properties.text("Source")? != "attached"
        || needs_none("SecurityGroupId")
    {
        return Ok(None);
    }
    let port = properties.number("Port")?;
    Ok(Some(Wanted {
        group: properties.text("SecurityGroupId")?.to_owned(),
        port: u16::try_from(port).map_err(|_| InvalidRequest::Invalid {
            name: "Port",
            reason: "must be a port, 1 to 65535".to_owned(),
        })?,
        source_group: properties.text("ServiceSecurityGroupId")?.to_owned(),
        identifier: properties.text("Identifier")?.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/access-resource")
    }

    fn sample(name: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(folder().join(name)).unwrap()).unwrap()
    }

    fn asked(event: &Value) -> Result<Option<Wanted>, InvalidRequest> {
        wanted(&Request::from_event(event).unwrap())
    }

    #[test]
    fn every_sample_event_asks_for_what_its_name_says() {
        let orders = Wanted {
            group: "sg-0a1b2c3d4e5f60718".to_owned(),
            port: 5433,
            source_group: "sg-0fedcba9876543210".to_owned(),
            identifier: "orders".to_owned(),
        };
        let samples = [
            ("create-without-database.json", None),
            ("update-attach.json", Some(orders)),
            ("update-detach.json", None),
            ("delete.json", None),
        ];
        assert_eq!(std::fs::read_dir(folder()).unwrap().count(), samples.len());
        for (name, expected) in samples {
            assert!(Addressee::from_event(&sample(name)).is_ok(), "{name}");
            assert_eq!(asked(&sample(name)), Ok(expected), "{name}");
        }
    }

    #[test]
    fn a_property_that_is_not_valid_is_named_with_what_is_allowed() {
        for (property, value, expected) in [
            ("Port", json!("none"), "the property Port must be a whole number"),
            ("Port", json!("65536"), "the property Port must be a port, 1 to 65535"),
            ("ServiceSecurityGroupId", json!(null), "the property ServiceSecurityGroupId is missing"),
            ("Identifier", json!(""), "the property Identifier must not be empty"),
        ] {
            let mut event = sample("update-attach.json");
            event["ResourceProperties"][property] = value;
            assert_eq!(asked(&event).unwrap_err().to_string(), expected);
        }
        let mut event = sample("update-attach.json");
        event["ResourceType"] = json!("Custom::PostgresDatabase");
        assert_eq!(asked(&event).unwrap_err().to_string(), "ResourceType must be Custom::PostgresAccess");
    }
}
