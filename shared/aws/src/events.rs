//! EventBridge: stagedb's own events on the account's default bus.

use aws_config::SdkConfig;
use aws_sdk_eventbridge::{Client, types::PutEventsRequestEntry};
use database::StageEvent;

use crate::{
    AwsError,
    config::{Lazy, client},
    error::failed,
};

/// The source of our events.
const SOURCE: &str = "stagedb";

/// The account's default event bus.
#[derive(Debug, Clone)]
pub struct Events {
    client: Lazy<Client>,
}

impl Events {
    /// The default bus in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: client!(aws_sdk_eventbridge, config) }
    }

    /// Puts an event on the bus. A repeat puts it there again.
    ///
    /// # Errors
    /// AWS failed, or didn't accept the event.
    pub async fn put(&self, event: &StageEvent) -> Result<(), AwsError> {
        let entry = PutEventsRequestEntry::builder()
            .source(SOURCE)
            .detail_type(event.detail_type())
            .detail(event.detail())
            .resources(&event.stage_stack_id)
            .build();
        let reply = self.client.put_events().entries(entry).send().await.map_err(failed("PutEvents"))?;
        match reply.entries().first().and_then(|entry| entry.error_code()) {
            Some(code) => Err(AwsError::unexpected("PutEvents", code)),
            None => Ok(()),
        }
    }
}
