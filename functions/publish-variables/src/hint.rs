//! What an event is a hint about. Events repeat and arrive out of order, so everything else is read from AWS.

use database::{StackName, Stage, StageName, service_in_arn};
use serde_json::Value;
use tracing::info;

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// An operation of the stack with this ARN ended.
    Stack(String),
    /// A service was deployed.
    Deployment {
        /// The ARN of the service.
        service: String,
        /// Whether the deployment has just started, and not ended.
        has_started: bool,
    },
    /// A user found services or jobs of this stage without their variables.
    Missing(Stage),
    /// Nothing of ours.
    Ignored(&'static str),
}

/// What an event is a hint about. `None` if it isn't an event that a rule of ours delivers.
#[must_use]
pub fn hint(event: &Value) -> Option<Hint> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    match (text("/source")?, text("/detail-type")?) {
        ("aws.cloudformation", _) => text("/detail/stack-id").map(|id| Hint::Stack(id.to_owned())),
        ("aws.ecs", "ECS Deployment State Change") => Some(deployment(event)),
        ("stagedb", "Stage Variables Missing") => {
            let stage = || {
                let stack = StackName::try_from(text("/detail/stack")?).ok()?;
                Some(Stage { stack, stage: StageName::try_from(text("/detail/stage")?).ok()? })
            };
            Some(stage().map_or(Hint::Ignored("the event doesn't name a stage"), Hint::Missing))
        }
        _ => None,
    }
}

fn deployment(event: &Value) -> Hint {
    let service = event.pointer("/resources/0").and_then(Value::as_str).unwrap_or_default();
    if service_in_arn(service).is_none() {
        return Hint::Ignored("the event doesn't name a service with its cluster");
    }
    match event.pointer("/detail/eventName").and_then(Value::as_str) {
        Some("SERVICE_DEPLOYMENT_IN_PROGRESS") => {
            Hint::Deployment { service: service.to_owned(), has_started: true }
        }
        Some("SERVICE_DEPLOYMENT_COMPLETED" | "SERVICE_DEPLOYMENT_FAILED") => {
            Hint::Deployment { service: service.to_owned(), has_started: false }
        }
        _ => Hint::Ignored("the event isn't about a deployment"),
    }
}

/// An event about something that isn't ours. A metric counts these lines.
pub(crate) fn ignored(why: &'static str) {
    info!(ignored = why, "an event was ignored");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WEB: &str = "arn:aws:ecs:us-east-1:123456789012:service/demo/web";

    fn ecs(resources: &Value, name: &str) -> Value {
        json!({
            "source": "aws.ecs", "detail-type": "ECS Deployment State Change", "resources": resources,
            "detail": {"eventName": name},
        })
    }

    #[test]
    fn a_deployment_event_names_its_service_and_whether_it_started() {
        for (name, has_started) in [
            ("SERVICE_DEPLOYMENT_IN_PROGRESS", true),
            ("SERVICE_DEPLOYMENT_COMPLETED", false),
            ("SERVICE_DEPLOYMENT_FAILED", false),
        ] {
            let expected = Hint::Deployment { service: WEB.to_owned(), has_started };
            assert_eq!(hint(&ecs(&json!([WEB]), name)), Some(expected));
        }
    }

    #[test]
    fn a_malformed_event_is_ignored_and_not_an_error() {
        let started = "SERVICE_DEPLOYMENT_IN_PROGRESS";
        for event in [
            ecs(&json!([]), started),
            ecs(&json!(null), started),
            ecs(&json!([7]), started),
            ecs(&json!([""]), started),
            ecs(&json!(["arn:aws:ecs:us-east-1:123456789012:service/web"]), started),
            ecs(&json!(["arn:aws:ecs:us-east-1:123456789012:service//web"]), started),
            ecs(&json!(["arn:aws:ecs:us-east-1:123456789012:service/demo/web/more"]), started),
            ecs(&json!(["arn:aws:ecs:us-east-1:123456789012:task/demo/web"]), started),
            ecs(&json!([WEB]), "SOMETHING_NEW"),
            json!({"source": "stagedb", "detail-type": "Stage Variables Missing", "detail": {"stack": "Shop"}}),
        ] {
            assert!(matches!(hint(&event), Some(Hint::Ignored(_))), "{event}");
        }
        for event in [json!({}), json!(7), json!({"source": "aws.rds", "detail-type": "x"})] {
            assert_eq!(hint(&event), None, "{event}");
        }
    }
}
