//! For how long connections failed while a change interrupted the database, as a client measured it.

use std::fmt;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{Apply, CreatedSettings, Generation};

/// The fields whose changes interrupt the database, or might.
const INTERRUPTING: [&str; 3] = ["instanceClass", "multiAz", "engineVersion"];
/// What separates the fields in a tag.
const SEPARATOR: &str = "+";

/// One measurement. It's a tag of the instance, such as `43 2026-11-28T14:03:11Z instanceClass 2026-11-28T13:58:02.123Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downtime {
    /// For how many seconds connections failed. 0 if none failed.
    pub seconds: u64,
    /// When the first one failed. If none did, when the first one was tried.
    pub from: OffsetDateTime,
    /// The settings that changed.
    pub fields: Vec<String>,
    /// Which operation of the stage stack changed them.
    pub operation: String,
}

/// What a request changes that may interrupt the database now. `None` if it's about other data, or about nothing like that.
#[must_use]
pub fn interrupting_changes(
    (before, before_generation): (&CreatedSettings, &Generation),
    (after, generation): (&CreatedSettings, &Generation),
) -> Option<Vec<String>> {
    if before_generation != generation || after.apply != Apply::Now {
        return None;
    }
    let values = before.values().into_iter().zip(after.values());
    let changed =
        values.filter(|((setting, old), (_, new))| INTERRUPTING.contains(&setting.name) && old != new);
    let fields: Vec<_> = changed.map(|((setting, _), _)| setting.name.to_owned()).collect();
    (!fields.is_empty()).then_some(fields)
}

/// Reads what the client wrote: a line whenever connections begin to work (`up`) or to fail (`down`), with the time in seconds since
/// 1970. It was stopped at `ended_at`. `None` if no connection ever worked: then something else is wrong.
#[must_use]
pub fn measured(output: &str, ended_at: OffsetDateTime) -> Option<(u64, OffsetDateTime)> {
    let line = |line: &str| {
        let (state, time) = line.trim().split_once(' ')?;
        let is_up = match state {
            "up" => true,
            "down" => false,
            _ => return None,
        };
        Some((is_up, time.parse::<i64>().ok()?))
    };
    let lines: Vec<_> = output.lines().filter_map(line).collect();
    let (_, first) = *lines.first().filter(|_| lines.iter().any(|(is_up, _)| *is_up))?;
    let ends = lines.iter().skip(1).map(|(_, at)| *at).chain([ended_at.unix_timestamp()]);
    let down: Vec<_> = lines.iter().zip(ends).filter(|((is_up, _), _)| !is_up).collect();
    let seconds: i64 = down.iter().map(|((_, since), until)| (until - since).max(0)).sum();
    let from = down.first().map_or(first, |((_, since), _)| *since);
    Some((seconds.try_into().unwrap_or_default(), OffsetDateTime::from_unix_timestamp(from).ok()?))
}

impl Downtime {
    /// Reads the tag.
    #[must_use]
    pub fn from_tag(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split(' ').collect();
        let [seconds, from, fields, operation] = parts.try_into().ok()?;
        Some(Self {
            seconds: seconds.parse().ok()?,
            from: OffsetDateTime::parse(from, &Rfc3339).ok()?,
            fields: fields.split(SEPARATOR).map(str::to_owned).collect(),
            operation: operation.to_owned(),
        })
    }
}

impl fmt::Display for Downtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.from.format(&Rfc3339).map_err(|_| fmt::Error)?;
        write!(f, "{} {from} {} {}", self.seconds, self.fields.join(SEPARATOR), self.operation)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn at(second: i64) -> OffsetDateTime {
        datetime!(2026-11-28 14:00:00 UTC) + time::Duration::seconds(second)
    }

    fn output(lines: &[(&str, i64)]) -> String {
        let line = |(state, second): &(&str, i64)| format!("{state} {}", at(*second).unix_timestamp());
        lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn downtime_is_the_sum_of_the_times_without_a_connection_and_begins_with_the_first() {
        let ended_at = at(100);
        let of = |lines: &[(&str, i64)]| measured(&output(lines), ended_at);
        assert_eq!(of(&[("up", 0)]), Some((0, at(0))));
        assert_eq!(of(&[("up", 0), ("down", 10), ("up", 53)]), Some((43, at(10))));
        assert_eq!(of(&[("up", 0), ("down", 10), ("up", 20), ("down", 30), ("up", 31)]), Some((11, at(10))));
        assert_eq!(of(&[("down", 0), ("up", 7)]), Some((7, at(0))));
        assert_eq!(
            of(&[("up", 0), ("down", 90)]),
            Some((10, at(90))),
            "it was stopped while the database was down"
        );
    }

    #[test]
    fn without_a_connection_nothing_is_known() {
        for output in ["", "psql: error", &output(&[("down", 0)])] {
            assert_eq!(measured(output, at(100)), None, "{output}");
        }
    }

    #[test]
    fn a_measurement_reads_as_it_is_written_and_is_a_valid_tag() {
        let fields = vec!["instanceClass".to_owned(), "multiAz".to_owned()];
        let operation = "2026-11-28T13:58:02.123Z".to_owned();
        let downtime = Downtime { seconds: 43, from: datetime!(2026-11-28 14:03:11 UTC), fields, operation };
        let text = "43 2026-11-28T14:03:11Z instanceClass+multiAz 2026-11-28T13:58:02.123Z";
        assert_eq!((downtime.to_string().as_str(), Downtime::from_tag(text)), (text, Some(downtime)));
        // What RDS allows in the value of a tag.
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c)));
        for bad in ["", "43", "x 2026-11-28T14:03:11Z a b", "43 yesterday a b"] {
            assert_eq!(Downtime::from_tag(bad), None, "{bad}");
        }
    }
}
