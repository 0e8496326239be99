//! The functions of the application.

/// One of the application's functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// The HTTP API.
    SettingsApi,
    /// Implements `Custom::PostgresDatabase` and `Custom::PostgresProof`.
    DatabaseResource,
    /// One step of a database.
    DatabaseProgress,
    /// One step of a client.
    ClientProgress,
    /// Implements `Custom::PostgresCredentials` and `Custom::PostgresConnection`.
    CredentialsResource,
    /// Implements `Custom::PostgresAccess`.
    AccessResource,
    /// Handles the events of stage stacks.
    PublishVariables,
}

impl Kind {
    /// All functions.
    pub(crate) const ALL: [Self; 7] = [
        Self::SettingsApi,
        Self::DatabaseResource,
        Self::DatabaseProgress,
        Self::ClientProgress,
        Self::CredentialsResource,
        Self::AccessResource,
        Self::PublishVariables,
    ];

    /// The function with this name in the template.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.logical() == name)
    }

    /// The logical ID in the template.
    pub(crate) fn logical(self) -> &'static str {
        match self {
            Self::SettingsApi => "SettingsApi",
            Self::DatabaseResource => "DatabaseResource",
            Self::DatabaseProgress => "DatabaseProgress",
            Self::ClientProgress => "ClientProgress",
            Self::CredentialsResource => "CredentialsResource",
            Self::AccessResource => "AccessResource",
            Self::PublishVariables => "PublishVariables",
        }
    }

    /// The ARN in the stage stack's parameters.
    pub(crate) fn arn(self) -> String {
        format!("arn:aws:lambda:us-east-1:123456789012:function:{}", self.logical())
    }

    pub(crate) fn of_arn(arn: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| arn == kind.arn())
    }
}
