//! Announces the end of a rebuild with an event on the account's default bus.
//!
//! Which operation was announced is noted on the first of the stage's services. Two invocations at the same time can
//! both announce it, so the event says which operation it's about.

use aws::{Note, StageStack};
use database::{
    Ended, Fact, LOGIN_PUBLISHED, Login, Phase, Registration, StackObservation, StackStatus, StageEvent,
    rebuild,
};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::info;

use crate::function::{PublishError, PublishVariables};

/// How long after a request the operation that it starts may begin.
const ONE_REQUEST: Duration = Duration::minutes(1);

/// What is noted besides the operation if its rollback failed.
const ROLLBACK_FAILED: &str = " rollback failed";

impl PublishVariables {
    /// Announces that a login is published and the one from before ends now. What listens does nothing the second time.
    pub(crate) async fn announce_login(
        &self,
        stack: &StageStack,
        now: OffsetDateTime,
    ) -> Result<(), PublishError> {
        let began_at = OffsetDateTime::parse(&stack.operation, &Rfc3339).ok();
        // The operation that published it begins a moment after the request. Later ones keep the parameter.
        let is_of_this_operation = |login: Login| {
            let pause = login.since.time().zip(began_at).map(|(since, began_at)| began_at - since);
            login.is_immediate && pause.is_some_and(|pause| pause < ONE_REQUEST)
        };
        let is_announced = stack.login().is_some_and(is_of_this_operation);
        if stack.status != StackStatus::Complete || stack.source() != "created" || !is_announced {
            return Ok(());
        }
        let ended = Ended { operation: stack.operation.clone(), source: stack.source().to_owned() };
        let event = StageEvent {
            stage: stack.stage.clone(),
            stage_stack_id: stack.id.clone(),
            phase: Phase::Redeploying,
            reason: LOGIN_PUBLISHED.to_owned(),
            at: now,
            fact: Fact::LoginPublished(ended),
        };
        self.events.put(&event).await?;
        info!(detail_type = event.detail_type(), "announced");
        Ok(())
    }

    /// Announces the end of the stage's last rebuild, if it has ended and wasn't announced before.
    pub(crate) async fn announce(&self, stack: &StageStack) -> Result<(), PublishError> {
        if stack.status.is_busy()
            || matches!(stack.status, StackStatus::Deleted | StackStatus::DeletionFailed)
        {
            return Ok(());
        }
        let registration = Registration::from_parameters(&stack.parameters)?;
        let seen = self.stage_services.look(&registration.services).await?;
        let mut live = seen.iter().filter_map(|seen| seen.live.as_ref()).map(|(service, _)| service);
        let ours = live.find(|service| service.owner().as_ref() == Some(&stack.stage));
        // A rollback that failed can be continued, and its end is announced, too.
        let mut announced = stack.operation.clone();
        if stack.status == StackStatus::RollbackFailed {
            announced.push_str(ROLLBACK_FAILED);
        }
        if ours.is_some_and(|service| service.announced() == Some(&announced)) {
            return Ok(());
        }
        let services: Vec<_> = seen.iter().map(|seen| seen.containers(stack)).collect();
        let events = self.stacks.events(&stack.id, None).await?;
        let ended = Ended { operation: stack.operation.clone(), source: stack.source().to_owned() };
        let at = events.first().map_or(OffsetDateTime::UNIX_EPOCH, |event| event.at);
        let has_app_login = stack.has_app_login();
        let rebuild =
            rebuild(&StackObservation { status: stack.status, has_app_login, events }, &services, at);
        let (reason, fact) = match rebuild.phase {
            Phase::Updating | Phase::Redeploying => return Ok(()),
            Phase::Complete => {
                let reason = match stack.source() {
                    "none" => "The stage has no database.",
                    _ => "The containers have the variables of the stage's database.",
                };
                (reason.to_owned(), Fact::RebuildComplete(ended))
            }
            Phase::Failed | Phase::RolledBack => {
                let reason = rebuild.reason.unwrap_or_else(|| "CloudFormation gave no reason.".to_owned());
                (reason, Fact::RebuildFailed(ended))
            }
        };
        let ended_at = rebuild.steps.iter().filter_map(|step| step.ended_at).max().unwrap_or(at).max(at);
        let event = StageEvent {
            stage: stack.stage.clone(),
            stage_stack_id: stack.id.clone(),
            phase: rebuild.phase,
            reason,
            at: ended_at,
            fact,
        };
        self.events.put(&event).await?;
        info!(detail_type = event.detail_type(), "announced");
        if let Some(service) = ours {
            self.services.note(&service.arn, &[Note::Announced { operation: announced }]).await?;
        }
        Ok(())
    }
}
