use proptest::prelude::*;
use time::Duration;

use super::*;
use crate::StackEvent;

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_790_000_000 + seconds).unwrap()
}

fn who(email: &str) -> Who {
    Who { subject: "subject".into(), email: Some(email.into()), address: Some("192.0.2.1".into()) }
}

fn change(id: &str, seconds: i64, token: &str) -> Record {
    let changes = vec![Changed::new("instanceClass", Some("db.t4g.micro"), Some("db.m7g.large"))];
    let entry = Entry::Change {
        who: who("ann@example.com"),
        operation: "putDatabase".into(),
        token: token.into(),
        changes,
    };
    Record { id: id.into(), at: at(seconds), entry }
}

fn denied(id: &str, seconds: i64) -> Record {
    let entry = Entry::Denied {
        who: who("bob@example.com"),
        operation: "deleteDatabase".into(),
        reason: "No.".into(),
    };
    Record { id: id.into(), at: at(seconds), entry }
}

fn ended(id: &str, seconds: i64, token: &str, began: i64, outcome: Outcome) -> Record {
    let end =
        End { token: token.into(), began_at: at(began), ended_at: Some(at(seconds)), outcome, reason: None };
    Record { id: id.into(), at: at(seconds), entry: Entry::Ended(end) }
}

/// The IDs and outcomes on every page of a log.
fn pages(
    log: &[Record],
    limit: usize,
    filter: &Filter,
    observed: &Observations,
) -> Vec<Vec<(String, Option<Outcome>)>> {
    let mut lines: Vec<(i64, String)> = log
        .iter()
        .map(|record| {
            (i64::try_from(record.at.unix_timestamp_nanos() / 1_000_000).unwrap(), record.line().unwrap())
        })
        .collect();
    lines.sort_by_key(|(at, _)| *at);
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let mut page = Pages::new(cursor, filter.clone(), limit);
        let before = page.before();
        let shown = lines.iter().rev().filter(|(at, _)| before.is_none_or(|before| *at < before));
        let is_full = page.take(shown.map(|(at, line)| (*at, line.as_str())));
        let (found, next) = page.finish(is_full);
        let shown = found.into_iter().map(|found| found.shown(observed, at(1_000_000)));
        pages.push(shown.map(|shown| (shown.record.id.to_string(), shown.outcome)).collect());
        match next {
            Some(next) => {
                cursor = Some(serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap());
            }
            None => return pages,
        }
    }
}

fn all(log: &[Record], limit: usize) -> Vec<(String, Option<Outcome>)> {
    let observed = Observations { visible_since: Some(at(-1_000_000)), ..Observations::default() };
    pages(log, limit, &Filter::default(), &observed).concat()
}

fn shown(id: &str, outcome: Outcome) -> (String, Option<Outcome>) {
    (id.to_owned(), Some(outcome))
}

#[test]
fn a_record_is_one_line_of_json() {
    insta::assert_snapshot!(change("r1", 0, "request-1").line().unwrap(), @r#"{"id":"r1","at":"2026-09-21T14:13:20Z","kind":"change","who":{"subject":"subject","email":"ann@example.com","address":"192.0.2.1"},"operation":"putDatabase","token":"request-1","changes":[{"setting":"instanceClass","before":"db.t4g.micro","after":"db.m7g.large"}]}"#);
    for record in [change("r1", 0, "t"), denied("r2", 1), ended("r3", 2, "t", 1, Outcome::RolledBack)] {
        assert_eq!(Record::read(&record.line().unwrap()), Some(record));
    }
    assert_eq!(Record::read("{\"id\":\"x\"}"), None);
}

#[test]
fn nothing_that_a_user_types_can_break_a_line_or_grow_without_limit() {
    let typed = "a\nb\u{1b}[31mc\u{202e}d\u{2028}e\u{0}f\u{200b}g";
    assert_eq!(Clean::from(typed).as_ref(), "a�b�[31mc�d�e�f�g");
    assert_eq!(Clean::from("é".repeat(257).as_str()).as_ref().chars().count(), 256);
    assert!(Clean::from("é".repeat(257).as_str()).as_ref().ends_with('…'));
    assert_eq!(Clean::from("é".repeat(256).as_str()).as_ref(), "é".repeat(256));
    let forged: Record = Record::read(&change("r\\n1", 0, "t").line().unwrap()).unwrap();
    assert_eq!(forged.id.as_ref(), "r\\n1", "what is read is cleaned, too");
}

#[test]
fn a_line_that_was_written_twice_is_one_change() {
    let twice =
        [change("r1", 0, "request-1"), change("r1", 0, "request-1"), denied("r2", 0), denied("r2", 0)];
    for limit in 1..4 {
        assert_eq!(all(&twice, limit).len(), 2, "{limit} per page");
    }
}

#[test]
fn an_end_belongs_to_its_change_even_on_another_page() {
    let log = [
        change("r1", 0, "request-1"),
        denied("r2", 50),
        ended("e1", 100, "request-1", 1, Outcome::RolledBack),
        change("r3", 200, "request-3"),
        ended("e3", 300, "request-3", 202, Outcome::Complete),
    ];
    let expected =
        vec![shown("r3", Outcome::Complete), ("r2".to_owned(), None), shown("r1", Outcome::RolledBack)];
    for limit in 1..5 {
        assert_eq!(all(&log, limit), expected, "{limit} per page");
    }
}

#[test]
fn of_a_request_that_is_repeated_with_its_key_only_the_one_that_started_is_complete() {
    let log = [
        change("r1", 0, "key-a"),
        change("r2", 600, "key-a"),
        ended("e", 900, "key-a", 601, Outcome::Complete),
    ];
    assert_eq!(all(&log, 9), [shown("r2", Outcome::Complete), shown("r1", Outcome::NotStarted)]);
    let at_once =
        [change("r1", 0, "key-a"), change("r2", 20, "key-a"), ended("e", 90, "key-a", 21, Outcome::Complete)];
    for limit in 1..3 {
        assert_eq!(all(&at_once, limit), [shown("r2", Outcome::Complete)]);
    }
}

#[test]
fn filters_leave_out_what_does_not_match() {
    let log = [change("r1", 0, "t"), denied("r2", 1), denied("r3", 2)];
    let ids = |filter: Filter| -> Vec<String> {
        pages(&log, 1, &filter, &Observations::default()).concat().into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(ids(Filter { kind: Some(Kind::Denied), ..Filter::default() }), ["r3", "r2"]);
    assert_eq!(ids(Filter { who: Some("Ann@Example.com".to_owned()), ..Filter::default() }), ["r1"]);
    assert_eq!(
        ids(Filter { operation: Some("deleteDatabase".to_owned()), ..Filter::default() }),
        ["r3", "r2"]
    );
    assert_eq!(ids(Filter { kind: Some(Kind::Outside), ..Filter::default() }), Vec::<String>::new());
}

fn event(seconds: i64, is_stack: bool, status: &str, reason: Option<&str>, token: &str) -> StackEvent {
    StackEvent {
        logical_id: "x".to_owned(),
        is_stack,
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        at: at(seconds),
        token: Some(token.to_owned()),
        properties: std::collections::BTreeMap::new(),
    }
}

#[test]
fn the_events_of_a_stack_say_how_its_operations_ended() {
    let mut events = [
        event(1, true, "CREATE_IN_PROGRESS", Some("User Initiated"), "a"),
        event(2, true, "CREATE_COMPLETE", None, "a"),
        event(10, true, "UPDATE_IN_PROGRESS", None, "b"),
        event(11, false, "UPDATE_FAILED", Some("no such class"), "b"),
        event(12, true, "UPDATE_ROLLBACK_IN_PROGRESS", Some("The following failed"), "b"),
        event(13, true, "UPDATE_ROLLBACK_COMPLETE", None, "b"),
        event(20, true, "UPDATE_IN_PROGRESS", None, "c"),
        event(21, true, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", None, "c"),
    ];
    events.reverse();
    let ends = ends(&events);
    let seen: Vec<_> = ends
        .iter()
        .map(|end| (end.token.as_ref(), end.outcome, end.reason.as_ref().map(Clean::as_ref)))
        .collect();
    assert_eq!(
        seen,
        [
            ("a", Outcome::Complete, None),
            ("b", Outcome::RolledBack, Some("no such class")),
            ("c", Outcome::Running, None)
        ]
    );
    assert_eq!(ends.iter().map(|end| end.ended_at).collect::<Vec<_>>(), [Some(at(2)), Some(at(13)), None]);
}

#[test]
fn without_an_end_the_outcome_is_what_aws_still_shows() {
    let outcome = |record: Record, observed: &Observations, now| {
        Found { record, end: None }.shown(observed, at(now)).outcome.unwrap()
    };
    let running = [event(1, true, "UPDATE_IN_PROGRESS", None, "t")];
    let observed = Observations::new(&running, true, vec!["p".to_owned()]);
    assert_eq!(outcome(change("r", 0, "t"), &observed, 500), Outcome::Running);
    assert_eq!(outcome(change("r", 0, "other"), &observed, 30), Outcome::Running, "it may start yet");
    assert_eq!(outcome(change("r", 0, "other"), &observed, 500), Outcome::NotStarted);
    let of = |operation: &str, token: &str| {
        let mut record = change("r", 0, token);
        if let Entry::Change { operation: of, .. } = &mut record.entry {
            *of = operation.into();
        }
        record
    };
    assert_eq!(outcome(of("putProtection", "p"), &observed, 500), Outcome::Complete);
    assert_eq!(outcome(of("putProtection", "q"), &observed, 500), Outcome::NotStarted);
    assert_eq!(outcome(of("postRuntimeVariables", "q"), &observed, 500), Outcome::Unknown);
    let gone = Observations::new(&[], true, Vec::new());
    assert_eq!(outcome(change("r", 0, "x"), &gone, 5000), Outcome::Unknown, "there is no stack anymore");
    assert_eq!(
        outcome(change("r", -3600, "x"), &observed, 500),
        Outcome::Unknown,
        "before the stack's first event"
    );
    let many: Vec<_> =
        (0..100).map(|n| event(1000 - n, true, "UPDATE_COMPLETE", None, &format!("t{n}"))).collect();
    assert_eq!(
        outcome(change("r", 0, "x"), &Observations::new(&many, false, Vec::new()), 5000),
        Outcome::Unknown
    );
}

proptest! {
    #[test]
    fn pages_of_any_size_show_the_same_records_in_the_same_order(
        seconds in prop::collection::vec((0_i64..40, 0_usize..4, any::<bool>()), 0..40),
        limit in 1_usize..10,
    ) {
        let mut log = Vec::new();
        for (n, (second, kind, is_twice)) in seconds.into_iter().enumerate() {
            let record = match kind {
                0 => change(&format!("r{n}"), second, &format!("request-{n}")),
                1 => change(&format!("r{n}"), second, &format!("key-{}", n % 3)),
                2 => denied(&format!("r{n}"), second),
                _ => ended(&format!("r{n}"), second + 60, &format!("request-{}", n / 2), second, Outcome::Complete),
            };
            log.extend(is_twice.then(|| record.clone()));
            log.push(record);
        }
        prop_assert_eq!(all(&log, limit), all(&log, 1000));
        let is_of_second = |record: &Record| record.at - at(0) < Duration::seconds(200);
        prop_assert!(log.iter().all(is_of_second));
    }
}
