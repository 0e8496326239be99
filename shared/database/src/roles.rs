//! Who may do what: a user's roles, from the groups that they're in, and the role that each operation takes.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::StackName;

/// How every group's name starts.
const PREFIX: &str = "stagedb-";

/// What a user may do, the least first. Each role may also do what the ones before it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks at everything.
    Viewer,
    /// Also registers stages, saves, and rebuilds, unless the stage is protected.
    Editor,
    /// Also removes databases and stages, protects stages, and does all of that on protected stages.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Admin];

    /// Its name, which ends the name of its group.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// The group of a role on everything.
    #[must_use]
    pub fn group(self) -> String {
        format!("{PREFIX}{}", self.name())
    }

    /// The group of a role on one stack.
    #[must_use]
    pub fn group_on(self, stack: &StackName) -> String {
        format!("{}:{stack}", self.group())
    }
}

/// Whether a group grants a role on anything.
#[must_use]
pub fn is_group_of_role(group: &str) -> bool {
    Roles::of([group], None).anywhere().is_some()
}

/// The groups in a claim that API Gateway passed as text. It writes a list as `[a b]`, in some APIs as `["a","b"]` or
/// `[a, b]`, and a single group without brackets. In doubt, there are none. Cognito's group names contain no spaces.
#[must_use]
pub fn groups_in(claim: &str) -> Vec<String> {
    let is_odd =
        |name: &str| name.is_empty() || name.contains(|c: char| "[]\",".contains(c) || c.is_whitespace());
    let items: Vec<&str> = match claim.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) if inner.contains('"') => return serde_json::from_str(claim).unwrap_or_default(),
        Some(inner) if inner.contains(',') => {
            inner.split(',').map(|item| item.strip_prefix(' ').unwrap_or(item)).collect()
        }
        Some(inner) => inner.split(' ').collect(),
        None => claim.split(',').collect(),
    };
    if items.iter().any(|item| is_odd(item)) {
        Vec::new()
    } else {
        items.into_iter().map(str::to_owned).collect()
    }
}

/// A user's roles: one on everything, and one on each of some stacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    everywhere: Option<Role>,
    on_stacks: BTreeMap<StackName, Role>,
}

impl Roles {
    /// The roles of a user who is in these groups. `without_group` is the role that everyone who can sign in has.
    ///
    /// Names are compared exactly. A group that isn't one of a role, or not one of a valid stack name, grants nothing.
    pub fn of<'a>(groups: impl IntoIterator<Item = &'a str>, without_group: Option<Role>) -> Self {
        let mut roles = Self { everywhere: without_group, on_stacks: BTreeMap::new() };
        for group in groups {
            let Some(rest) = group.strip_prefix(PREFIX) else { continue };
            let (name, stack) = match rest.split_once(':') {
                None => (rest, None),
                Some((name, stack)) => match StackName::try_from(stack) {
                    Ok(stack) => (name, Some(stack)),
                    Err(_) => continue,
                },
            };
            let Some(role) = Role::ALL.into_iter().find(|role| role.name() == name) else { continue };
            match stack {
                None => roles.everywhere = roles.everywhere.max(Some(role)),
                Some(stack) => {
                    let most = roles.on_stacks.entry(stack).or_insert(role);
                    *most = role.max(*most);
                }
            }
        }
        roles
    }

    /// The role on a stack. `None`: no access.
    #[must_use]
    pub fn on(&self, stack: &StackName) -> Option<Role> {
        self.everywhere.max(self.on_stacks.get(stack).copied())
    }

    /// The role on everything.
    #[must_use]
    pub const fn everywhere(&self) -> Option<Role> {
        self.everywhere
    }

    /// The highest role on anything, for what belongs to no stack.
    #[must_use]
    pub fn anywhere(&self) -> Option<Role> {
        self.on_stacks.values().copied().max().max(self.everywhere)
    }

    /// The stacks with a role that is higher than the one on everything.
    pub fn on_stacks(&self) -> impl Iterator<Item = (&StackName, Role)> {
        self.on_stacks
            .iter()
            .map(|(stack, role)| (stack, *role))
            .filter(|(_, role)| Some(*role) > self.everywhere)
    }
}

/// What a request does, as far as roles are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Looks.
    Read,
    /// Registers, saves, previews a save, rebuilds, or restores variables.
    Change,
    /// Removes a database or a stage.
    Remove,
    /// Protects a stage, or ends its protection.
    Protect,
}

impl Action {
    /// The least role that may do it.
    #[must_use]
    pub const fn needs(self, is_protected: bool) -> Role {
        match self {
            Self::Read => Role::Viewer,
            Self::Change if !is_protected => Role::Editor,
            Self::Change | Self::Remove | Self::Protect => Role::Admin,
        }
    }
}

/// Why a user may not do something. The message says who may.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Forbidden {
    /// The user's role.
    pub role: Option<Role>,
    /// The least role that may.
    pub needed: Role,
    /// Whether less would do if the stage weren't protected.
    pub is_because_protected: bool,
    /// The stack that it's about. `None`: everything.
    pub stack: Option<StackName>,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, needed, is_because_protected, stack } = self;
        let of = stack.as_ref().map_or_else(|| "stagedb".to_owned(), |stack| format!("the stack {stack}"));
        let (ones, can) = match needed {
            Role::Viewer => ("Viewers", String::new()),
            Role::Editor => ("Editors", "Only editors and admins can do this".to_owned()),
            Role::Admin if *is_because_protected => {
                ("Admins", "The stage is protected, so only admins can do this".to_owned())
            }
            Role::Admin => ("Admins", "Only admins can do this".to_owned()),
        };
        match role {
            None => write!(f, "You have no access to {of}.")?,
            Some(role) => write!(f, "{can}, and your role is {}.", role.name())?,
        }
        match stack {
            None => write!(f, " {ones} are the members of the group {}.", needed.group()),
            Some(stack) => {
                let groups = (needed.group(), needed.group_on(stack));
                write!(f, " {ones} are the members of the groups {} and {}.", groups.0, groups.1)
            }
        }
    }
}

/// Whether a user with these roles may do something: to a stage of a stack, or to what belongs to no stack. Every request
/// is decided here, and nowhere else.
///
/// # Errors
/// Why not.
pub fn may(
    roles: &Roles,
    stack: Option<&StackName>,
    action: Action,
    is_protected: bool,
) -> Result<(), Forbidden> {
    let role = stack.map_or_else(|| roles.anywhere(), |stack| roles.on(stack));
    let needed = action.needs(is_protected);
    if role >= Some(needed) {
        return Ok(());
    }
    let is_because_protected = role >= Some(action.needs(false));
    Err(Forbidden { role, needed, is_because_protected, stack: stack.cloned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(name: &str) -> StackName {
        name.try_into().unwrap()
    }

    #[test]
    fn a_group_grants_its_role_on_everything_or_on_one_stack() {
        let roles = Roles::of(["stagedb-editor", "stagedb-admin:shop", "developers"], None);
        assert_eq!(roles.on(&stack("shop")), Some(Role::Admin));
        assert_eq!(roles.on(&stack("shop-b")), Some(Role::Editor));
        assert_eq!(roles.everywhere(), Some(Role::Editor));
        assert_eq!(roles.anywhere(), Some(Role::Admin));
        let higher: Vec<_> = roles.on_stacks().collect();
        assert_eq!(higher, [(&stack("shop"), Role::Admin)]);
    }

    #[test]
    fn of_several_groups_the_highest_counts_whatever_their_order() {
        for groups in [["stagedb-admin:a", "stagedb-viewer:a"], ["stagedb-viewer:a", "stagedb-admin:a"]] {
            assert_eq!(Roles::of(groups, None).on(&stack("a")), Some(Role::Admin));
        }
        assert_eq!(Roles::of(["stagedb-viewer", "stagedb-viewer"], None).everywhere(), Some(Role::Viewer));
        assert_eq!(Roles::of(["stagedb-viewer"], Some(Role::Editor)).everywhere(), Some(Role::Editor));
    }

    #[test]
    fn what_is_only_similar_to_a_group_grants_nothing() {
        let similar = [
            "",
            "stagedb",
            "stagedb-",
            "stagedb-Admin",
            "STAGEDB-admin",
            " stagedb-admin",
            "stagedb-admin ",
            "stagedb-admin\n",
            "stagedb-\u{430}dmin",
            "stagedb\u{2010}admin",
            "stagedb-admins",
            "stagedb-admin:",
            "stagedb-admin:*",
            "stagedb-admin:A",
            "stagedb-admin:a:b",
            "stagedb-admin: a",
            "stagedb-admin:a ",
            "x stagedb-admin",
            "stagedb-owner",
            "admin",
        ];
        assert_eq!(Roles::of(similar, None), Roles::default());
        assert_eq!(Roles::of(["stagedb-admin:a"], None).on(&stack("a-b")), None);
    }

    #[test]
    fn a_claim_as_text_is_read_in_every_form_of_a_list_and_in_doubt_grants_nothing() {
        let cases: [(&str, &[&str]); 18] = [
            ("[a b]", &["a", "b"]),
            ("[a]", &["a"]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            ("[a,b]", &["a", "b"]),
            ("[a, b]", &["a", "b"]),
            (r#"["a","b"]"#, &["a", "b"]),
            (r#"["a b", "c"]"#, &["a b", "c"]),
            ("[]", &[]),
            ("", &[]),
            ("a b", &[]),
            ("[a", &[]),
            ("a]", &[]),
            ("[a [b]]", &[]),
            (r#"["a",1]"#, &[]),
            (r#"["a" b]"#, &[]),
            ("[a  b]", &[]),
            ("[a\nb]", &[]),
        ];
        for (claim, groups) in cases {
            assert_eq!(groups_in(claim), groups, "{claim}");
        }
    }

    #[test]
    fn without_a_group_everyone_has_the_role_that_was_chosen_or_no_access() {
        assert_eq!(Roles::of([], Some(Role::Viewer)).on(&stack("a")), Some(Role::Viewer));
        assert!(may(&Roles::of([], None), None, Action::Read, false).is_err());
    }

    #[test]
    fn a_refusal_says_who_may() {
        let words = |groups: &[&str], on: Option<&str>, action, is_protected| {
            let roles = Roles::of(groups.iter().copied(), None);
            let on = on.map(stack);
            may(&roles, on.as_ref(), action, is_protected).unwrap_err().to_string()
        };
        let refusals = [
            words(&[], None, Action::Read, false),
            words(&[], Some("shop"), Action::Read, false),
            words(&["stagedb-viewer"], Some("shop"), Action::Change, false),
            words(&["stagedb-editor:shop"], Some("shop"), Action::Change, true),
            words(&["stagedb-editor"], Some("shop"), Action::Remove, true),
            words(&["stagedb-viewer"], Some("shop"), Action::Change, true),
        ];
        insta::assert_snapshot!(refusals.join("\n"), @r"
        You have no access to stagedb. Viewers are the members of the group stagedb-viewer.
        You have no access to the stack shop. Viewers are the members of the groups stagedb-viewer and stagedb-viewer:shop.
        Only editors and admins can do this, and your role is viewer. Editors are the members of the groups stagedb-editor and stagedb-editor:shop.
        The stage is protected, so only admins can do this, and your role is editor. Admins are the members of the groups stagedb-admin and stagedb-admin:shop.
        Only admins can do this, and your role is editor. Admins are the members of the groups stagedb-admin and stagedb-admin:shop.
        Only admins can do this, and your role is viewer. Admins are the members of the groups stagedb-admin and stagedb-admin:shop.
        ");
    }
}
