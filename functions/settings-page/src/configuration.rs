//! What the template tells the page.

use lambda::MissingVariable;
use serde_json::json;

/// Where people sign in, from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Who signs the tokens: the address of the user pool.
    pub issuer: String,
    /// Cognito's managed login, `https://{domain}.auth.{region}.amazoncognito.com`.
    pub login_url: String,
    /// The client that the page is to the user pool.
    pub client_id: String,
    /// The region that the page's hints for the command line name.
    pub region: String,
}

impl Configuration {
    /// Read once, at the start.
    ///
    /// # Errors
    /// The first variable that is not set.
    pub fn from_environment() -> Result<Self, MissingVariable> {
        Ok(Self {
            issuer: lambda::required("ISSUER")?,
            login_url: lambda::required("LOGIN_URL")?,
            client_id: lambda::required("USER_POOL_CLIENT_ID")?,
            region: lambda::required("AWS_REGION")?,
        })
    }

    /// `GET /config.json`: nothing in it is a secret.
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
