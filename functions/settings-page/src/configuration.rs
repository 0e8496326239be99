//! The page's configuration, from the template.

use lambda::MissingVariable;
use serde_json::json;

/// Where users sign in, from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The issuer of the tokens: the URL of the user pool.
    pub issuer: String,
    /// Cognito's managed login, `https://{domain}.auth.{region}.amazoncognito.com`.
    pub login_url: String,
    /// The ID of the page's app client in the user pool.
    pub client_id: String,
    /// The Region, for the AWS CLI commands that the page shows.
    pub region: String,
}

impl Configuration {
    /// Reads the configuration once, when the function starts.
    ///
    /// # Errors
    /// The first variable that isn't set.
    pub fn from_environment() -> Result<Self, MissingVariable> {
        Ok(Self {
            issuer: lambda::required("ISSUER")?,
            login_url: lambda::required("LOGIN_URL")?,
            client_id: lambda::required("USER_POOL_CLIENT_ID")?,
            region: lambda::required("AWS_REGION")?,
        })
    }

    /// `GET /config.json`. It contains no secret.
    pub(crate) fn for_the_page(&self) -> String {
        json!({
            "issuer": self.issuer,
            "loginUrl": self.login_url,
            "clientId": self.client_id,
            "region": self.region,
        })
        .to_string()
    }
}
