//! The model's time: Tokio's paused clock, which jumps to the next timer whenever there is nothing left to do. It
//! drives everything: the SDK's retries and timeouts, the handlers' own, CloudFormation's hour, and EventBridge's day.

use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use time::{OffsetDateTime, macros::datetime};
use tokio::time::Instant;

/// The start time of every history.
pub(crate) const BEGINNING: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

/// The clock of one history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// Milliseconds since the start.
    pub(crate) fn now(self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn date(self) -> OffsetDateTime {
        date(self.now())
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        self.date().into()
    }
}

/// The date for a time in the model.
pub(crate) fn date(millis: u64) -> OffsetDateTime {
    BEGINNING + Duration::from_millis(millis)
}

/// The date in AWS's format, to the millisecond.
pub(crate) fn text(millis: u64) -> String {
    date(millis).format(&time::format_description::well_known::Rfc3339).unwrap()
}

/// Lets time pass.
pub(crate) async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// A time as AWS sends it in JSON.
#[expect(clippy::cast_precision_loss, reason = "AWS sends times as numbers with a fraction")]
pub(crate) fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0 + BEGINNING.unix_timestamp() as f64
}
