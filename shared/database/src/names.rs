//! Names of stacks and stages, and every name derived from them.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest name of a stack, in characters. With [`STAGE_MAX`] every derived name fits AWS's limits.
const STACK_MAX: usize = 32;
/// The longest name of a stage, in characters.
const STAGE_MAX: usize = 16;

/// The end of a created database's identifier, after the name of the stage's stack.
const IDENTIFIER_END: &str = "-postgres";

/// The name of an application stack, such as `test-django2`: at most 32 characters of
/// `[a-z][a-z0-9]*(-[a-z0-9]+)*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StackName(String);

/// The name of a stage, such as `dev`: at most 16 characters of `[a-z][a-z0-9]*(-[a-z0-9]+)*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StageName(String);

/// Why a text isn't a valid name. The message doesn't repeat the text, because it may be anything.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// Too long, or empty.
    #[error("must be 1 to {max} characters long, not {length}")]
    Length {
        /// How many characters are allowed.
        max: usize,
        /// How many there are.
        length: usize,
    },
    /// A character isn't allowed, or is in the wrong place.
    #[error(
        "must start with a lowercase letter and contain only lowercase letters, digits, and single hyphens between them, \
         such as test-django2"
    )]
    Pattern,
}

fn checked(text: String, max: usize) -> Result<String, NameError> {
    let length = text.chars().count();
    if length == 0 || length > max {
        return Err(NameError::Length { max, length });
    }
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.split('-').all(word) {
        return Err(NameError::Pattern);
    }
    Ok(text)
}

macro_rules! name {
    ($type:ident, $max:expr) => {
        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                checked(text, $max).map(Self)
            }
        }
        impl TryFrom<&str> for $type {
            type Error = NameError;
            fn try_from(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }
        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
name!(StackName, STACK_MAX);
name!(StageName, STAGE_MAX);

/// One stage of a stack. Every other name is derived from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stage {
    /// The stack.
    pub stack: StackName,
    /// The stage.
    pub stage: StageName,
}

impl Stage {
    /// The CloudFormation stack that owns the stage's database resources, at most 49 characters.
    #[must_use]
    pub fn stage_stack_name(&self) -> String {
        format!("{}-{}", self.stack, self.stage)
    }

    /// The DB instance identifier of a created database, at most 58 characters of RDS's 63.
    #[must_use]
    pub fn identifier(&self) -> String {
        format!("{}{IDENTIFIER_END}", self.stage_stack_name())
    }

    /// The name of the stage stack that a DB instance belongs to, if its identifier is one of a created database.
    #[must_use]
    pub fn stage_stack_of(identifier: &str) -> Option<&str> {
        identifier.strip_suffix(IDENTIFIER_END)
    }

    /// The physical resource ID of one of the stage's custom resources. It's derived from names alone, so it's the same
    /// on every path. It isn't the DB instance identifier, which may belong to a database that stagedb doesn't manage.
    #[must_use]
    pub fn resource_id(&self, resource_type: &str) -> String {
        format!("{}/{}", resource_type.trim_start_matches("Custom::"), self.identifier())
    }

    /// Whether [`Self::resource_id`] made this physical ID, for some stage. CloudFormation makes one up if it gets none.
    #[must_use]
    pub fn is_resource_id(id: &str) -> bool {
        id.split_once('/')
            .is_some_and(|(of_type, name)| of_type.starts_with("Postgres") && name.ends_with(IDENTIFIER_END))
    }

    /// The name of the SSM parameter with the ARN of the secret.
    #[must_use]
    pub fn secret_arn_parameter(&self) -> String {
        format!("/stagedb/{}/{}/secret-arn", self.stack, self.stage)
    }

    /// The name of the SSM parameter that says whether the stage is protected. The role of stage stacks can't change it.
    #[must_use]
    pub fn protection_parameter(&self) -> String {
        format!("/stagedb-protection/{}/{}", self.stack, self.stage)
    }

    /// The name of the secret, which starts with the stage.
    #[must_use]
    pub fn secret_name(&self) -> String {
        format!("{}-{}-postgres", self.stage, self.stack)
    }

    /// The name of the secret with the master user's credentials, if the containers don't log in as the master user.
    #[must_use]
    pub fn master_secret_name(&self) -> String {
        format!("stagedb/{}-{}/master-user", self.stage, self.stack)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stack, self.stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lower_case_words_joined_by_single_hyphens() {
        for good in ["a", "dev", "test-django2", "a1-2b", &"a".repeat(32)] {
            assert!(StackName::try_from(good).is_ok(), "{good}");
        }
        for bad in ["A", "1a", "-a", "a-", "a--b", "a_b", "a b", "é", "a\n", "a/b", "a.b"] {
            assert_eq!(StackName::try_from(bad), Err(NameError::Pattern), "{bad}");
        }
    }

    #[test]
    fn a_name_that_would_not_fit_is_refused_with_both_lengths() {
        for (length, expected) in [(0, "not 0"), (17, "1 to 16 characters long, not 17")] {
            let error = StageName::try_from("a".repeat(length)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn derived_names_fit_the_limits_of_aws_for_the_longest_names() {
        let stage = Stage {
            stack: StackName::try_from("a".repeat(STACK_MAX)).unwrap(),
            stage: StageName::try_from("b".repeat(STAGE_MAX)).unwrap(),
        };
        assert!(stage.identifier().len() <= 63);
        assert!(stage.stage_stack_name().len() <= 128);
        assert!(stage.secret_name().starts_with("bbbb"));
    }
}
