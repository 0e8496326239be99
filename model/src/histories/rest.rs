//! Waiting until nothing is running.

use std::{sync::Arc, time::Duration};

use crate::{
    base::invariant::Invariant,
    world::model::{Model, What},
};

/// No operation and no event takes longer than this, in days.
const PATIENCE_DAYS: u64 = 30;

/// Everything that can be in progress.
pub(super) const ALL: [What; 2] = [What::Work, What::Delivery];

/// Waits until nothing is running. If this never happens, it's a violation.
pub(super) async fn rest(model: &Arc<Model>, of: &[What]) {
    let patience = Duration::from_secs(PATIENCE_DAYS * 24 * 3600);
    if tokio::time::timeout(patience, model.quiet(of)).await.is_err() {
        model.violated(Invariant::Ends, "something never came to rest");
    }
}
