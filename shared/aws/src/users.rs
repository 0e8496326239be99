//! Cognito: the sessions of users.

use aws_config::SdkConfig;
use serde_json::json;

use crate::{AwsError, json::Json};

/// The users of the API.
#[derive(Debug, Clone)]
pub struct Users {
    json: Json,
    pool_id: String,
}

impl Users {
    /// The user pool with this ID, in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig, pool_id: String) -> Self {
        Self { json: Json::new(config, "cognito-idp", "AWSCognitoIdentityProviderService"), pool_id }
    }

    /// Ends every session of a user. Access tokens that were issued before stay valid until they expire. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn sign_out_everywhere(&self, username: &str) -> Result<(), AwsError> {
        let body = json!({"UserPoolId": self.pool_id, "Username": username});
        self.json.call("AdminUserGlobalSignOut", body).await.map(|_| ())
    }
}
