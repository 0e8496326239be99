//! What an event says. Events repeat and arrive late, so everything that is recorded is compared with AWS first.

use database::{Clean, StackName, Stage, StageName, service_in_arn};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// An event that a rule of ours delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its ID, which is the same in every delivery.
    pub id: Clean,
    /// When it happened.
    pub at: OffsetDateTime,
    /// What it's about.
    pub about: About,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// An operation of the stack with this ARN ended.
    Stack {
        /// The ARN.
        id: String,
        /// The token that the operation was started with.
        token: Option<String>,
    },
    /// A deployment of this service started.
    Deployment {
        /// The name of its cluster.
        cluster: String,
        /// Its name.
        service: String,
    },
    /// A service was deployed without its variables, and stagedb restored them.
    Restored {
        /// The stage.
        stage: Stage,
        /// What happened, as a sentence.
        what: Clean,
    },
    /// RDS reported something about a DB instance.
    Instance {
        /// The identifier of the instance.
        identifier: String,
        /// RDS's ID of this kind of event.
        kind: String,
        /// What RDS says.
        message: Clean,
    },
    /// Nothing of ours.
    Nothing,
}

impl Event {
    /// What an event says. `None` if it isn't one that a rule of ours delivers.
    #[must_use]
    pub fn read(event: &Value) -> Option<Self> {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        let about = match (text("/source")?, text("/detail-type")?) {
            ("aws.cloudformation", _) => About::Stack {
                id: text("/detail/stack-id")?.to_owned(),
                token: text("/detail/client-request-token").filter(|t| !t.is_empty()).map(str::to_owned),
            },
            ("aws.ecs", "ECS Deployment State Change") => deployment(event),
            ("stagedb", "Stage Variables Restored") => {
                let stack = StackName::try_from(text("/detail/stack")?).ok()?;
                let stage = Stage { stack, stage: StageName::try_from(text("/detail/stage")?).ok()? };
                let [cluster, service, deployed] =
                    ["/detail/cluster", "/detail/service", "/detail/deployed"].map(text);
                let what = format!(
                    "The service {}/{} was deployed with {}, which lacks the variables. stagedb restored them.",
                    cluster?, service?, deployed?
                );
                About::Restored { stage, what: what.as_str().into() }
            }
            ("aws.rds", "RDS DB Instance Event") => {
                let identifier = text("/detail/SourceIdentifier")?;
                About::Instance {
                    // Some events have it in the API's format, and some with a prefix.
                    identifier: identifier.strip_prefix("rds:").unwrap_or(identifier).to_owned(),
                    kind: text("/detail/EventID")?.to_owned(),
                    message: text("/detail/Message").unwrap_or_default().into(),
                }
            }
            _ => return None,
        };
        let at = OffsetDateTime::parse(text("/detail/Date").or_else(|| text("/time"))?, &Rfc3339).ok()?;
        Some(Self { id: text("/id")?.into(), at, about })
    }
}

fn deployment(event: &Value) -> About {
    let arn = event.pointer("/resources/0").and_then(Value::as_str).unwrap_or_default();
    let has_started =
        event.pointer("/detail/eventName").and_then(Value::as_str) == Some("SERVICE_DEPLOYMENT_IN_PROGRESS");
    match service_in_arn(arn).filter(|_| has_started) {
        Some((cluster, service)) => {
            About::Deployment { cluster: cluster.to_owned(), service: service.to_owned() }
        }
        None => About::Nothing,
    }
}
