//! The SDK's times in ours.

use time::OffsetDateTime;

/// The same time; the beginning of 1970 for one that does not fit.
pub(crate) fn instant(at: &aws_smithy_types::DateTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(at.as_nanos()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
