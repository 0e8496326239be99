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
    /// A login is published, and the one from before ends now, with its sessions.
    LoginPublished(Ended),
}

/// What the event about a login says.
pub const LOGIN_PUBLISHED: &str = "The app login was rotated immediately. Now the login from before is disabled, and its sessions are \
                                   ended. Containers with it can't connect until they're replaced.";

/// Which rebuild it is.
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
            Fact::LoginPublished(_) => "Stage Login Published",
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
            Fact::RebuildComplete(ended) | Fact::RebuildFailed(ended) | Fact::LoginPublished(ended) => {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use time::macros::datetime;

    use super::*;

    fn event(phase: Phase, reason: &str, at: OffsetDateTime, fact: Fact) -> StageEvent {
        let stage = Stage { stack: "test-django2".try_into().unwrap(), stage: "dev".try_into().unwrap() };
        let stage_stack_id = "arn:stack".to_owned();
        StageEvent { stage, stage_stack_id, phase, reason: reason.to_owned(), at, fact }
    }

    /// A test of the local AWS checks that the samples match the schema.
    #[test]
    fn every_event_is_like_its_sample() {
        let ended =
            || Ended { operation: "2026-11-27T13:55:01.123Z".to_owned(), source: "created".to_owned() };
        let text = |text: &str| text.to_owned().try_into().unwrap();
        let cluster = "demo".to_owned().try_into().unwrap();
        let service = Service { cluster, name: text("test-django2-dev"), container: text("web") };
        let at = datetime!(2026-11-27 14:03:11 UTC);
        let family = "test-django2-dev".to_owned();
        let restoration = Restoration { family, from: 57, to: 58, at };
        let story = restoration.in_words();
        let samples = [
            (
                "rebuild-complete.json",
                event(
                    Phase::Complete,
                    "The containers have the variables of the stage's database.",
                    datetime!(2026-11-27 14:05:40 UTC),
                    Fact::RebuildComplete(ended()),
                ),
            ),
            (
                "rebuild-failed.json",
                event(
                    Phase::RolledBack,
                    "RDS refused: the instance class isn't available (InsufficientDBInstanceCapacity)",
                    datetime!(2026-11-27 14:05:40 UTC),
                    Fact::RebuildFailed(ended()),
                ),
            ),
            (
                "variables-restored.json",
                event(Phase::Redeploying, &story, at, Fact::VariablesRestored { service, restoration }),
            ),
            (
                "variables-missing.json",
                event(
                    Phase::Complete,
                    "The job test-django2-dev-migrate lacks PG_HOST, PG_PORT, PG_DATABASE, PG_USER, PG_CREDENTIALS_SECRET.",
                    datetime!(2026-11-27 14:03 UTC),
                    Fact::VariablesMissing,
                ),
            ),
            (
                "login-published.json",
                event(Phase::Redeploying, LOGIN_PUBLISHED, at, Fact::LoginPublished(ended())),
            ),
        ];
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/stagedb");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), samples.len() + 1, "and the schema");
        for (name, event) in samples {
            let sample: Value =
                serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap();
            let detail: Value = serde_json::from_str(&event.detail()).unwrap();
            assert_eq!(
                (event.detail_type(), &detail),
                (sample["detail-type"].as_str().unwrap(), &sample["detail"])
            );
        }
    }
}
