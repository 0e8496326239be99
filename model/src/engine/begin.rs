//! Runs the operations that calls have started.

use std::sync::Arc;

use crate::{
    engine::{cloudformation, machine},
    services::begun::Begun,
    world::model::Model,
};

/// Runs an operation concurrently with everything else.
pub(crate) fn begin(model: &Arc<Model>, begun: Begun) {
    let model = Arc::clone(model);
    tokio::spawn(async move {
        match begun {
            Begun::Create(id) => cloudformation::create(&model, &id).await,
            Begun::Update(id) => cloudformation::update(&model, &id).await,
            Begun::ContinueRollback(id) => cloudformation::continue_rollback(&model, &id).await,
            Begun::Delete(id) => cloudformation::delete(&model, &id).await,
            Begun::Execution(name) => machine::run(&model, &name).await,
        }
    });
}
