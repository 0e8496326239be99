//! Runs the operations that calls have started.

use std::sync::Arc;

use crate::{
    engine::{clients, cloudformation, deployments, events, machine},
    services::begun::Begun,
    world::model::Model,
};

/// Runs an operation concurrently with everything else.
pub(crate) fn begin(model: &Arc<Model>, begun: Begun) {
    // Right away: their events are delivered later.
    let begun = match begun {
        Begun::Deployment(name, number) => return deployments::started(model, &name, number),
        Begun::Events(body) => return events::put(model, &body),
        begun => begun,
    };
    let model = Arc::clone(model);
    tokio::spawn(async move {
        match begun {
            Begun::Create(id) => cloudformation::create(&model, &id).await,
            Begun::Update(id) => cloudformation::update(&model, &id).await,
            Begun::ContinueRollback(id) => cloudformation::continue_rollback(&model, &id).await,
            Begun::Delete(id) => cloudformation::delete(&model, &id).await,
            Begun::Execution(name) => machine::run(&model, &name).await,
            Begun::Client(arn) => clients::run(&model, &arn).await,
            Begun::Deployment(..) | Begun::Events(_) => {}
        }
    });
}
