//! One event for one function, whatever it says, in a world where a stage is registered and AWS is well.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    functions::{Kind, invoke},
    history,
    plan::{Plan, Weather},
    services::stacks::StackEvent,
    world::{Invariant, Model, Violation, What},
};

/// What became of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivered {
    /// What the function returned; `None`: an error, which Lambda would count and try again.
    pub returned: Option<Value>,
    /// How many answers were put where CloudFormation waits for them, by the function and by what it began.
    pub answers: u64,
    /// Panics and leaks.
    pub wrong: Vec<String>,
    /// A call that the model does not know, and so refused.
    pub beyond_the_model: bool,
}

/// Delivers an event once, and waits until everything that it began has come to its end.
///
/// # Panics
/// The model itself is broken.
#[must_use]
pub fn deliver(kind: Kind, event: &Value) -> Delivered {
    crate::log::Log::install();
    crate::log::take_leak();
    fastrand::seed(0);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let plan = Plan { seed: 0, steps: Vec::new(), faults: Vec::new(), weather: Weather::default() };
        let model = Model::new(plan, None, false);
        history::register(&model).await;
        let now = model.now();
        model.world().stacks.delivered = waiting(event, now);
        let before = model.world().requests.arrived;
        let returned = invoke(&model, kind, event, 0, false).await.ok();
        model.quiet(&[What::Work, What::Delivery]).await;
        wrong(&model, before, returned)
    })
}

/// What shows that CloudFormation waits for the request in an event: the functions do nothing for one that it does not.
pub(crate) fn waiting(event: &Value, at: u64) -> Option<StackEvent> {
    let request = [event, &event["request"]].into_iter().find(|form| form["RequestType"].is_string())?;
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let status = format!("{}_IN_PROGRESS", text("RequestType").to_uppercase());
    let ids = (text("LogicalResourceId"), text("PhysicalResourceId"));
    Some(StackEvent::new(at, ids, &status, "", None, Some(&request["ResourceProperties"])))
}

fn wrong(model: &Arc<Model>, before: u64, returned: Option<Value>) -> Delivered {
    let mut world = model.world();
    world.warm.clear();
    // That an event is given up which nobody can be answered for is as it should be.
    let counts = |found: &&Violation| {
        found.invariant == Invariant::NothingLeaks
            || (found.invariant == Invariant::Handled && found.words.contains("panicked"))
    };
    let mut wrong: Vec<_> = world.violations.iter().filter(counts).map(ToString::to_string).collect();
    let beyond_the_model = world.violations.iter().any(|found| found.invariant == Invariant::KnownCalls);
    if crate::log::take_leak().is_some() {
        wrong.push("a secret in a log".to_owned());
    }
    Delivered { returned, answers: world.requests.arrived - before, wrong, beyond_the_model }
}
