//! Converts the SDK's times to ours.

use time::OffsetDateTime;

/// The same time, or the start of 1970 for a time that's out of range.
pub(crate) fn instant(at: &aws_smithy_types::DateTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(at.as_nanos()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
