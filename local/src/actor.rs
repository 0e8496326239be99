//! Somebody who makes calls to the local AWS with credentials of their own.

use anyhow::Context as _;
use aws_credential_types::Credentials;
use serde_json::Value;

use crate::{artifacts, control, http::Http, local_aws::LocalAws, start};

/// Who makes calls: a role, or nobody.
#[derive(Debug)]
pub struct Actor {
    http: Http,
}

impl LocalAws {
    /// One of the roles of the application's template, by its logical ID, with credentials for this many seconds.
    /// Negative: they have expired.
    ///
    /// # Errors
    /// There is no such role.
    pub fn as_role(&self, logical_id: &str, seconds: i64) -> anyhow::Result<Actor> {
        let arn = self.role_arn(logical_id)?;
        self.acting_as(arn.rsplit('/').next().unwrap_or_default(), seconds)
    }

    /// The ARN of one of the roles of the application's template.
    ///
    /// # Errors
    /// There is no such role.
    pub fn role_arn(&self, logical_id: &str) -> anyhow::Result<String> {
        let roles = self.aws(&["iam", "list-roles"])?;
        let prefix = format!(":role/stagedb-{logical_id}-");
        let arns = roles.get("Roles").and_then(Value::as_array).into_iter().flatten();
        let mut arns = arns.filter_map(|role| role.get("Arn")?.as_str());
        let arn = arns.find(|arn| arn.contains(&prefix)).with_context(|| format!("no role {logical_id}"))?;
        Ok(arn.to_owned())
    }

    /// Any role, by its name.
    ///
    /// # Errors
    /// There is no such role.
    pub fn acting_as(&self, role: &str, seconds: i64) -> anyhow::Result<Actor> {
        let credentials = control::credentials(self.http(), role, "test", seconds)?;
        Ok(Actor { http: self.http().with(Some(credentials)) })
    }

    /// An address at which a function can put an answer, as CloudFormation makes one.
    ///
    /// # Errors
    /// It can't be signed.
    pub fn address_for_answers(&self) -> anyhow::Result<String> {
        self.http().presigned_put(&format!("/{}/answer", artifacts::BUCKET))
    }

    /// The address at which the local AWS serves an API.
    ///
    /// # Errors
    /// It isn't the URL of an API.
    pub(crate) fn reachable(&self, api_url: &str) -> anyhow::Result<String> {
        start::reachable(self.endpoint(), api_url)
    }

    /// Someone with these keys.
    #[must_use]
    pub fn with_keys(&self, key: &str, secret: &str) -> Actor {
        Actor { http: self.http().with(Some(Credentials::new(key, secret, None, None, "test"))) }
    }

    /// Someone who doesn't sign.
    #[must_use]
    pub fn as_nobody(&self) -> Actor {
        Actor { http: self.http().with(None) }
    }
}

impl Actor {
    /// The same one in another Region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self { http: self.http.in_region(region) }
    }

    /// Someone who has the key, but not the secret.
    #[must_use]
    pub fn with_secret(&self, secret: &str) -> Self {
        Self { http: self.http.with_secret(secret) }
    }

    /// Makes one call to a service that uses JSON 1.1.
    ///
    /// # Errors
    /// Contains the service's error code and message.
    pub fn json(&self, target: &str, body: &Value) -> anyhow::Result<Value> {
        self.http.json(target, body)
    }

    /// Makes one call to a service that uses the Query protocol, and returns the XML.
    ///
    /// # Errors
    /// Contains the service's error code and message.
    pub fn query(&self, service: &str, version: &str, fields: &[(&str, &str)]) -> anyhow::Result<String> {
        self.http.query(service, version, fields)
    }
}
