//! Secrets Manager: versions with staging labels.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::base::{
    clock,
    wire::{Call, Failure, Reply},
};

/// Part of every password that the model generates, to recognize it wherever it appears.
pub(crate) const PASSWORD_MARK: &str = "PaSsWoRd";

/// The maximum number of labels on all versions of a secret together.
const LABELS_MAX: usize = 20;

/// The secret for the database that stages can be attached to.
pub(crate) const ORDERS_SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-a1b2c3";

#[derive(Debug, Default, Clone)]
pub(crate) struct Secrets {
    pub(crate) by_arn: BTreeMap<String, Secret>,
    passwords: u64,
    made: u64,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) versions: BTreeMap<String, Version>,
}

#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) value: String,
    pub(crate) labels: BTreeSet<String>,
    /// When it was stored.
    at: u64,
}

fn missing(words: &str) -> Failure {
    Failure::new(400, "ResourceNotFoundException", words)
}

impl Secret {
    fn labelled(&self, label: &str) -> Option<&str> {
        self.versions.iter().find(|(_, version)| version.labels.contains(label)).map(|(id, _)| id.as_str())
    }

    /// The labels of all versions.
    pub(crate) fn labels(&self) -> BTreeSet<&str> {
        self.versions.values().flat_map(|version| version.labels.iter().map(String::as_str)).collect()
    }

    /// The value that clients read.
    pub(crate) fn current(&self) -> Option<Value> {
        let version = self.versions.get(self.labelled("AWSCURRENT")?)?;
        serde_json::from_str(&version.value).ok()
    }

    /// Moves a label to a version. The version that was current becomes the previous one.
    fn label(&mut self, id: &str, label: &str) {
        let before = self.labelled(label).map(str::to_owned);
        if before.as_deref() == Some(id) {
            return;
        }
        for version in self.versions.values_mut() {
            version.labels.remove(label);
        }
        if label == "AWSCURRENT"
            && let Some(before) = before
        {
            self.label(&before, "AWSPREVIOUS");
        }
        if let Some(version) = self.versions.get_mut(id) {
            version.labels.insert(label.to_owned());
        }
    }
}

impl Secrets {
    /// CloudFormation creates a secret. `None` means that one with this name exists.
    pub(crate) fn create(&mut self, name: &str) -> Option<String> {
        if self.by_arn.values().any(|secret| secret.name == name) {
            return None;
        }
        self.made += 1;
        let arn = format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-{:06}", self.made);
        self.by_arn.insert(arn.clone(), Secret { name: name.to_owned(), ..Secret::default() });
        Some(arn)
    }

    /// Someone writes new credentials to the secret for their database. Returns the password.
    pub(crate) fn rotate(&mut self) -> String {
        self.passwords += 1;
        let password = format!("{PASSWORD_MARK}theirs{:04}", self.passwords);
        let value = json!({"username": "theirs", "password": password}).to_string();
        let secret = self.by_arn.entry(ORDERS_SECRET.to_owned()).or_default();
        "orders".clone_into(&mut secret.name);
        let version = format!("theirs-{}", self.passwords);
        secret.versions.insert(version.clone(), Version { value, labels: BTreeSet::new(), at: 0 });
        secret.label(&version, "AWSCURRENT");
        password
    }

    fn find(&mut self, call: &Call) -> Result<(String, &mut Secret), Failure> {
        let id = call.text("SecretId").unwrap_or_default();
        let found = self.by_arn.iter_mut().find(|(arn, secret)| *arn == id || secret.name == id);
        let words = "Secrets Manager can't find the specified secret.";
        found.map(|(arn, secret)| (arn.clone(), secret)).ok_or_else(|| missing(words))
    }

    pub(crate) fn call(&mut self, call: &Call, now: u64) -> Result<Reply, Failure> {
        let value = match call.operation.as_str() {
            "CreateSecret" => {
                let name = call.text("Name").unwrap_or_default();
                let arn = self.create(name).ok_or_else(|| {
                    let words = format!("The operation failed because the secret {name} already exists.");
                    Failure::new(400, "ResourceExistsException", words)
                })?;
                json!({"ARN": arn, "Name": name})
            }
            "DeleteSecret" => {
                let (arn, _) = self.find(call)?;
                self.by_arn.remove(&arn);
                json!({"ARN": arn})
            }
            "GetSecretValue" => self.get(call)?,
            "DescribeSecret" => {
                let (arn, secret) = self.find(call)?;
                let stages: BTreeMap<_, _> = secret
                    .versions
                    .iter()
                    .filter(|(_, version)| !version.labels.is_empty())
                    .map(|(id, version)| (id.clone(), json!(version.labels)))
                    .collect();
                json!({"ARN": arn, "Name": secret.name, "VersionIdsToStages": stages})
            }
            "PutSecretValue" => self.put(call, now)?,
            "UpdateSecretVersionStage" => self.update_stage(call)?,
            "GetRandomPassword" => {
                self.passwords += 1;
                json!({"RandomPassword": format!("{PASSWORD_MARK}{:024}", self.passwords)})
            }
            _ => return Err(Failure::new(400, "UnknownOperationException", call.operation.clone())),
        };
        Ok(Reply::Json(value))
    }

    fn get(&mut self, call: &Call) -> Result<Value, Failure> {
        let (arn, secret) = self.find(call)?;
        let label = call.text("VersionStage").unwrap_or("AWSCURRENT");
        let id = match call.text("VersionId") {
            Some(id) => id,
            None => secret.labelled(label).ok_or_else(|| {
                missing(&format!(
                    "Secrets Manager can't find the specified secret value for staging label: {label}"
                ))
            })?,
        };
        let version = secret.versions.get(id).ok_or_else(|| missing("no such version"))?;
        Ok(json!({
            "ARN": arn, "Name": secret.name, "VersionId": id, "SecretString": version.value,
            "VersionStages": version.labels, "CreatedDate": clock::seconds(version.at),
        }))
    }

    fn put(&mut self, call: &Call, now: u64) -> Result<Value, Failure> {
        let (arn, secret) = self.find(call)?;
        let token = call.text("ClientRequestToken").unwrap_or_default().to_owned();
        if !(32..=64).contains(&token.len()) {
            return Err(Failure::new(
                400,
                "InvalidParameterException",
                "ClientRequestToken has 32 to 64 characters",
            ));
        }
        let value = call.text("SecretString").unwrap_or_default().to_owned();
        let labels =
            call.json()["VersionStages"].as_array().cloned().unwrap_or_else(|| vec![json!("AWSCURRENT")]);
        match secret.versions.get(&token) {
            Some(version) if version.value == value => {}
            Some(_) => {
                let words = "You can't use ClientRequestToken because that value is already in use for a version of secret.";
                return Err(Failure::new(400, "ResourceExistsException", format!("{words} {arn}")));
            }
            None => {
                let all = secret.labels();
                let new = labels.iter().filter_map(Value::as_str).filter(|l| !all.contains(*l)).count();
                if all.len() + new > LABELS_MAX {
                    return Err(Failure::new(400, "LimitExceededException", "too many staging labels"));
                }
                secret.versions.insert(token.clone(), Version { value, labels: BTreeSet::new(), at: now });
                for label in labels.iter().filter_map(Value::as_str) {
                    secret.label(&token, label);
                }
            }
        }
        Ok(json!({"ARN": arn, "Name": secret.name, "VersionId": token}))
    }

    fn update_stage(&mut self, call: &Call) -> Result<Value, Failure> {
        let (arn, secret) = self.find(call)?;
        let label = call.text("VersionStage").unwrap_or_default();
        let from = call.text("RemoveFromVersionId");
        let has = secret.labelled(label).map(str::to_owned);
        if let Some(to) = call.text("MoveToVersionId") {
            if !secret.versions.contains_key(to) {
                return Err(missing("no such version"));
            }
            // To move a label from another version, the call must name that version.
            if has.is_some() && has.as_deref() != Some(to) && has.as_deref() != from {
                let words =
                    "The parameter RemoveFromVersionId can't be empty or another version than has the label.";
                return Err(Failure::new(400, "InvalidParameterException", words));
            }
            secret.label(to, label);
        } else if let Some(from) = from {
            if has.as_deref() != Some(from) {
                return Err(Failure::new(
                    400,
                    "InvalidParameterException",
                    "the version does not have that label",
                ));
            }
            if let Some(version) = secret.versions.get_mut(from) {
                version.labels.remove(label);
            }
        }
        Ok(json!({"ARN": arn, "Name": secret.name}))
    }
}
