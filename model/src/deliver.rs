//! One event for one function, whatever it says, in a world where a stage is registered and AWS is well.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    functions::{Kind, invoke},
    history,
    plan::Plan,
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
    let runtime = history::timeless();
    runtime.block_on(async {
        let plan = Plan::calm();
        let model = Model::new(plan, None, false);
        history::register_at_rest(&model, 1).await;
        let now = model.now();
        model.world().stacks.delivered = waiting(event, now);
        let before = model.world().requests.arrived;
        let returned = invoke(&model, kind, event.clone(), 0, false).await.ok();
        model.quiet(&[What::Work, What::Delivery]).await;
        wrong(&model, before, returned)
    })
}

/// What shows that CloudFormation waits for the request in an event: the functions do nothing for one that it does not.
pub(crate) fn waiting(event: &Value, at: u64) -> Option<StackEvent> {
    let request = [event, &event["request"]].into_iter().find(|form| form["RequestType"].is_string())?;
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let status = format!("{}_IN_PROGRESS", text("RequestType").to_uppercase());
    let ids = (text("LogicalResourceId"), None);
    Some(StackEvent::new(at, ids, &status, "", None, Some(&request["ResourceProperties"].to_string())))
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

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use aws::{TurnError, Turns};
    use database::{Asked, QUIET};
    use serde_json::json;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::{
        connector::Seat,
        functions::{Process, config},
    };

    /// A request that CloudFormation waits for, and turns at it.
    fn at_work<F: Future>(test: impl FnOnce(Arc<Model>, Turns, Asked) -> F) {
        let runtime = history::timeless();
        runtime.block_on(async {
            let plan = Plan::calm();
            let model = Model::new(plan, None, false);
            let event = json!({
                "RequestType": "Update", "LogicalResourceId": "Connection", "ResourceProperties": {"Rebuild": "one"},
            });
            let now = model.now();
            model.world().stacks.delivered = waiting(&event, now);
            let turns = Turns::new(&config(&Seat::of(&model, &Process::new(Kind::CredentialsResource))));
            let asked = Asked {
                logical_id: "Connection".to_owned(),
                status: "UPDATE_IN_PROGRESS",
                properties: [("Rebuild".to_owned(), "one".to_owned())].into(),
                old_properties: std::collections::BTreeMap::default(),
                after: &[],
            };
            test(model, turns, asked).await;
        });
    }

    #[test]
    fn work_that_takes_longer_than_a_turn_is_dropped_and_begun_again_before_another_request_begins() {
        at_work(async |model, turns, asked| {
            let (began, ended) = (Cell::new(0), Cell::new(0));
            let called = Instant::now();
            let work = || async {
                began.set(began.get() + 1);
                // AWS is slow, once.
                sleep(Duration::from_secs(if began.get() == 1 { 60 } else { 1 })).await;
                ended.set(ended.get() + 1);
                called.elapsed()
            };
            let took = turns.take("stack", &asked, model.clock.date(), work).await.unwrap();
            assert_eq!((began.get(), ended.get()), (2, 1));
            assert!(took < QUIET, "{took:?}");
        });
    }

    #[test]
    fn nothing_is_done_for_a_request_that_cloudformation_does_not_wait_for() {
        at_work(async |model, turns, asked| {
            let other = Asked { properties: [("Rebuild".to_owned(), "two".to_owned())].into(), ..asked };
            let worked = Cell::new(false);
            let work = || async { worked.set(true) };
            let taken = turns.take("stack", &other, model.clock.date(), work).await;
            assert!(matches!(taken, Err(TurnError::Over)), "{taken:?}");
            assert!(!worked.get());
        });
    }
}
