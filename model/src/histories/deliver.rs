//! Delivers one event to one function, whatever it contains, in a world with a registered stage and a healthy AWS.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    base::{
        invariant::{Invariant, Violation},
        kind::Kind,
    },
    engine::{
        begin::begin,
        functions::{self, invoke},
    },
    histories::history,
    plans::plan::Plan,
    services::stacks::StackEvent,
    world::model::{Model, What, World},
};

/// The result of delivering an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivered {
    /// What the function returned. `None` means an error, which Lambda would count and retry.
    pub returned: Option<Value>,
    /// The number of answers sent to CloudFormation, by the function and by everything that it started.
    pub answers: u64,
    /// Panics and leaks.
    pub wrong: Vec<String>,
    /// Whether there was a call that the model doesn't know, and so rejected.
    pub beyond_the_model: bool,
}

/// Delivers an event once, and waits until everything that it started has finished.
///
/// # Panics
/// If the model itself has a bug.
#[must_use]
pub fn deliver(kind: Kind, event: &Value) -> Delivered {
    crate::world::log::Log::install();
    crate::world::log::take_leak();
    let runtime = history::timeless();
    runtime.block_on(async {
        let plan = Plan::calm();
        let model = Model::within(World::new(), plan, None, u64::MAX, begin);
        history::register_at_rest(&model, 1).await;
        let now = model.now();
        model.world().stacks.delivered = StackEvent::waiting(event, now);
        let before = model.world().requests.arrived;
        let returned = invoke(&model, kind, event.clone(), 0, false).await.ok();
        model.quiet(&[What::Work, What::Delivery]).await;
        let delivered = wrong(&model, before, returned);
        functions::end();
        delivered
    })
}

fn wrong(model: &Arc<Model>, before: u64, returned: Option<Value>) -> Delivered {
    let world = model.world();
    // It's correct to drop an event if there is no one to answer.
    let counts = |found: &&Violation| {
        found.invariant == Invariant::NothingLeaks
            || (found.invariant == Invariant::Handled && found.words.contains("panicked"))
    };
    let mut wrong: Vec<_> = world.violations.iter().filter(counts).map(ToString::to_string).collect();
    let beyond_the_model = world.violations.iter().any(|found| found.invariant == Invariant::KnownCalls);
    if crate::world::log::take_leak().is_some() {
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
        engine::{connector::Seat, functions::config},
        world::process::Process,
    };

    /// Runs a test with a request that CloudFormation is waiting for, and turns for working on it.
    fn at_work<F: Future>(test: impl FnOnce(Arc<Model>, Turns, Asked) -> F) {
        let runtime = history::timeless();
        runtime.block_on(async {
            let plan = Plan::calm();
            let model = Model::within(World::new(), plan, None, u64::MAX, begin);
            let event = json!({
                "RequestType": "Update", "LogicalResourceId": "Connection", "ResourceProperties": {"Rebuild": "one"},
            });
            let now = model.now();
            model.world().stacks.delivered = StackEvent::waiting(&event, now);
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
                // AWS is slow the first time.
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
