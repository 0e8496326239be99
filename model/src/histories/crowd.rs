//! Many users at once, and a log service that fails: what the history says must be what was started.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    base::{clock::pass, kind::Kind, random::Random},
    engine::{
        begin::begin,
        functions::{self, User, call_api, call_api_as},
    },
    histories::{
        history,
        rest::{ALL, rest},
    },
    plans::{
        fault::{At, Fault, FaultKind},
        plan::Plan,
        point::Point,
    },
    services::{secrets::PASSWORD_MARK, stacks::StackEvent},
    world::model::{Model, World},
};

/// What a crowd did, and what the history says about it.
#[derive(Debug, Default)]
pub struct Crowd {
    /// How many requests got each status.
    pub statuses: BTreeMap<i64, u64>,
    /// How many requests got no response, because the function died or ran out of time.
    pub without_response: u64,
    /// How many records the history shows.
    pub records: usize,
    /// How many changes were started, according to CloudFormation and Systems Manager.
    pub started: usize,
    /// How many attempts were denied.
    pub denied: usize,
    /// What the history says that isn't so, and what it doesn't say.
    pub wrong: Vec<String>,
}

const STAGE: &str = "/api/stacks/shop/stages/dev";

/// Runs a crowd in which each user sends this many requests.
///
/// # Panics
/// If the model itself has a bug.
#[must_use]
pub fn crowd(seed: u64, users: usize, requests: usize) -> Crowd {
    crate::world::log::Log::install();
    history::timeless().block_on(async {
        let plan = Plan { faults: faults(seed, users * requests), ..Plan::calm() };
        let plan = Plan { seed, ..plan };
        let model = Model::within(World::new(), plan, None, u64::MAX, begin);
        model.world().settled = true;
        history::register_at_rest(&model, 1).await;
        model.world().settled = false;
        let tasks: Vec<_> =
            (0..users).map(|number| tokio::spawn(send(Arc::clone(&model), number, requests))).collect();
        let mut crowd = Crowd::default();
        let mut answers = Vec::new();
        for task in tasks {
            answers.extend(task.await.unwrap());
        }
        model.world().settled = true;
        rest(&model, &ALL).await;
        pass(5 * 60_000).await;
        compare(&model, answers, &mut crowd).await;
        functions::end();
        crowd
    })
}

/// A fault in about every fifth call to the log service, and in some to CloudFormation.
fn faults(seed: u64, requests: usize) -> Vec<Fault> {
    let mut random = Random::of(seed, "crowd", 0);
    let kinds = FaultKind::ALL;
    let mut faults = Vec::new();
    for (operation, per_mille) in [
        ("PutLogEvents", 200),
        ("CreateLogStream", 500),
        ("GetParameter", 30),
        ("UpdateStack", 200),
        ("PutParameter", 100),
    ] {
        let Some(point) = Point::of(Kind::SettingsApi, operation) else { continue };
        for nth in 1..=u32::try_from(requests).unwrap() {
            if random.chance(per_mille) {
                let kind = kinds[usize::try_from(random.within(0, kinds.len() as u64 - 1)).unwrap()];
                let tries = if random.chance(800) { 1 } else { 5 };
                faults.push(Fault { at: At::Of { point, nth }, tries, kind });
            }
        }
    }
    faults
}

/// A request's ID, the operation, and the status, if there was a response.
type Answer = (String, &'static str, Option<i64>);

async fn send(model: Arc<Model>, number: usize, requests: usize) -> Vec<Answer> {
    let groups = ["[stagedb-admin]", "[stagedb-editor]", "[stagedb-viewer]", "[stagedb-editor:shop]", "[]"];
    let user = User { subject: format!("user-{number}"), groups: groups[number % groups.len()] };
    let mut random = Random::of(model.plan.seed, "user", number as u64);
    let mut answers = Vec::new();
    for _ in 0..requests {
        pass(random.within(0, 2_000)).await;
        let protected = random.chance(500);
        let (operation, method, of, body) = match random.within(0, 5) {
            0 => ("putProtection", "PUT", "/protection", Some(json!({"protected": protected}))),
            1 => ("deleteStage", "DELETE", "", None),
            2 => ("postRebuild", "POST", "/rebuild", None),
            3 => ("postRuntimeVariables", "POST", "/runtime-variables", None),
            _ => ("getStage", "GET", "", None),
        };
        // A stage that is gone would end everything.
        if operation == "deleteStage" && user.groups == groups[0] {
            continue;
        }
        let (id, reply) = call_api_as(&model, &user, method, &format!("{STAGE}{of}"), body.as_ref()).await;
        answers.push((id, operation, reply.map(|(status, _)| status)));
    }
    answers
}

async fn compare(model: &Arc<Model>, answers: Vec<Answer>, crowd: &mut Crowd) {
    let mut shown: BTreeMap<String, Value> = BTreeMap::new();
    let mut query = "limit=100".to_owned();
    loop {
        let Some((200, page)) = call_api(model, "GET", &format!("{STAGE}/history?{query}"), None).await
        else {
            return crowd.wrong.push("the history can't be read".to_owned());
        };
        for record in page["records"].as_array().into_iter().flatten() {
            let id = record["id"].as_str().unwrap_or_default().to_owned();
            if shown.insert(id.clone(), record.clone()).is_some() {
                crowd.wrong.push(format!("{id} is shown twice"));
            }
        }
        match page["nextToken"].as_str() {
            Some(token) => query = format!("limit=100&nextToken={token}"),
            None => break,
        }
    }
    crowd.records = shown.len();
    let begun: BTreeSet<String> = {
        let world = model.world();
        let events = world.stacks.all.values().flat_map(|stack| &stack.events);
        let token = |event: &StackEvent| {
            let (_, rest) = event.xml.split_once("<ClientRequestToken>")?;
            Some(rest.split_once('<')?.0.to_owned())
        };
        events.filter_map(token).chain(world.parameters.tokens()).collect()
    };
    for (id, operation, status) in answers {
        match status {
            Some(status) => *crowd.statuses.entry(status).or_default() += 1,
            None => crowd.without_response += 1,
        }
        let record = shown.remove(&id);
        let kind = record.as_ref().and_then(|record| record["kind"].as_str()).map(str::to_owned);
        let outcome = record.as_ref().and_then(|record| record["outcome"].as_str()).map(str::to_owned);
        let has_begun = begun.contains(&format!("request-{id}"));
        let fits = match (status, kind.as_deref()) {
            (Some(403), kind) => kind == Some("denied"),
            // A record can be written although the function died.
            (None | Some(503), Some("denied")) => true,
            (Some(403..), Some("denied")) => false,
            (_, None) => !has_begun && (operation != "postRuntimeVariables" || status != Some(202)),
            (_, Some(_)) if operation == "postRuntimeVariables" => true,
            // AWS didn't say, and no longer shows it.
            (None | Some(503), Some(_)) if outcome.as_deref() == Some("unknown") => true,
            // The record of the refusal was lost, too.
            (Some(409), Some(_)) if outcome.as_deref() == Some("unknown") => !has_begun,
            (_, Some(_)) => has_begun != (outcome.as_deref() == Some("not-started")),
        };
        crowd.denied += usize::from(kind.as_deref() == Some("denied"));
        crowd.started += usize::from(has_begun);
        if !fits {
            crowd
                .wrong
                .push(format!("{operation} {id} got {status:?}, and the history says {kind:?} {outcome:?}"));
        }
    }
    // The registration before the crowd came.
    shown.retain(|_, record| record["operation"] != "putStage");
    crowd.wrong.extend(shown.keys().map(|id| format!("nobody sent {id}")));
    if model.world().logs.contain(PASSWORD_MARK) {
        crowd.wrong.push("a secret in the history".to_owned());
    }
}
