//! Pages of a history, newest first.

use serde::{Deserialize, Serialize};

use super::{End, Entry, Record};
use crate::KEYED;

/// A request that is repeated with its key within this time is one change, in milliseconds.
const SAME_CHANGE_WITHIN: i64 = 60_000;
/// How many ends a cursor can carry whose changes are on a later page.
const ENDS_MAX: usize = 20;

/// Where the next page begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The time of the last line that was read, in milliseconds since 1970.
    at: i64,
    /// The lines that were read and can show up again, each with its time.
    read: Vec<(i64, String)>,
    /// The ends of changes that come later.
    ends: Vec<End>,
}

/// Which records to show. Everything that is given must match.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Records of this kind.
    pub kind: Option<Kind>,
    /// Records of this operation of the API.
    pub operation: Option<String>,
    /// Records of the user with this subject or email address.
    pub who: Option<String>,
}

/// The kind of a record that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A change.
    Change,
    /// An attempt that was denied.
    Denied,
    /// A change outside of stagedb.
    Outside,
}

impl Kind {
    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Denied => "denied",
            Self::Outside => "outside",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Change, Self::Denied, Self::Outside].into_iter().find(|kind| kind.name() == name)
    }
}

/// A record to show, and its end, if that is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The record.
    pub record: Record,
    /// Its end.
    pub end: Option<End>,
}

/// Makes a page of the lines of a log.
#[derive(Debug)]
pub struct Pages {
    cursor: Cursor,
    filter: Filter,
    limit: usize,
    found: Vec<Found>,
}

impl Pages {
    /// A page that begins at the newest record, or where another one ended.
    #[must_use]
    pub fn new(cursor: Option<Cursor>, filter: Filter, limit: usize) -> Self {
        let cursor = cursor.unwrap_or(Cursor { at: i64::MAX - 1, ..Cursor::default() });
        Self { cursor, filter, limit, found: Vec::new() }
    }

    /// Only lines before this time can be on the page, in milliseconds since 1970. `None`: all of them.
    #[must_use]
    pub fn before(&self) -> Option<i64> {
        // More lines can have the time of the last one.
        (self.cursor.at < i64::MAX - 1).then_some(self.cursor.at + 1)
    }

    /// Takes the next lines, newest first, each with its time. Returns whether the page is full.
    pub fn take<'a>(&mut self, lines: impl IntoIterator<Item = (i64, &'a str)>) -> bool {
        for (at, line) in lines {
            if self.found.len() >= self.limit {
                return true;
            }
            self.cursor.at = at;
            self.read(at, line);
        }
        self.found.len() >= self.limit
    }

    /// The page, and where the next one begins.
    #[must_use]
    pub fn finish(mut self, has_more: bool) -> (Vec<Found>, Option<Cursor>) {
        // The records that come now are older, so a change that began later than the last one isn't among them.
        let last = self.cursor.at;
        let may_come =
            |end: &End| end.began_at.unix_timestamp() * 1000 <= last.saturating_add(SAME_CHANGE_WITHIN);
        self.cursor.ends.retain(may_come);
        let skip = self.cursor.ends.len().saturating_sub(ENDS_MAX);
        self.cursor.ends.drain(..skip);
        (self.found, has_more.then_some(self.cursor))
    }

    fn read(&mut self, at: i64, line: &str) {
        let Some(record) = Record::read(line) else { return };
        self.cursor
            .read
            .retain(|(time, key)| *time == at || (key.starts_with(KEYED) && time - at < SAME_CHANGE_WITHIN));
        let key = match &record.entry {
            Entry::Change { token, .. } => token,
            Entry::Denied { .. } | Entry::Outside { .. } | Entry::Ended(_) => &record.id,
        };
        if self.cursor.read.iter().any(|(_, known)| known == key.as_ref()) {
            return;
        }
        self.cursor.read.push((at, key.to_string()));
        if let Entry::Ended(end) = record.entry {
            self.cursor.ends.push(end);
            return;
        }
        let end = self.cursor.ends.iter().find(|end| end.is_of(&record)).cloned();
        self.cursor.ends.retain(|known| end.as_ref().is_none_or(|end| end.token != known.token));
        if self.filter.matches(&record) {
            self.found.push(Found { record, end });
        }
    }
}

impl Filter {
    fn matches(&self, record: &Record) -> bool {
        let (kind, who, operation) = match &record.entry {
            Entry::Change { who, operation, .. } => (Kind::Change, Some(who), Some(operation)),
            Entry::Denied { who, operation, .. } => (Kind::Denied, Some(who), Some(operation)),
            Entry::Outside { .. } => (Kind::Outside, None, None),
            Entry::Ended(_) => return false,
        };
        let is_who = |wanted: &String| {
            let names = who.into_iter().flat_map(|who| [Some(&who.subject), who.email.as_ref()]).flatten();
            names.into_iter().any(|name| name.as_ref().eq_ignore_ascii_case(wanted))
        };
        self.kind.is_none_or(|wanted| wanted == kind)
            && self.operation.as_ref().is_none_or(|wanted| operation.is_some_and(|o| o.as_ref() == wanted))
            && self.who.as_ref().is_none_or(is_who)
    }
}
