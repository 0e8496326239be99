//! The API's configuration, from the template.

use database::{EngineVersion, Role, RolePatterns, SettingError};
use lambda::MissingVariable;
use thiserror::Error;

/// An environment variable is missing or isn't valid.
#[derive(Debug, Error)]
pub enum ConfigurationError {
    /// A variable isn't set.
    #[error(transparent)]
    Missing(#[from] MissingVariable),
    /// The role of users without a group isn't one.
    #[error("the environment variable ROLE_WITHOUT_GROUP must be viewer or none")]
    RoleWithoutGroup,
    /// The default version isn't valid.
    #[error("the environment variable ENGINE_VERSION {0}")]
    EngineVersion(#[from] SettingError),
}

/// What stage stacks need, from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The function behind `Custom::PostgresCredentials` and `Custom::PostgresConnection`.
    pub credentials_function_arn: String,
    /// The function behind `Custom::PostgresDatabase`.
    pub database_function_arn: String,
    /// The function behind `Custom::PostgresAccess`.
    pub access_function_arn: String,
    /// The image of the client that tests connections.
    pub client_image: String,
    /// The execution role of the client that sets up logins.
    pub logins_role_arn: String,
    /// The log group for what clients write.
    pub client_log_group: String,
    /// The function that tests connections, which the state machine calls.
    pub client_progress_arn: String,
    /// The state machine.
    pub state_machine_arn: String,
    /// The role that CloudFormation uses for stage stacks.
    pub stage_stack_role_arn: String,
    /// The PostgreSQL version of new databases.
    pub engine_version: EngineVersion,
    /// The roles that stagedb may pass to ECS.
    pub task_roles: RolePatterns,
    /// The log group with the history of each stage.
    pub history_log_group: String,
    /// The user pool with the users of the API.
    pub user_pool_id: String,
    /// The role of every user who can sign in. `None`: no access without a group.
    pub role_without_group: Option<Role>,
}

impl Configuration {
    /// Reads the configuration once, when the function starts.
    ///
    /// # Errors
    /// The first variable that isn't set, or isn't valid.
    pub fn from_environment() -> Result<Self, ConfigurationError> {
        Ok(Self {
            credentials_function_arn: lambda::required("CREDENTIALS_FUNCTION_ARN")?,
            database_function_arn: lambda::required("DATABASE_FUNCTION_ARN")?,
            access_function_arn: lambda::required("ACCESS_FUNCTION_ARN")?,
            client_image: lambda::required("CLIENT_IMAGE")?,
            logins_role_arn: lambda::required("LOGINS_ROLE_ARN")?,
            client_log_group: lambda::required("CLIENT_LOG_GROUP")?,
            client_progress_arn: lambda::required("CLIENT_PROGRESS_ARN")?,
            state_machine_arn: lambda::required("STATE_MACHINE_ARN")?,
            stage_stack_role_arn: lambda::required("STAGE_STACK_ROLE_ARN")?,
            engine_version: EngineVersion::try_from(lambda::required("ENGINE_VERSION")?)?,
            task_roles: RolePatterns::from(lambda::required("TASK_ROLES")?.as_str()),
            history_log_group: lambda::required("HISTORY_LOG_GROUP")?,
            user_pool_id: lambda::required("USER_POOL_ID")?,
            role_without_group: match lambda::required("ROLE_WITHOUT_GROUP")?.as_str() {
                "none" => None,
                "viewer" => Some(Role::Viewer),
                _ => return Err(ConfigurationError::RoleWithoutGroup),
            },
        })
    }
}
