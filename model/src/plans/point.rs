//! Where faults can hit: each operation of AWS's that each function calls.

use std::fmt;

use crate::base::kind::Kind;

/// Every operation that each function is known to call, in order. A call that is missing here meets fewer faults, and a
/// test fails.
const POINTS: &[(Kind, &str)] = &[
    (Kind::AccessResource, "Answer"),
    (Kind::AccessResource, "AuthorizeSecurityGroupIngress"),
    (Kind::AccessResource, "CreateTags"),
    (Kind::AccessResource, "DeleteTags"),
    (Kind::AccessResource, "DescribeSecurityGroupRules"),
    (Kind::AccessResource, "DescribeStackEvents"),
    (Kind::AccessResource, "RevokeSecurityGroupIngress"),
    (Kind::ClientProgress, "AddTagsToResource"),
    (Kind::ClientProgress, "Answer"),
    (Kind::ClientProgress, "AuthorizeSecurityGroupIngress"),
    (Kind::ClientProgress, "CreateTags"),
    (Kind::ClientProgress, "DeleteTags"),
    (Kind::ClientProgress, "DescribeDBInstances"),
    (Kind::ClientProgress, "DescribeSecret"),
    (Kind::ClientProgress, "DescribeSecurityGroupRules"),
    (Kind::ClientProgress, "DescribeServices"),
    (Kind::ClientProgress, "DescribeStackEvents"),
    (Kind::ClientProgress, "DescribeStacks"),
    (Kind::ClientProgress, "DescribeTaskDefinition"),
    (Kind::ClientProgress, "DescribeTasks"),
    (Kind::ClientProgress, "GetLogEvents"),
    (Kind::ClientProgress, "GetRandomPassword"),
    (Kind::ClientProgress, "GetSecretValue"),
    (Kind::ClientProgress, "ListTasks"),
    (Kind::ClientProgress, "ModifyDBInstance"),
    (Kind::ClientProgress, "PutSecretValue"),
    (Kind::ClientProgress, "RevokeSecurityGroupIngress"),
    (Kind::ClientProgress, "RunTask"),
    (Kind::ClientProgress, "StartExecution"),
    (Kind::ClientProgress, "StopTask"),
    (Kind::ClientProgress, "UpdateSecretVersionStage"),
    (Kind::CredentialsResource, "Answer"),
    (Kind::CredentialsResource, "CreateSecret"),
    (Kind::CredentialsResource, "DeleteSecret"),
    (Kind::CredentialsResource, "DescribeSecret"),
    (Kind::CredentialsResource, "DescribeStackEvents"),
    (Kind::CredentialsResource, "GetRandomPassword"),
    (Kind::CredentialsResource, "GetSecretValue"),
    (Kind::CredentialsResource, "PutSecretValue"),
    (Kind::CredentialsResource, "UpdateSecretVersionStage"),
    (Kind::DatabaseProgress, "AddTagsToResource"),
    (Kind::DatabaseProgress, "Answer"),
    (Kind::DatabaseProgress, "CreateDBInstance"),
    (Kind::DatabaseProgress, "CreateDBSnapshot"),
    (Kind::DatabaseProgress, "DeleteDBInstance"),
    (Kind::DatabaseProgress, "DescribeDBInstances"),
    (Kind::DatabaseProgress, "DescribeDBSnapshots"),
    (Kind::DatabaseProgress, "DescribeEvents"),
    (Kind::DatabaseProgress, "DescribeStackEvents"),
    (Kind::DatabaseProgress, "GetSecretValue"),
    (Kind::DatabaseProgress, "ModifyDBInstance"),
    (Kind::DatabaseProgress, "RestoreDBInstanceFromDBSnapshot"),
    (Kind::DatabaseResource, "Answer"),
    (Kind::DatabaseResource, "StartExecution"),
    (Kind::PublishVariables, "DescribeServices"),
    (Kind::PublishVariables, "DescribeStackEvents"),
    (Kind::PublishVariables, "DescribeStacks"),
    (Kind::PublishVariables, "DescribeTaskDefinition"),
    (Kind::PublishVariables, "PutEvents"),
    (Kind::PublishVariables, "RegisterTaskDefinition"),
    (Kind::PublishVariables, "TagResource"),
    (Kind::PublishVariables, "UntagResource"),
    (Kind::PublishVariables, "UpdateService"),
    (Kind::SettingsApi, "ContinueUpdateRollback"),
    (Kind::SettingsApi, "CreateChangeSet"),
    (Kind::SettingsApi, "CreateLogStream"),
    (Kind::SettingsApi, "CreateStack"),
    (Kind::SettingsApi, "DeleteChangeSet"),
    (Kind::SettingsApi, "DeleteStack"),
    (Kind::SettingsApi, "DescribeChangeSet"),
    (Kind::SettingsApi, "DescribeDBClusters"),
    (Kind::SettingsApi, "DescribeDBEngineVersions"),
    (Kind::SettingsApi, "DescribeDBInstances"),
    (Kind::SettingsApi, "DescribeDBSnapshots"),
    (Kind::SettingsApi, "DescribeEvents"),
    (Kind::SettingsApi, "DescribeOrderableDBInstanceOptions"),
    (Kind::SettingsApi, "DescribeSecret"),
    (Kind::SettingsApi, "DescribeSecurityGroupRules"),
    (Kind::SettingsApi, "DescribeSecurityGroups"),
    (Kind::SettingsApi, "DescribeServices"),
    (Kind::SettingsApi, "DescribeStackEvents"),
    (Kind::SettingsApi, "DescribeStacks"),
    (Kind::SettingsApi, "DescribeSubnets"),
    (Kind::SettingsApi, "DescribeTaskDefinition"),
    (Kind::SettingsApi, "GetLogEvents"),
    (Kind::SettingsApi, "GetParameter"),
    (Kind::SettingsApi, "GetSecretValue"),
    (Kind::SettingsApi, "ListClusters"),
    (Kind::SettingsApi, "ListServices"),
    (Kind::SettingsApi, "PutEvents"),
    (Kind::SettingsApi, "PutLogEvents"),
    (Kind::SettingsApi, "PutSecretValue"),
    (Kind::SettingsApi, "StartExecution"),
    (Kind::SettingsApi, "TagResource"),
    (Kind::SettingsApi, "UpdateStack"),
    (Kind::SettingsApi, "UpdateTerminationProtection"),
];

/// An operation that a function calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(u8);

impl Point {
    /// Every point.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..u8::MAX).map(Self).take(POINTS.len())
    }

    /// The operation of a function, if it is known to call it.
    #[must_use]
    pub fn of(function: Kind, operation: &str) -> Option<Self> {
        Self::all().find(|point| point.function() == function && point.operation() == operation)
    }

    /// The function.
    #[must_use]
    pub fn function(self) -> Kind {
        POINTS[usize::from(self.0)].0
    }

    /// The operation.
    #[must_use]
    pub fn operation(self) -> &'static str {
        POINTS[usize::from(self.0)].1
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.function().logical(), self.operation())
    }
}
