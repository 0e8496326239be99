//! The report of a run, in Markdown.

use std::fmt::Write as _;

use super::{findings::Compared, run::Lap};

/// What the report is about.
pub(super) struct Told<'a> {
    /// Where the run happened, in words without an account ID.
    pub(super) place: String,
    pub(super) date: String,
    /// How it ended, if it didn't reach the end.
    pub(super) failure: Option<String>,
    pub(super) laps: &'a [Lap],
    pub(super) compared: &'a [Compared],
    /// What couldn't be removed.
    pub(super) left: &'a [String],
}

/// The report.
pub(super) fn report(told: &Told<'_>) -> String {
    let mut text = format!("# Acceptance run\n\nOn {}, {}.\n\n", told.place, told.date);
    let _ = match &told.failure {
        None => writeln!(text, "It went through the whole life cycle.\n"),
        Some(failure) => writeln!(text, "**It failed:** {}.\n", in_a_cell(failure)),
    };
    let _ = match told.left {
        [] => writeln!(text, "Everything that it made was removed.\n"),
        left => writeln!(text, "**Still there:** {}.\n", left.join(", ")),
    };
    text.push_str("## What was seen\n\n| what | seen | the local AWS |\n| --- | --- | --- |\n");
    for Compared { name, seen, expected } in told.compared {
        let seen_in_words = seen.as_deref().unwrap_or("not reached");
        let expected = match (seen == expected, expected.as_deref()) {
            (true, _) => "the same",
            (false, Some(expected)) => expected,
            (false, None) => "unknown",
        };
        let _ = writeln!(text, "| {name} | {} | {} |", in_a_cell(seen_in_words), in_a_cell(expected));
    }
    text.push_str("\n## How long it took\n\n| step | seconds |\n| --- | --- |\n");
    for Lap { what, took } in told.laps {
        let _ = writeln!(text, "| {what} | {} |", took.as_secs());
    }
    text
}

fn in_a_cell(text: &str) -> String {
    text.replace('|', "/").replace('\n', " ")
}
