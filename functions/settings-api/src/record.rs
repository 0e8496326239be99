//! Who may do what, and the record of it. A record is written before anything changes.

use database::{Action, Changed, End, Entry, Forbidden, Outcome, Record, Stage, may};
use tracing::warn;

use crate::{
    api::{Call, SettingsApi},
    request::Route,
    response::Problem,
};

/// The proof that a change is in the history. Nothing changes without it.
#[derive(Debug)]
pub(crate) struct Recorded(());

impl SettingsApi {
    /// Refuses a request that the caller's role doesn't allow, and records the attempt.
    pub(crate) async fn authorize(&self, route: &Route, call: &Call) -> Result<(), Problem> {
        let Some(action) = route.action() else { return Ok(()) };
        let Err(forbidden) = self.decide(route.stage(), action, call).await? else { return Ok(()) };
        let (who, reason) = (call.caller.who.clone(), forbidden.to_string().as_str().into());
        let entry = Entry::Denied { who, operation: call.operation.into(), reason };
        self.write(route.stage(), entry, call).await?;
        Err(Problem::forbidden(&forbidden))
    }

    /// Whether the caller may do this. Only if it depends on the protection of the stage is that read.
    async fn decide(
        &self,
        stage: Option<&Stage>,
        action: Action,
        call: &Call,
    ) -> Result<Result<(), Forbidden>, Problem> {
        let roles = &call.caller.roles;
        let stack = stage.map(|stage| &stage.stack);
        let (unprotected, protected) = (may(roles, stack, action, false), may(roles, stack, action, true));
        match stage {
            Some(stage) if unprotected.is_ok() && protected.is_err() => {
                let is_protected = self.protections.is_protected(stage).await?;
                Ok(if is_protected { protected } else { unprotected })
            }
            _ => Ok(unprotected),
        }
    }

    /// Records a change that starts now. If it can't be recorded, it doesn't start.
    pub(crate) async fn record(
        &self,
        stage: &Stage,
        changes: Vec<Changed>,
        call: &Call,
    ) -> Result<Recorded, Problem> {
        self.record_as(stage, changes, &call.token(), call).await
    }

    /// Records a change that has another token than the request.
    pub(crate) async fn record_as(
        &self,
        stage: &Stage,
        changes: Vec<Changed>,
        token: &str,
        call: &Call,
    ) -> Result<Recorded, Problem> {
        let (who, operation) = (call.caller.who.clone(), call.operation.into());
        self.write(Some(stage), Entry::Change { who, operation, token: token.into(), changes }, call).await?;
        // A request records one change.
        let _ = call.recorded.set((stage.clone(), token.to_owned()));
        Ok(Recorded(()))
    }

    /// Records that the change was refused after all, such as by CloudFormation because another request came first. Without
    /// this record, the history looks for the change in the stack's events. Of requests with the same key, another one may
    /// have started it.
    pub(crate) async fn record_refusal(&self, call: &Call) {
        if call.conditions.token().is_none() {
            self.record_end(Outcome::NotStarted, call).await;
        }
    }

    /// Records the end of a change that CloudFormation won't report.
    pub(crate) async fn record_end(&self, outcome: Outcome, call: &Call) {
        let Some((stage, token)) = call.recorded.get() else { return };
        let token = token.as_str().into();
        let end = End { token, began_at: call.now, ended_at: None, outcome, reason: None };
        let id = format!("{}-end", call.request_id).as_str().into();
        // After the record of the change.
        let at = call.now + time::Duration::MILLISECOND;
        let record = Record { id, at, entry: Entry::Ended(end) };
        if let Err(failure) = self.history.write(Some(stage), &record).await {
            warn!(error = lambda::chain(&failure), "the history doesn't say how the change ended");
        }
    }

    async fn write(&self, stage: Option<&Stage>, entry: Entry, call: &Call) -> Result<(), Problem> {
        let record = Record { id: call.request_id.as_str().into(), at: call.now, entry };
        self.history.write(stage, &record).await.map_err(|error| Problem::not_recorded(&error))
    }
}
