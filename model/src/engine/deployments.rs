//! The life of an ECS deployment: its events, and its end after a while.

use std::sync::Arc;

use serde_json::json;

use crate::{
    base::{
        clock::{self, pass},
        kind::Kind,
    },
    engine::events::deliver,
    services::ecs::{Ended, ROLLOUT},
    world::model::Model,
};

/// How long ECS tries to start an image that doesn't start, in milliseconds.
const TRIES: u64 = 20_000;

/// A deployment of a service has started.
pub(crate) fn started(model: &Arc<Model>, name: &str, number: u64) {
    tell(model, name, number, "IN_PROGRESS", "in progress");
    let is_broken = {
        let world = model.world();
        let found = world.ecs.services.get(name).and_then(|service| service.deployments.first());
        found.is_some_and(|deployment| world.ecs.is_broken(&deployment.definition))
    };
    let (model, name) = (Arc::clone(model), name.to_owned());
    let busy = model.working();
    tokio::spawn(async move {
        let _busy = busy;
        pass(if is_broken { TRIES } else { ROLLOUT }).await;
        let now = model.now();
        let ended = {
            let mut guard = model.world();
            let world = &mut *guard;
            world.ecs.end(&name, number, now, &world.secrets)
        };
        match ended {
            None => {}
            Some(Ended::Completed) => tell(&model, &name, number, "COMPLETED", "completed"),
            Some(Ended::Failed(back)) => {
                tell(&model, &name, number, "FAILED", "circuit breaker: tasks failed to start");
                if let Some(back) = back {
                    model.note(|| format!("{name} goes back"));
                    // The people's variable goes, or comes back, with the definition.
                    let mut world = model.world();
                    if world.ecs.has_variable(&name, "PG_HOST") {
                        world.own_variables.insert(name.clone());
                    } else {
                        world.own_variables.remove(&name);
                    }
                    drop(world);
                    started(&model, &name, back);
                }
            }
        }
    });
}

fn tell(model: &Arc<Model>, name: &str, number: u64, state: &str, words: &str) {
    let arn = model.world().ecs.services.get(name).map(|service| service.arn.clone()).unwrap_or_default();
    let event = json!({
        "version": "0", "id": format!("event-{}", model.issue()), "source": "aws.ecs",
        "detail-type": "ECS Deployment State Change", "time": clock::text(model.now()), "resources": [arn],
        "detail": {
            "eventType": if state == "FAILED" { "ERROR" } else { "INFO" },
            "eventName": format!("SERVICE_DEPLOYMENT_{state}"), "deploymentId": format!("ecs-svc/{number}"),
            "updatedAt": clock::text(model.now()), "reason": format!("ECS deployment {words}."),
        },
    });
    deliver(model, Kind::PublishVariables, &event);
}
