//! Whose turn it is to work on a resource of a stage stack.
//!
//! Lambda may deliver a CloudFormation request twice, or minutes late. A function may also still be working on a
//! request that CloudFormation no longer waits for, because the user canceled the update or the request timed out. Such
//! late work would contradict the stack. So a function works in turns: it checks that CloudFormation waits for its
//! request, works for at most [`TURN`], and checks again. It starts only when the last turn of the request before must
//! be over ([`Turn::begins_at`]). Both follow from the stack's events, so nothing is stored.

use std::{collections::BTreeMap, time::Duration};

use time::OffsetDateTime;

use crate::StackEvent;

/// How long a function works at most, measured from the start of the call that reads the events.
pub const TURN: Duration = Duration::from_secs(10);

/// How long work may continue after the end of a request, because a turn started just before or the events showed up
/// late.
pub const QUIET: Duration = Duration::from_secs(15);

/// A request, as the events of its stack show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The resource's logical ID.
    pub logical_id: String,
    /// The resource's status while CloudFormation waits, such as `UPDATE_IN_PROGRESS`.
    pub status: &'static str,
    /// The requested properties. They tell requests apart, because CloudFormation never requests an update that changes
    /// none.
    pub properties: BTreeMap<String, String>,
    /// The properties before the update. Only an update has them.
    pub old_properties: BTreeMap<String, String>,
    /// The earlier requests whose work may still affect what this request works on.
    pub after: &'static [After],
}

/// An earlier request that must have been over for [`QUIET`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Any request for this resource. It may have been delivered twice, with one delivery still being processed.
    Any(&'static str),
    /// A request for this resource that failed or was canceled. If a request succeeded, its answer was the last thing
    /// that its only execution did.
    Failed(&'static str),
}

/// CloudFormation waits for the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// When it started to wait.
    pub asked_at: OffsetDateTime,
    /// When no other request works on the resource anymore.
    pub begins_at: OffsetDateTime,
    /// Whether the request reverts an update that failed.
    pub is_rollback: bool,
}

/// Whether CloudFormation waits for a request, by the latest events of the stack, newest first. `None` if it no longer
/// waits, or if its events don't show it yet.
#[must_use]
pub fn turn(asked: &Asked, events: &[StackEvent]) -> Option<Turn> {
    let is_ours = |event: &&StackEvent| !event.is_stack && event.logical_id == asked.logical_id;
    let overtaken = overtaken_by_a_rollback(events);
    let forward = overtaken.iter().filter(is_ours).find(|event| event.status == asked.status);
    let is_waiting = |event: &&StackEvent| {
        let is_asked = match forward {
            None => shows(event, &asked.properties, &asked.old_properties),
            // The rollback's request reverts what the forward request asked for. AWS doesn't document which properties
            // the events of a rollback show.
            Some(forward) => {
                let (new, old) = (&asked.properties, &asked.old_properties);
                let goes_back = !old.is_empty() && shows(forward, old, new);
                !shows(forward, new, old) && (goes_back || shows(event, new, old))
            }
        };
        event.status == asked.status && is_asked
    };
    // CloudFormation may say twice that it waits: at the start, and once it knows the physical ID.
    let asked_at = events.iter().filter(is_ours).take_while(is_waiting).last()?.at;
    let ends =
        events.iter().filter(|event| event.at <= asked_at && asked.after.iter().any(|a| a.is_end(event)));
    let quiet_at = ends.map(|end| end.at + QUIET).max();
    let begins_at = quiet_at.map_or(asked_at, |at| at.max(asked_at));
    Some(Turn { asked_at, begins_at, is_rollback: !overtaken.is_empty() })
}

impl After {
    fn is_end(self, event: &StackEvent) -> bool {
        let (Self::Any(logical_id) | Self::Failed(logical_id)) = self;
        let has_ended = match self {
            Self::Any(_) => !event.status.ends_with("_IN_PROGRESS"),
            Self::Failed(_) => event.status.ends_with("_FAILED"),
        };
        !event.is_stack && event.logical_id == logical_id && has_ended
    }
}

/// While an update is being rolled back, its events from before the rollback.
fn overtaken_by_a_rollback(events: &[StackEvent]) -> &[StackEvent] {
    let statuses = |status: &'static str| move |event: &StackEvent| event.is_stack && event.status == status;
    let began = events.iter().position(statuses("UPDATE_IN_PROGRESS")).unwrap_or(events.len());
    let of_update = events.get(..began).unwrap_or(events);
    match of_update.iter().rposition(statuses("UPDATE_ROLLBACK_IN_PROGRESS")) {
        Some(rollback) => of_update.get(rollback..).unwrap_or_default(),
        None => &[],
    }
}

/// Whether an event can be about these properties of an update, whose other ones are those before or after it. An event
/// that shows none can be about any.
///
/// An update may only add or remove a property, so a property that just one of the two has must be shown for that one,
/// and not for the other. What both have or lack is compared only if it's shown: events also show properties that
/// requests don't have, and AWS doesn't document that they show all that requests have.
fn shows(
    event: &StackEvent,
    properties: &BTreeMap<String, String>,
    other: &BTreeMap<String, String>,
) -> bool {
    let shown = &event.properties;
    let can_be = |name: &String| match (shown.get(name), properties.get(name)) {
        (Some(shown), known) => known == Some(shown),
        (None, None) => true,
        (None, Some(_)) => other.is_empty() || other.contains_key(name),
    };
    shown.is_empty() || properties.keys().chain(other.keys()).all(can_be)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);

    fn properties(rebuild: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("Rebuild".to_owned(), rebuild.to_owned())])
    }

    fn asked(status: &'static str, rebuild: &str) -> Asked {
        Asked {
            logical_id: "Connection".to_owned(),
            status,
            properties: properties(rebuild),
            old_properties: BTreeMap::new(),
            after: &[After::Any("Connection"), After::Failed("Database")],
        }
    }

    /// Events, oldest first: seconds after noon, resource, status, and the value of `Rebuild`.
    fn events(of: &[(i64, &str, &str, &str)]) -> Vec<StackEvent> {
        let event = |(second, logical_id, status, rebuild): &(i64, &str, &str, &str)| StackEvent {
            logical_id: (*logical_id).to_owned(),
            is_stack: *logical_id == "shop-dev",
            status: (*status).to_owned(),
            reason: None,
            at: NOON + time::Duration::seconds(*second),
            token: None,
            properties: if rebuild.is_empty() { BTreeMap::new() } else { properties(rebuild) },
        };
        of.iter().rev().map(event).collect()
    }

    fn check(asked: &Asked, of: &[(i64, &str, &str, &str)], expected: Option<(i64, i64)>) {
        let seconds = |at: OffsetDateTime| (at - NOON).whole_seconds();
        let found = turn(asked, &events(of)).map(|turn| (seconds(turn.asked_at), seconds(turn.begins_at)));
        assert_eq!(found, expected, "{of:?}");
    }

    #[test]
    fn cloudformation_waits_for_the_request_that_the_newest_event_shows() {
        let forward = asked("UPDATE_IN_PROGRESS", "two");
        check(&forward, &[], None);
        check(&forward, &[(1, "Connection", "UPDATE_IN_PROGRESS", "two")], Some((1, 1)));
        check(&forward, &[(1, "Connection", "UPDATE_IN_PROGRESS", "one")], None);
        check(&forward, &[(1, "Connection", "DELETE_IN_PROGRESS", "two")], None);
        check(&forward, &[(1, "Credentials", "UPDATE_IN_PROGRESS", "two")], None);
        check(&forward, &[(1, "shop-dev", "UPDATE_IN_PROGRESS", "two")], None);
        check(
            &forward,
            &[(1, "Connection", "UPDATE_IN_PROGRESS", "two"), (9, "Connection", "UPDATE_COMPLETE", "two")],
            None,
        );
        // The end of another resource's request says nothing about this one.
        check(
            &forward,
            &[(1, "Connection", "UPDATE_IN_PROGRESS", "two"), (9, "Access", "UPDATE_FAILED", "two")],
            Some((1, 1)),
        );
    }

    #[test]
    fn in_a_rollback_cloudformation_waits_for_the_request_that_goes_back_whichever_properties_its_events_show()
     {
        let update = |rebuild, before| Asked {
            old_properties: properties(before),
            ..asked("UPDATE_IN_PROGRESS", rebuild)
        };
        for shown in ["one", "two", ""] {
            let rolled_back = [
                (0, "Connection", "UPDATE_COMPLETE", ""),
                (1, "shop-dev", "UPDATE_IN_PROGRESS", ""),
                (2, "Connection", "UPDATE_IN_PROGRESS", "two"),
                (30, "Connection", "UPDATE_FAILED", ""),
                (30, "shop-dev", "UPDATE_ROLLBACK_IN_PROGRESS", ""),
                (31, "Connection", "UPDATE_IN_PROGRESS", shown),
            ];
            check(&update("one", "two"), &rolled_back, Some((31, 45)));
            check(&update("two", "one"), &rolled_back, None);
            check(&update("zero", "before"), &rolled_back, (shown.is_empty()).then_some((31, 45)));
            let again = [
                &rolled_back[..],
                &[
                    (40, "Connection", "UPDATE_FAILED", ""),
                    (40, "shop-dev", "UPDATE_ROLLBACK_FAILED", ""),
                    (90, "shop-dev", "UPDATE_ROLLBACK_IN_PROGRESS", ""),
                    (91, "Connection", "UPDATE_IN_PROGRESS", shown),
                ],
            ];
            check(&update("one", "two"), &again.concat(), Some((91, 91)));
            check(&update("two", "one"), &again.concat(), None);
        }
        // The next update may ask for the same as the one that was rolled back.
        let next = [
            (2, "Connection", "UPDATE_IN_PROGRESS", "two"),
            (30, "Connection", "UPDATE_FAILED", ""),
            (30, "shop-dev", "UPDATE_ROLLBACK_IN_PROGRESS", ""),
            (31, "Connection", "UPDATE_IN_PROGRESS", "one"),
            (50, "Connection", "UPDATE_COMPLETE", ""),
            (60, "shop-dev", "UPDATE_ROLLBACK_COMPLETE", ""),
            (70, "shop-dev", "UPDATE_IN_PROGRESS", ""),
            (71, "Connection", "UPDATE_IN_PROGRESS", "two"),
        ];
        check(&update("two", "one"), &next, Some((71, 71)));
    }

    #[test]
    fn a_rollback_is_told_from_an_update_that_only_added_or_removed_a_property() {
        let with = |names: &[&str]| -> BTreeMap<String, String> {
            names.iter().map(|name| ((*name).to_owned(), "same".to_owned())).collect()
        };
        let (fewer, more) = (with(&["Rebuild"]), with(&["Rebuild", "Services"]));
        for (before, after) in [(&fewer, &more), (&more, &fewer)] {
            let back = Asked {
                properties: before.clone(),
                old_properties: after.clone(),
                ..asked("UPDATE_IN_PROGRESS", "")
            };
            let forward = Asked { properties: after.clone(), old_properties: before.clone(), ..back.clone() };
            let mut rolled_back = events(&[
                (2, "Connection", "UPDATE_IN_PROGRESS", ""),
                (30, "Connection", "UPDATE_FAILED", ""),
                (30, "shop-dev", "UPDATE_ROLLBACK_IN_PROGRESS", ""),
                (31, "Connection", "UPDATE_IN_PROGRESS", ""),
            ]);
            // The events also show a property that requests don't have.
            for (event, shown) in [(0, before), (3, after)] {
                rolled_back[event].properties = shown.clone();
                rolled_back[event].properties.insert("ServiceTimeout".to_owned(), "600".to_owned());
            }
            assert_eq!(turn(&back, &rolled_back).map(|turn| turn.asked_at), Some(rolled_back[0].at));
            assert_eq!(turn(&forward, &rolled_back), None);
            assert_eq!(turn(&back, &rolled_back[3..]), None);
            assert_eq!(turn(&forward, &rolled_back[3..]).map(|turn| turn.asked_at), Some(rolled_back[3].at));
        }
    }

    #[test]
    fn an_event_without_properties_is_recognized_by_its_status_alone() {
        check(
            &asked("DELETE_IN_PROGRESS", "two"),
            &[(1, "Connection", "DELETE_IN_PROGRESS", "")],
            Some((1, 1)),
        );
        check(&asked("DELETE_IN_PROGRESS", "two"), &[(1, "Connection", "UPDATE_IN_PROGRESS", "")], None);
    }

    #[test]
    fn a_request_is_asked_when_its_first_event_says_so() {
        let said_twice =
            [(1, "Connection", "CREATE_IN_PROGRESS", "one"), (3, "Connection", "CREATE_IN_PROGRESS", "one")];
        check(&asked("CREATE_IN_PROGRESS", "one"), &said_twice, Some((1, 1)));
    }

    #[test]
    fn a_turn_begins_when_the_work_of_the_request_before_must_be_over() {
        let rollback = asked("UPDATE_IN_PROGRESS", "one");
        let with = |second, logical_id, status| {
            [
                (second, logical_id, status, "two"),
                (20, "shop-dev", "UPDATE_ROLLBACK_IN_PROGRESS", ""),
                (20, "Connection", "UPDATE_IN_PROGRESS", "one"),
            ]
        };
        check(&rollback, &with(18, "Connection", "UPDATE_FAILED"), Some((20, 33)));
        check(&rollback, &with(18, "Connection", "UPDATE_COMPLETE"), Some((20, 33)));
        check(&rollback, &with(18, "Database", "UPDATE_FAILED"), Some((20, 33)));
        check(&rollback, &with(18, "Database", "UPDATE_COMPLETE"), Some((20, 20)));
        check(&rollback, &with(18, "Database", "UPDATE_IN_PROGRESS"), Some((20, 20)));
        check(&rollback, &with(18, "Access", "UPDATE_FAILED"), Some((20, 20)));
        // Long ago.
        check(&rollback, &with(2, "Connection", "UPDATE_FAILED"), Some((20, 20)));
    }
}
