//! Which user the containers of a created database log in as.
//!
//! Without the app login, that's the master user. With it, a role that can't log in owns the database's objects, and two logins
//! act as that role. At rest, one of them is enabled. The other one gets the next password, so that the published one works
//! until the last container has stopped using it.

use std::fmt;

use thiserror::Error;
use time::{Duration, OffsetDateTime};

use crate::{Generation, GenerationError, RotationDays};

/// The user that RDS creates a database with.
pub const MASTER: &str = "postgres";

/// The two logins that act as the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppLogin {
    /// The first one.
    First,
    /// The second one.
    Second,
}

impl AppLogin {
    /// Its name in Postgres.
    #[must_use]
    pub const fn user(self) -> &'static str {
        match self {
            Self::First => "app_1",
            Self::Second => "app_2",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// Which user the containers log in as, and since when. It's a parameter of the stage stack, such as
/// `app_1/20261122-135501-1a2b3c4d`, or with `/immediately` at its end. A stage that never had the app login has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The app login that is published, or that was published last.
    pub app: AppLogin,
    /// Whether the master user is published instead.
    pub is_master: bool,
    /// When this began. Each password has its own.
    pub since: Generation,
    /// Whether the login from before ends as soon as this one is published, with its sessions.
    pub is_immediate: bool,
}

/// A text that isn't a login.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "must be app_1, app_2, master_1, or master_2, a slash, and a time such as 20261122-135501, perhaps with /immediately"
)]
pub struct LoginError;

impl From<GenerationError> for LoginError {
    fn from(_: GenerationError) -> Self {
        Self
    }
}

const WORDS: [(&str, AppLogin, bool); 4] = [
    ("app_1", AppLogin::First, false),
    ("app_2", AppLogin::Second, false),
    ("master_1", AppLogin::First, true),
    ("master_2", AppLogin::Second, true),
];

impl Login {
    /// The login after a save, which starts at `since`. `is_same` says whether the data stays the same: a database that's
    /// restored may have earlier passwords.
    #[must_use]
    pub fn after(
        current: Option<&Self>,
        has_app_login: bool,
        is_same: bool,
        since: &Generation,
    ) -> Option<Self> {
        let since = since.clone();
        match current {
            Some(login) if is_same && login.is_master != has_app_login => Some(login.clone()),
            Some(login) if has_app_login => Some(login.rotated(since, false)),
            Some(login) => Some(Self { app: login.app, is_master: true, since, is_immediate: false }),
            None => has_app_login.then_some(Self {
                app: AppLogin::First,
                is_master: false,
                since,
                is_immediate: false,
            }),
        }
    }

    /// The login after a rotation: the other one, with a new password.
    #[must_use]
    pub fn rotated(&self, since: Generation, is_immediate: bool) -> Self {
        Self { app: self.app.other(), is_master: false, since, is_immediate }
    }

    /// When the next rotation is due, if stagedb rotates it.
    #[must_use]
    pub fn next_rotation(&self, rotation: RotationDays) -> Option<OffsetDateTime> {
        let days = rotation.days().filter(|_| !self.is_master)?;
        Some(self.since.time()? + Duration::days(days.into()))
    }

    /// The app login that is published.
    #[must_use]
    pub fn published(&self) -> Option<AppLogin> {
        (!self.is_master).then_some(self.app)
    }

    /// Whether a staging label is that of a login's password.
    #[must_use]
    pub fn is_staging_label(label: &str) -> bool {
        label.starts_with(LABEL)
    }

    /// The staging label of the version of the secret that holds this login's password.
    #[must_use]
    pub fn staging_label(&self) -> String {
        format!("{LABEL}{}", self.since)
    }
}

/// How the text of a login ends that ends the one from before.
const IMMEDIATELY: &str = "/immediately";

/// What the staging labels of the logins' passwords begin with.
const LABEL: &str = "login-";

/// The staging label of the version of the secret with the credentials to publish.
#[must_use]
pub fn credentials_label(generation: &Generation, login: Option<&Login>) -> String {
    match login.filter(|login| !login.is_master) {
        Some(login) => login.staging_label(),
        None => generation.staging_label(),
    }
}

/// What a change of the login has left behind, according to the staging labels of a stage's secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftover {
    /// The times of the passwords that are no longer published.
    pub obsolete: Vec<String>,
    /// The label of the master user's password, if that's no longer published.
    pub master: Option<String>,
}

impl Leftover {
    /// Reads the labels. After a first change to the app login that was rolled back, there is no login.
    #[must_use]
    pub fn of<'a>(
        labels: impl IntoIterator<Item = &'a str>,
        generation: &Generation,
        login: Option<&Login>,
    ) -> Self {
        let (kept, master) = (credentials_label(generation, login), generation.staging_label());
        let mut leftover = Self::default();
        for label in labels.into_iter().filter(|label| *label != kept) {
            if let Some(since) = label.strip_prefix(LABEL) {
                leftover.obsolete.push(since.to_owned());
            } else if label == master {
                leftover.master = Some(master.clone());
            }
        }
        leftover.obsolete.sort_unstable();
        leftover
    }

    /// What doesn't wait for tasks: what was published before a login that was rotated immediately. What came after it was published
    /// only for a moment, if at all, and a task may have begun with it.
    #[must_use]
    pub fn immediate(&self, login: Option<&Login>) -> Self {
        let Some(login) = login.filter(|login| login.is_immediate) else { return Self::default() };
        let since = login.since.to_string();
        let obsolete = self.obsolete.iter().filter(|obsolete| **obsolete < since).cloned().collect();
        Self { obsolete, master: None }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The staging labels of what is left.
    pub fn labels(&self) -> impl Iterator<Item = String> {
        let logins = self.obsolete.iter().map(|since| format!("{LABEL}{since}"));
        logins.chain(self.master.clone())
    }
}

impl TryFrom<String> for Login {
    type Error = LoginError;

    fn try_from(text: String) -> Result<Self, LoginError> {
        let (word, since) = text.split_once('/').ok_or(LoginError)?;
        let found = WORDS.iter().find(|(known, ..)| *known == word);
        let (_, app, is_master) = found.ok_or(LoginError)?;
        let (since, is_immediate) =
            since.strip_suffix(IMMEDIATELY).map_or((since, false), |since| (since, true));
        Ok(Self { app: *app, is_master: *is_master, since: since.to_owned().try_into()?, is_immediate })
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.iter().find(|(_, app, is_master)| (*app, *is_master) == (self.app, self.is_master));
        let end = if self.is_immediate { IMMEDIATELY } else { "" };
        write!(f, "{}/{}{end}", word.map_or("", |(word, ..)| word), self.since)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn since(second: u32) -> Generation {
        Generation::try_from(format!("20261122-1355{second:02}")).unwrap()
    }

    fn login(text: &str) -> Login {
        Login::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_login_reads_as_it_is_written() {
        for word in ["app_1", "app_2", "master_1", "master_2"] {
            for end in ["", "/immediately"] {
                let text = format!("{word}/20261122-135501-1a2b3c4d{end}");
                assert_eq!(login(&text).to_string(), text);
                assert_eq!(login(&text).staging_label(), "login-20261122-135501-1a2b3c4d");
            }
        }
        for bad in [
            "",
            "none",
            "app_1",
            "app_3/20261122-135501",
            "app_1/",
            "app_1/A",
            "postgres/1",
            "app_1/20261122-135501/later",
        ] {
            assert_eq!(Login::try_from(bad.to_owned()), Err(LoginError), "{bad}");
        }
    }

    #[test]
    fn a_new_password_is_never_for_a_login_that_containers_may_still_use() {
        let after = |current: Option<&str>, has: bool, is_same: bool| {
            let current = current.map(login);
            Login::after(current.as_ref(), has, is_same, &since(9)).map(|login| login.to_string())
        };
        let new = |word: &str| Some(format!("{word}/20261122-135509"));
        let (first, second) = ("app_1/20261122-135501", "app_2/20261122-135501");
        assert_eq!(after(None, false, true), None);
        assert_eq!(after(None, true, true), new("app_1"));
        assert_eq!(after(Some(first), true, true), Some(first.to_owned()));
        assert_eq!(after(Some(first), true, false), new("app_2"));
        assert_eq!(after(Some(second), true, false), new("app_1"));
        assert_eq!(after(Some(second), false, true), new("master_2"));
        assert_eq!(after(Some("master_2/20261122-135501"), true, true), new("app_1"));
        assert_eq!(
            after(Some("master_2/20261122-135501"), false, true),
            Some("master_2/20261122-135501".to_owned())
        );
    }

    #[test]
    fn a_rotation_is_due_so_many_days_after_the_last_one_and_never_for_the_master_user() {
        let rotation = |days: i64| RotationDays::try_from(days).unwrap();
        let app = login("app_1/20261122-135501-1a2b3c4d/immediately");
        assert_eq!(app.next_rotation(rotation(30)), Some(datetime!(2026-12-22 13:55:01 UTC)));
        assert_eq!(app.next_rotation(rotation(0)), None);
        assert_eq!(login("master_1/20261122-135501").next_rotation(rotation(30)), None);
    }

    #[test]
    fn after_a_leak_only_what_was_published_before_does_not_wait() {
        let labels = ["login-20261122-135501", "login-20261122-135509", "generation-20261122-135500"];
        let left = |text: &str| {
            let login = login(text);
            Leftover::of(labels, &since(0), Some(&login)).immediate(Some(&login))
        };
        let expected = Leftover { obsolete: vec!["20261122-135501".to_owned()], master: None };
        assert_eq!(left("app_2/20261122-135505/immediately"), expected);
        assert!(left("app_2/20261122-135505").is_none());
        assert!(left("app_2/20261122-135501/immediately").is_none());
    }

    #[test]
    fn what_is_left_is_everything_but_what_is_published() {
        let labels =
            ["AWSCURRENT", "login-20261122-135503", "login-20261122-135501", "generation-20261122-135500"];
        let left = |text: &str| Leftover::of(labels, &since(0), Some(&login(text)));
        let both = vec!["20261122-135501".to_owned(), "20261122-135503".to_owned()];
        let master = Some("generation-20261122-135500".to_owned());
        assert_eq!(left("master_1/20261122-135509"), Leftover { obsolete: both.clone(), master: None });
        let expected = Leftover { obsolete: vec!["20261122-135501".to_owned()], master };
        assert_eq!(left("app_2/20261122-135503"), expected);
        let labels: Vec<_> = expected.labels().collect();
        assert_eq!(labels, ["login-20261122-135501", "generation-20261122-135500"]);
        assert!(
            Leftover::of(["login-20261122-135503"], &since(0), Some(&login("app_2/20261122-135503")))
                .is_none()
        );
    }
}
