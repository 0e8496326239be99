//! Whether a deployment without the runtime variables is followed by one that has them.
//!
//! A team's own deployment replaces the task definition, and with it the variables. stagedb copies the team's
//! definition, adds the variables, and deploys the copy. It must not fight: not with a tool that keeps deploying its own
//! definition, and not with ECS, which goes back to an earlier definition when containers don't start.

use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{Publication, SecretReference, VariableConflict};

/// After this many restorations of one service within ten minutes, stagedb stops.
pub const RESTORES_MAX: usize = 3;
/// See [`RESTORES_MAX`].
const RESTORES_WITHIN: Duration = Duration::minutes(10);
/// How many characters of a family's name are remembered, because the value of a tag has at most 256.
const FAMILY_MAX: usize = 120;

/// One restoration: which revision lacked the variables, and which one has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restoration {
    /// The family of the task definition.
    pub family: String,
    /// The revision that was deployed without the variables.
    pub from: u32,
    /// The revision with the variables.
    pub to: u32,
    /// When.
    pub at: OffsetDateTime,
}

/// The latest restorations of a service, newest first. They're remembered in a tag on the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restorations {
    last: Option<Restoration>,
    /// When the latest ones were, newest first, at most [`RESTORES_MAX`].
    times: Vec<OffsetDateTime>,
}

impl Restorations {
    /// Reads the value of the tag. A value that isn't ours says nothing.
    #[must_use]
    pub fn from_tag(value: &str) -> Self {
        let mut words = value.split(' ');
        let mut read = || {
            let (family, from) = words.next()?.rsplit_once(':')?;
            let to = words.next()?.parse().ok()?;
            let times: Vec<_> =
                words.by_ref().map_while(|at| OffsetDateTime::parse(at, &Rfc3339).ok()).collect();
            let at = *times.first()?;
            let last = Restoration { family: family.to_owned(), from: from.parse().ok()?, to, at };
            Some(Self { last: Some(last), times })
        };
        read().unwrap_or_default()
    }

    /// The value of the tag: `{family}:{revision} {revision} {time} …`.
    #[must_use]
    pub fn to_tag(&self) -> String {
        let Some(Restoration { family, from, to, .. }) = &self.last else { return "none".to_owned() };
        let family: String = family.chars().take(FAMILY_MAX).collect();
        let times = self.times.iter().filter_map(|at| at.format(&Rfc3339).ok());
        times.fold(format!("{family}:{from} {to}"), |tag, at| format!("{tag} {at}"))
    }

    /// These restorations and a new one.
    #[must_use]
    pub fn and(&self, new: Restoration) -> Self {
        let at = new.at.replace_nanosecond(0).unwrap_or(new.at);
        let times = [at].into_iter().chain(self.times.iter().copied()).take(RESTORES_MAX).collect();
        Self { last: Some(Restoration { at, ..new }), times }
    }

    /// The newest one.
    #[must_use]
    pub fn last(&self) -> Option<&Restoration> {
        self.last.as_ref()
    }

    /// Whether there were so many lately that something else keeps deploying its own definition.
    #[must_use]
    pub fn are_too_many(&self, now: OffsetDateTime) -> bool {
        self.times.iter().filter(|at| now - **at < RESTORES_WITHIN).count() >= RESTORES_MAX
    }
}

impl Restoration {
    /// What happened, for the user.
    #[must_use]
    pub fn in_words(&self) -> String {
        let Self { family, from, to, at } = self;
        let (hour, minute, date) = (at.hour(), at.minute(), at.date());
        format!(
            "{family}:{from} was deployed without the variables; restored in :{to} at {hour:02}:{minute:02} UTC on {date}"
        )
    }
}

/// What became of the variables of a service, for the user. `None` if there is nothing to tell.
#[must_use]
pub fn story(
    revision: &str,
    missing: &[&str],
    is_on: bool,
    is_rolled_back: bool,
    restorations: &Restorations,
    now: OffsetDateTime,
) -> Option<String> {
    if missing.is_empty() {
        let last = restorations.last().filter(|last| revision.ends_with(&format!(":{}", last.to)));
        return last.map(Restoration::in_words);
    }
    let lacks = format!("{revision} was deployed without {}", missing.join(", "));
    Some(if is_rolled_back {
        format!(
            "ECS went back to {revision}, which lacks {}, because containers with the variables didn't start. Fix the cause, then \
             restore the variables.",
            missing.join(", ")
        )
    } else if !is_on {
        format!("{lacks}. The stage doesn't restore variables on its own.")
    } else if restorations.are_too_many(now) {
        format!(
            "{lacks}. stagedb restored the variables {RESTORES_MAX} times within 10 minutes and then stopped, because something keeps \
             deploying its own task definition. Put the references into that definition."
        )
    } else {
        format!("{lacks}. They are about to be restored.")
    })
}

/// What is known about the deployment of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// What it takes to have the variables.
    pub publication: Publication,
    /// Whether the stage restores variables, or a user asks for it now.
    pub is_on: bool,
    /// Whether a user asks for it now, which also counts after too many restorations.
    pub is_asked: bool,
    /// Whether ECS went back to this definition, because containers with the variables didn't start.
    pub is_rolled_back: bool,
}

/// What to do about a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restore {
    /// The containers have the variables.
    NotNeeded,
    /// Deploy a copy with these `secrets`.
    Now(Vec<SecretReference>),
    /// The container has variables of its own with these names. They're never overwritten.
    Conflict(Vec<VariableConflict>),
    /// The stage doesn't restore variables.
    Off,
    /// ECS went back to a definition without the variables, because containers with them didn't start. To deploy them
    /// again would repeat the failure.
    RolledBack,
    /// Something else keeps deploying its own definition.
    Stopped,
}

/// Decides what to do about a deployment of a service whose stage is at rest and has a database.
#[must_use]
pub fn restore(deployed: Deployed, before: &Restorations, now: OffsetDateTime) -> Restore {
    let secrets = match deployed.publication {
        Publication::UpToDate => return Restore::NotNeeded,
        Publication::Conflict(conflicts) => return Restore::Conflict(conflicts),
        Publication::Change(secrets) => secrets,
    };
    if deployed.is_asked {
        return Restore::Now(secrets);
    }
    if !deployed.is_on {
        return Restore::Off;
    }
    if deployed.is_rolled_back {
        return Restore::RolledBack;
    }
    if before.are_too_many(now) { Restore::Stopped } else { Restore::Now(secrets) }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-27 14:03:11 UTC);

    fn at(minutes_ago: i64) -> Restoration {
        let family = "test-django2-dev".to_owned();
        Restoration { family, from: 57, to: 58, at: NOW - Duration::minutes(minutes_ago) }
    }

    fn lacking() -> Deployed {
        let publication = Publication::Change(Vec::new());
        Deployed { publication, is_on: true, is_asked: false, is_rolled_back: false }
    }

    #[test]
    fn a_deployment_without_the_variables_is_restored_unless_that_would_be_a_fight() {
        let none = Restorations::default();
        let conflict = vec![VariableConflict { name: "PG_HOST".to_owned() }];
        let off = Deployed { is_on: false, ..lacking() };
        let rolled_back = Deployed { is_rolled_back: true, ..lacking() };
        for (deployed, expected) in [
            (Deployed { publication: Publication::UpToDate, ..lacking() }, Restore::NotNeeded),
            (
                Deployed { publication: Publication::Conflict(conflict.clone()), ..lacking() },
                Restore::Conflict(conflict),
            ),
            (lacking(), Restore::Now(Vec::new())),
            (Deployed { is_asked: true, ..off.clone() }, Restore::Now(Vec::new())),
            (off, Restore::Off),
            (Deployed { is_asked: true, ..rolled_back.clone() }, Restore::Now(Vec::new())),
            (rolled_back, Restore::RolledBack),
        ] {
            assert_eq!(restore(deployed, &none, NOW), expected);
        }
    }

    #[test]
    fn after_three_restorations_within_ten_minutes_it_stops_until_somebody_asks_or_time_passes() {
        let thrice = Restorations::default().and(at(9)).and(at(5)).and(at(1));
        assert_eq!(restore(lacking(), &thrice, NOW), Restore::Stopped);
        let asked = Deployed { is_asked: true, ..lacking() };
        assert_eq!(restore(asked, &thrice, NOW), Restore::Now(Vec::new()));
        assert_eq!(restore(lacking(), &thrice, NOW + Duration::minutes(1)), Restore::Now(Vec::new()));
        let twice = Restorations::default().and(at(5)).and(at(1));
        assert_eq!(restore(lacking(), &twice, NOW), Restore::Now(Vec::new()));
        let long_ago = Restorations::default().and(at(60)).and(at(5)).and(at(1));
        assert_eq!(restore(lacking(), &long_ago, NOW), Restore::Now(Vec::new()));
    }

    #[test]
    fn the_story_survives_the_tag_and_says_what_happened() {
        let twice = Restorations::default().and(at(5)).and(at(0));
        let tag = twice.to_tag();
        assert_eq!(tag, "test-django2-dev:57 58 2026-11-27T14:03:11Z 2026-11-27T13:58:11Z");
        assert_eq!(Restorations::from_tag(&tag), twice);
        let words = "test-django2-dev:57 was deployed without the variables; restored in :58 at 14:03 UTC on 2026-11-27";
        assert_eq!(twice.last().unwrap().in_words(), words);
    }

    #[test]
    fn the_story_says_why_a_service_lacks_its_variables() {
        let (none, thrice) =
            (Restorations::default(), Restorations::default().and(at(2)).and(at(1)).and(at(0)));
        let told = |missing: &[&str], on, back, before: &Restorations| {
            story("web:59", missing, on, back, before, NOW)
        };
        assert_eq!(told(&[], true, false, &thrice), None, "an older story");
        assert!(
            story("test-django2-dev:58", &[], true, false, &thrice, NOW).unwrap().contains("restored in :58")
        );
        for (on, back, before, expected) in [
            (true, true, &none, "ECS went back to web:59, which lacks PG_HOST, because containers"),
            (false, false, &none, "web:59 was deployed without PG_HOST. The stage doesn't restore"),
            (
                true,
                false,
                &thrice,
                "web:59 was deployed without PG_HOST. stagedb restored the variables 3 times",
            ),
            (true, false, &none, "web:59 was deployed without PG_HOST. They are about to be restored."),
        ] {
            let words = told(&["PG_HOST"], on, back, before).unwrap();
            assert!(words.starts_with(expected), "{words}");
        }
    }

    #[test]
    fn a_tag_never_has_more_characters_than_ecs_allows_and_a_foreign_one_says_nothing() {
        let mut all = Restorations::default();
        for _ in 0..9 {
            let family = "f".repeat(255);
            all = all.and(Restoration { family, from: u32::MAX, to: u32::MAX, at: NOW });
        }
        assert!(all.to_tag().len() <= 256, "{}", all.to_tag());
        for foreign in ["", "none", "a b c", "a:1", "a:1 2", "a:1 2 yesterday", "a:b 2 2026-11-27T14:03:11Z"]
        {
            assert_eq!(Restorations::from_tag(foreign), Restorations::default(), "{foreign}");
        }
        assert_eq!(Restorations::from_tag(&Restorations::default().to_tag()), Restorations::default());
    }
}
