//! Systems Manager: which stages are protected. CloudFormation can't note it on the stage stack while it's updating it.

use aws_config::SdkConfig;
use database::Stage;
use serde_json::{Value, json};

use crate::{AwsError, json::Json};

/// The parameters that say which stages are protected.
#[derive(Debug, Clone)]
pub struct Protections {
    json: Json,
}

impl Protections {
    /// Parameters in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { json: Json::new(config, "ssm", "AmazonSSM") }
    }

    /// Whether a stage is protected.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn is_protected(&self, stage: &Stage) -> Result<bool, AwsError> {
        match self.json.call("GetParameter", json!({"Name": stage.protection_parameter()})).await {
            Err(error) if error.code == "ParameterNotFound" => Ok(false),
            // Anything that can't be read protects.
            reply => Ok(value(reply?.get("Parameter")).is_none_or(|(is_on, _)| is_on)),
        }
    }

    /// Protects a stage, or ends its protection. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn protect(&self, stage: &Stage, is_on: bool, token: &str) -> Result<(), AwsError> {
        let value = format!("{} {token}", if is_on { ON } else { OFF });
        let body = json!({
            "Name": stage.protection_parameter(), "Value": value, "Type": "String", "Overwrite": true,
        });
        self.json.call("PutParameter", body).await.map(|_| ())
    }

    /// The tokens of the latest changes of a stage's protection: at most 100, because Systems Manager keeps as many
    /// versions of a parameter.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn changes(&self, stage: &Stage) -> Result<Vec<String>, AwsError> {
        let (mut tokens, mut next) = (Vec::new(), None);
        loop {
            let body = json!({"Name": stage.protection_parameter(), "MaxResults": 50, "NextToken": next});
            let reply = match self.json.call("GetParameterHistory", body).await {
                Err(error) if error.code == "ParameterNotFound" => return Ok(tokens),
                reply => reply?,
            };
            let versions = reply.get("Parameters").and_then(Value::as_array).map(Vec::as_slice);
            let found = versions.unwrap_or_default().iter().filter_map(|version| value(Some(version)));
            tokens.extend(found.map(|(_, token)| token.to_owned()));
            next =
                reply.get("NextToken").and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
            if next.is_none() {
                return Ok(tokens);
            }
        }
    }
}

const ON: &str = "protected-by";
const OFF: &str = "unprotected-by";

/// Whether a version of the parameter protects, and the token of its change.
fn value(parameter: Option<&Value>) -> Option<(bool, &str)> {
    let (word, token) = parameter?.get("Value")?.as_str()?.split_once(' ')?;
    [(ON, true), (OFF, false)].into_iter().find(|(known, _)| *known == word).map(|(_, is_on)| (is_on, token))
}
