//! Whether a request has already started its change, and whether the settings are the ones that it expects.

use aws::StageStack;

use crate::{
    api::{Call, SettingsApi},
    hash::hash,
    response::Problem,
};

/// The `ETag` of a stage's settings. It changes with each operation of the stack.
pub(crate) fn etag(stack: &StageStack) -> String {
    let parameters =
        stack.parameters.iter().flat_map(|(name, value)| [name.as_bytes(), &[0], value.as_bytes(), &[0]]);
    let parts: Vec<&[u8]> =
        [stack.id.as_bytes(), &[0], stack.operation.as_bytes(), &[0]].into_iter().chain(parameters).collect();
    format!("\"{}\"", hash(&parts))
}

impl SettingsApi {
    /// Refuses a change whose condition doesn't hold. `true` if this same request has already started its change.
    pub(crate) async fn was_done(&self, stack: &StageStack, call: &Call) -> Result<bool, Problem> {
        if self.has_begun(stack, call).await? {
            return Ok(true);
        }
        if call.conditions.accept(&etag(stack)) { Ok(false) } else { Err(Problem::changed_meanwhile()) }
    }

    /// Whether an operation of the stack was started with the request's key.
    pub(crate) async fn has_begun(&self, stack: &StageStack, call: &Call) -> Result<bool, Problem> {
        if call.conditions.token().is_none() {
            return Ok(false);
        }
        let events = self.stacks.events(&stack.id, None).await?;
        call.conditions.has_begun(events.iter().filter_map(|event| event.token.as_deref()))
    }
}
