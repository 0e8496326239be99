//! EventBridge: delivers events at least once, in any order, and sometimes days late.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    base::{
        clock::{self, pass},
        invariant::Invariant,
        kind::Kind,
    },
    engine::{functions::invoke_later, planted},
    services::template::Template,
    world::{log::leaks, model::Model},
};

/// Delivers an event to a function.
pub(crate) fn deliver(model: &Arc<Model>, kind: Kind, event: &Value) {
    let mut random = model.random("event");
    let (weather, settled) = (model.plan.weather, model.world().settled);
    let copies = if !settled && random.chance(weather.twice) { 2 } else { 1 };
    for _ in 0..copies {
        let delay = if !settled && random.chance(weather.late) {
            match random.weighted(&[6, 3, 1]) {
                0 => random.within(1_000, 120_000),
                1 => random.within(60_000, 4 * 3_600_000),
                _ => random.within(3_600_000, 3 * 24 * 3_600_000),
            }
        } else {
            random.within(50, 1500)
        };
        // An event whose handler answers CloudFormation is only useful within minutes (the rule retries for an hour).
        let delay = if kind == Kind::DatabaseResource { delay.min(100_000) } else { delay };
        let (model, event) = (Arc::clone(model), event.clone());
        let busy = if delay < 10_000 { model.working() } else { model.delivering() };
        tokio::spawn(async move {
            pass(delay).await;
            invoke_later(&model, kind, &event);
            drop(busy);
        });
    }
}

/// The functions put events on the default bus. Those that a rule of ours matches are delivered.
pub(crate) fn put(model: &Arc<Model>, body: &Value) {
    for entry in body["Entries"].as_array().into_iter().flatten() {
        if leaks(&entry.to_string()) {
            model.violated(Invariant::NothingLeaks, "a secret in an event");
        }
        model.note(|| format!("  event {} {}", entry["DetailType"], entry["Detail"]));
        let is_of = |event: &str| {
            let rule = format!("/Resources/{event}/Properties/Pattern/detail-type");
            let types = Template::application().at(&rule).as_array().cloned().unwrap_or_default();
            types.contains(&entry["DetailType"])
        };
        let kind = if is_of("PublishVariables/Properties/Events/VariablesMissing") {
            Kind::PublishVariables
        } else if is_of("DatabaseResource/Properties/Events/RebuildEnded") {
            Kind::DatabaseResource
        } else {
            continue;
        };
        let detail: Value =
            serde_json::from_str(entry["Detail"].as_str().unwrap_or_default()).unwrap_or_default();
        let event = json!({
            "version": "0", "id": format!("event-{}", model.issue()), "source": entry["Source"],
            "detail-type": entry["DetailType"], "time": clock::text(model.now()), "resources": entry["Resources"],
            "detail": detail,
        });
        deliver(model, kind, &event);
    }
}

/// Sends the event for a changed stack status.
pub(crate) fn stack_changed(model: &Arc<Model>, stack_id: &str, status: &str) {
    let rule = "/Resources/PublishVariables/Properties/Events/StackStatusChange/Properties/Pattern/detail/status-details/status";
    let template = Template::application();
    let statuses = template.at(rule).as_array();
    if !statuses.is_some_and(|statuses| statuses.iter().any(|listed| listed == status)) {
        return;
    }
    let event = json!({
        "version": "0", "id": format!("event-{}", model.issue()), "source": "aws.cloudformation",
        "detail-type": "CloudFormation Stack Status Change", "time": clock::text(model.now()), "resources": [stack_id],
        "detail": {"stack-id": stack_id, "status-details": {"status": status, "status-reason": ""}},
    });
    if leaks(&event.to_string()) {
        model.violated(Invariant::NothingLeaks, "a secret in an event");
    }
    planted::stack_changed(model, &event);
    deliver(model, Kind::PublishVariables, &event);
}
