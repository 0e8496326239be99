//! What the template tells the API.

use lambda::MissingVariable;

/// The names that stage stacks need, from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The function behind `Custom::PostgresCredentials` and `Custom::PostgresConnection`.
    pub credentials_function_arn: String,
    /// The function behind `Custom::PostgresDatabase`.
    pub database_function_arn: String,
    /// The role with which CloudFormation changes stage stacks.
    pub stage_stack_role_arn: String,
    /// The PostgreSQL version of new databases.
    pub engine_version: String,
}

impl Configuration {
    /// Read once, at the start.
    ///
    /// # Errors
    /// The first variable that is not set.
    pub fn from_environment() -> Result<Self, MissingVariable> {
        Ok(Self {
            credentials_function_arn: lambda::required("CREDENTIALS_FUNCTION_ARN")?,
            database_function_arn: lambda::required("DATABASE_FUNCTION_ARN")?,
            stage_stack_role_arn: lambda::required("STAGE_STACK_ROLE_ARN")?,
            engine_version: lambda::required("ENGINE_VERSION")?,
        })
    }
}
