//! A user of the application, and access tokens for this user.

use std::fs::File;
use std::io::Read as _;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::http::Http;

/// The user that `cargo local` creates.
pub(crate) const USERNAME: &str = "demo@example.com";

/// The group of users who may do everything.
pub(crate) const ADMINS: &str = "stagedb-admin";

/// Creates a user who is in these groups, and returns the password. A group that doesn't exist is created.
pub(crate) fn make_user(http: &Http, pool: &str, username: &str, groups: &[&str]) -> anyhow::Result<String> {
    let password = random_password()?;
    call(
        http,
        "AdminCreateUser",
        &json!({
            "UserPoolId": pool,
            "Username": username,
            "MessageAction": "SUPPRESS",
            "UserAttributes": [{"Name": "email", "Value": username}, {"Name": "email_verified", "Value": "true"}],
        }),
    )?;
    call(
        http,
        "AdminSetUserPassword",
        &json!({"UserPoolId": pool, "Username": username, "Password": password, "Permanent": true}),
    )?;
    for group in groups {
        add_to_group(http, pool, username, group)?;
    }
    Ok(password)
}

/// Adds a user to a group, which is created if it doesn't exist.
pub(crate) fn add_to_group(http: &Http, pool: &str, username: &str, group: &str) -> anyhow::Result<()> {
    let in_group = json!({"UserPoolId": pool, "Username": username, "GroupName": group});
    if call(http, "AdminAddUserToGroup", &in_group).is_err() {
        call(http, "CreateGroup", &json!({"UserPoolId": pool, "GroupName": group}))?;
        call(http, "AdminAddUserToGroup", &in_group)?;
    }
    Ok(())
}

/// A new access token. Only access tokens carry the scope that the API requires.
pub(crate) fn token(
    http: &Http,
    pool: &str,
    client: &str,
    username: &str,
    password: &str,
) -> anyhow::Result<String> {
    let answer = call(
        http,
        "AdminInitiateAuth",
        &json!({
            "UserPoolId": pool,
            "ClientId": client,
            "AuthFlow": "ADMIN_USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": username, "PASSWORD": password},
        }),
    )?;
    let token = answer.pointer("/AuthenticationResult/AccessToken").and_then(Value::as_str);
    Ok(token.context("Cognito returned no access token")?.to_owned())
}

fn call(http: &Http, operation: &str, body: &Value) -> anyhow::Result<Value> {
    http.json(&format!("AWSCognitoIdentityProviderService.{operation}"), body)
}

/// 128 random bits from the operating system, in a form that any password policy accepts, and RDS.
pub(crate) fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .context("cannot get random numbers from the operating system")?;
    Ok(format!("Aa1-{:032x}", u128::from_ne_bytes(bytes)))
}
