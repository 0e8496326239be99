//! The values of a registration, and of a database that stagedb doesn't manage.

use serde::{Deserialize, Serialize};

use super::SettingError;
use crate::{
    choice::choice,
    setting::TextForm,
    text::{pattern, text},
};

/// What an attached database is. A DB instance and a DB cluster can have the same identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttachedKind {
    /// An RDS for PostgreSQL instance.
    Instance,
    /// An Aurora PostgreSQL cluster or a Multi-AZ DB cluster. Applications connect to its writer.
    Cluster,
}

choice!(
    AttachedKind,
    SettingError::AttachedKind,
    "Kind",
    "What an attached database is.",
    Instance: "instance",
    Cluster: "cluster"
);

/// The name of a database in an existing instance or cluster. PostgreSQL takes almost anything; stagedb takes what
/// needs no escapes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExistingDatabaseName(String);

text!(ExistingDatabaseName, SettingError::ExistingDatabaseName, pattern("^[A-Za-z0-9_-]{1,63}$"));

/// The identifier of a DB instance or a DB cluster. RDS stores it in lowercase.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseIdentifier(String);

text!(
    DatabaseIdentifier,
    SettingError::Identifier,
    TextForm { max_length: Some(63), ..pattern("^[a-z][a-z0-9]*(-[a-z0-9]+)*$") }
);

/// The ARN of a secret in Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretArn(String);

impl SecretArn {
    /// Partition, Region, and account, such as `aws`, `us-east-1`, and `123456789012`.
    #[must_use]
    pub fn place(&self) -> Option<(&str, &str, &str)> {
        place(&self.0)
    }
}

text!(
    SecretArn,
    SettingError::SecretArn,
    TextForm {
        max_length: Some(700),
        example: Some("arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-AbCdEf"),
        ..pattern("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]{8,512}$")
    }
);

/// Partition, Region, and account of an ARN.
#[must_use]
pub fn place(arn: &str) -> Option<(&str, &str, &str)> {
    let mut parts = arn.split(':');
    let (arn, partition, _, region, account) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (arn == "arn").then_some((partition, region, account))
}

/// Any character except control characters.
const NO_CONTROL_CHARACTERS: &str = r"^[^\x00-\x1f\x7f-\x9f]+$";

/// The name of a role in an existing database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

text!(
    Username,
    SettingError::Username,
    TextForm { min_length: Some(1), max_length: Some(63), ..pattern(NO_CONTROL_CHARACTERS) }
);

/// A text without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainText(String);

text!(
    PlainText,
    SettingError::PlainText,
    TextForm { min_length: Some(1), max_length: Some(255), ..pattern(NO_CONTROL_CHARACTERS) }
);

/// The name of an ECS service, a container, or a task definition family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EcsName(String);

text!(EcsName, SettingError::EcsName, pattern("^[A-Za-z0-9_-]{1,255}$"));

/// The name or the ARN of an ECS cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterName(String);

impl ClusterName {
    /// The name, without the rest of the ARN.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

text!(
    ClusterName,
    SettingError::ClusterName,
    pattern("^(arn:aws[a-z-]*:ecs:[a-z0-9-]+:[0-9]{12}:cluster/)?[A-Za-z0-9_-]{1,255}$")
);

/// The ID of a security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityGroupId(String);

text!(
    SecurityGroupId,
    SettingError::SecurityGroupId,
    TextForm { max_length: Some(255), example: Some("sg-0123456789abcdef0"), ..pattern("^sg-[0-9a-z]+$") }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_what_rds_stores() {
        for good in ["orders", "orders-2", &"a".repeat(63)] {
            assert!(DatabaseIdentifier::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in
            ["", "Orders", "1orders", "orders-", "or--ders", "or_ders", "orders;drop", "ö", &"a".repeat(64)]
        {
            assert_eq!(DatabaseIdentifier::try_from(bad.to_owned()), Err(SettingError::Identifier), "{bad}");
        }
    }

    #[test]
    fn a_secrets_arn_says_where_it_is() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-0a1b-AbCdEf";
        let secret = SecretArn::try_from(arn.to_owned()).unwrap();
        assert_eq!(secret.place(), Some(("aws", "us-east-1", "123456789012")));
        for bad in [
            "",
            "orders",
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:short",
            "arn:aws:secretsmanager:us-east-1:1234:secret:orders-AbCdEf",
            "arn:aws:s3:::bucket",
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-AbCdEf:password::",
            "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders $(id)-AbCdEf",
        ] {
            assert_eq!(SecretArn::try_from(bad.to_owned()), Err(SettingError::SecretArn), "{bad}");
        }
    }
}
