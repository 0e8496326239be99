//! Delivers one event to one function, whatever it contains, in a world with a registered stage and a healthy AWS.

use std::{collections::BTreeMap, sync::Arc};

use aws::Turns;
use database::Asked;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{
    base::{
        invariant::{Invariant, Violation},
        kind::Kind,
    },
    engine::{
        begin::begin,
        connector::Seat,
        functions::{self, invoke},
    },
    histories::history,
    plans::plan::Plan,
    services::stacks::StackEvent,
    world::{
        model::{Model, What, World},
        process::Process,
    },
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

/// A request that CloudFormation is waiting for, and what a function works on it with.
#[derive(Debug)]
pub struct AtWork {
    /// The turns of the function's process.
    pub turns: Turns,
    /// The request.
    pub asked: Asked,
    /// The time of the call.
    pub now: OffsetDateTime,
}

/// Runs a test of the turns, in simulated time.
pub fn at_work<F: Future>(test: impl FnOnce(AtWork) -> F) {
    history::timeless().block_on(async {
        let model = Model::within(World::new(), Plan::calm(), None, u64::MAX, begin);
        let event = json!({
            "RequestType": "Update", "LogicalResourceId": "Connection", "ResourceProperties": {"Rebuild": "one"},
        });
        let now = model.now();
        model.world().stacks.delivered = StackEvent::waiting(&event, now);
        let turns = Turns::new(&functions::config(&Seat::of(&model, &Process::new(Kind::CredentialsResource))));
        let asked = Asked {
            logical_id: "Connection".to_owned(),
            status: "UPDATE_IN_PROGRESS",
            properties: [("Rebuild".to_owned(), "one".to_owned())].into(),
            old_properties: BTreeMap::default(),
            after: &[],
        };
        test(AtWork { turns, asked, now: model.clock.date() }).await;
    });
}
