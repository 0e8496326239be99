//! The events that stagedb puts on the account's default event bus, for the users' own automation. They state facts.
//! Their schema is in `events/stagedb/schema.json`.

use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{Phase, Restoration, Service, Stage};

/// The version of the events' form. A change that could break a consumer gets a new one.
const VERSION: &str = "1";

/// An event about a stage. It never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageEvent {
    /// The stage.
    pub stage: Stage,
    /// The ARN of its stack.
    pub stage_stack_id: String,
    /// How far the stage's last rebuild is.
    pub phase: Phase,
    /// What happened, for people.
    pub reason: String,
    /// When.
    pub at: OffsetDateTime,
    /// What it's about.
    pub fact: Fact,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A rebuild ended: all containers have what they should have.
    RebuildComplete(Ended),
    /// A rebuild failed.
    RebuildFailed(Ended),
    /// A service was deployed without its variables, and has them again.
    VariablesRestored {
        /// The service.
        service: Service,
        /// The revisions.
        restoration: Restoration,
    },
    /// A user found services or jobs of the stage without their variables.
    VariablesMissing,
}

/// Which rebuild ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When the operation of the stage stack started. It's different for each rebuild, so it tells repeats apart.
    pub operation: String,
    /// Where the stage's database comes from: `none`, `created`, or `attached`.
    pub source: String,
}

impl StageEvent {
    /// The detail type.
    #[must_use]
    pub fn detail_type(&self) -> &'static str {
        match self.fact {
            Fact::RebuildComplete(_) => "Stage Rebuild Complete",
            Fact::RebuildFailed(_) => "Stage Rebuild Failed",
            Fact::VariablesRestored { .. } => "Stage Variables Restored",
            Fact::VariablesMissing => "Stage Variables Missing",
        }
    }

    /// The detail, as JSON.
    #[must_use]
    pub fn detail(&self) -> String {
        let mut detail = Map::new();
        let mut say = |name: &str, value: Value| detail.insert(name.to_owned(), value);
        say("version", json!(VERSION));
        say("stack", json!(self.stage.stack.as_ref()));
        say("stage", json!(self.stage.stage.as_ref()));
        say("phase", json!(self.phase));
        say("reason", json!(self.reason));
        say("time", json!(self.at.format(&Rfc3339).unwrap_or_default()));
        match &self.fact {
            Fact::RebuildComplete(ended) | Fact::RebuildFailed(ended) => {
                say("operation", json!(ended.operation));
                say("source", json!(ended.source));
            }
            Fact::VariablesRestored { service, restoration: Restoration { family, from, to, .. } } => {
                let (cluster, name) = service.key();
                say("cluster", json!(cluster));
                say("service", json!(name));
                say("deployed", json!(format!("{family}:{from}")));
                say("restored", json!(format!("{family}:{to}")));
            }
            Fact::VariablesMissing => {}
        }
        Value::Object(detail).to_string()
    }
}
