//! ECS: services, task definitions, and the values that the containers of a deployment received when they started.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::secrets::Secrets;
use crate::base::wire::{Call, Failure, Reply};

/// The container of every service.
pub(crate) const CONTAINER: &str = "app";
/// The security group of every service.
pub(crate) const SECURITY_GROUP: &str = "sg-service";
/// The cluster of every service.
pub(crate) const CLUSTER: &str = "demo";

#[derive(Debug, Default, Clone)]
pub(crate) struct Ecs {
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) definitions: BTreeMap<String, Value>,
    deployments: u64,
    /// Container starts that failed because an existing secret lacked a value.
    pub(crate) incomplete: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) arn: String,
    pub(crate) definition: String,
    pub(crate) tags: BTreeMap<String, String>,
    /// Its number and start time.
    pub(crate) deployment: (u64, u64),
    /// The variables of the newest deployment's containers. `None` means that the start failed because of this key.
    pub(crate) variables: BTreeMap<String, Option<String>>,
}

/// How long ECS takes to replace tasks, in milliseconds.
const ROLLOUT: u64 = 60_000;

fn no(code: &'static str, words: &str) -> Failure {
    Failure::new(400, code, words)
}

impl Ecs {
    /// A new service as a user creates it, with its own variables.
    pub(crate) fn make(&mut self, name: &str, secrets: &Secrets) {
        let definition = json!({
            "family": name,
            "executionRoleArn": "arn:aws:iam::123456789012:role/execution",
            "networkMode": "awsvpc",
            "containerDefinitions": [{
                "name": CONTAINER, "image": "app:1", "essential": true,
                "environment": [{"name": "DEBUG", "value": "0"}], "secrets": [],
            }],
        });
        let definition = self.register(definition);
        let service = Service {
            arn: format!("arn:aws:ecs:us-east-1:123456789012:service/{CLUSTER}/{name}"),
            definition: String::new(),
            tags: BTreeMap::new(),
            deployment: (0, 0),
            variables: BTreeMap::new(),
        };
        self.services.insert(name.to_owned(), service);
        self.deploy(name, Some(definition), 0, secrets);
    }

    pub(crate) fn register(&mut self, mut definition: Value) -> String {
        let family = definition["family"].as_str().unwrap_or_default().to_owned();
        let revision = 1 + self.definitions.values().filter(|d| d["family"] == *family).count();
        let arn = format!("arn:aws:ecs:us-east-1:123456789012:task-definition/{family}:{revision}");
        definition["taskDefinitionArn"] = json!(arn);
        definition["revision"] = json!(revision);
        definition["status"] = json!("ACTIVE");
        self.definitions.insert(arn.clone(), definition);
        arn
    }

    /// Starts a deployment. Its containers read their secrets when they start.
    pub(crate) fn deploy(&mut self, name: &str, definition: Option<String>, now: u64, secrets: &Secrets) {
        self.deployments += 1;
        let deployments = self.deployments;
        let Some(service) = self.services.get_mut(name) else { return };
        service.definition = definition.unwrap_or_else(|| service.definition.clone());
        service.deployment = (deployments, now);
        self.restart(name, secrets);
    }

    /// Replaces tasks with new ones of the same deployment.
    pub(crate) fn restart(&mut self, name: &str, secrets: &Secrets) {
        let Some(service) = self.services.get_mut(name) else { return };
        let container = &self.definitions[&service.definition]["containerDefinitions"][0];
        let mut variables = BTreeMap::new();
        for pair in container["environment"].as_array().into_iter().flatten() {
            variables.insert(text(&pair["name"]), Some(text(&pair["value"])));
        }
        for pair in container["secrets"].as_array().into_iter().flatten() {
            let parts: Vec<_> = text(&pair["valueFrom"]).split(':').map(str::to_owned).collect();
            let (arn, key) =
                (parts.get(..7).unwrap_or_default().join(":"), parts.get(7).cloned().unwrap_or_default());
            let value = secrets.by_arn.get(&arn).and_then(super::secrets::Secret::current);
            if value.as_ref().is_some_and(|value| value.get(&key).is_none()) {
                self.incomplete.push(format!("a container of {name} started without a {key} in its secret"));
            }
            let value = value.and_then(|value| match value.get(&key) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
                None => None,
            });
            variables.insert(text(&pair["name"]), value);
        }
        service.variables = variables;
    }

    pub(crate) fn call(&mut self, call: &Call, now: u64, secrets: &Secrets) -> Result<Reply, Failure> {
        let body = call.json();
        let value = match call.operation.as_str() {
            "DescribeServices" => {
                if body["cluster"] != CLUSTER {
                    return Err(no("ClusterNotFoundException", "Cluster not found."));
                }
                let named = body["services"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let found: Vec<_> =
                    named.filter_map(|name| self.services.get(name)).map(|s| describe(s, now)).collect();
                json!({"services": found, "failures": []})
            }
            "DescribeTaskDefinition" => {
                let definition = self.definitions.get(call.text("taskDefinition").unwrap_or_default());
                let definition =
                    definition.ok_or_else(|| no("ClientException", "Unable to describe task definition."))?;
                json!({"taskDefinition": definition, "tags": []})
            }
            "RegisterTaskDefinition" => {
                let arn = self.register(body.clone());
                json!({"taskDefinition": self.definitions[&arn]})
            }
            "UpdateService" => {
                let name = call.text("service").unwrap_or_default().to_owned();
                if !self.services.contains_key(&name) {
                    return Err(no("ServiceNotFoundException", "Service not found."));
                }
                self.deploy(&name, call.text("taskDefinition").map(str::to_owned), now, secrets);
                json!({"service": describe(&self.services[&name], now)})
            }
            "TagResource" => {
                let arn = call.text("resourceArn").unwrap_or_default();
                let service = self.services.values_mut().find(|service| service.arn == arn);
                let service = service.ok_or_else(|| no("ResourceNotFoundException", "no such resource"))?;
                for tag in body["tags"].as_array().into_iter().flatten() {
                    service.tags.insert(text(&tag["key"]), text(&tag["value"]));
                }
                json!({})
            }
            _ => return Err(no("UnknownOperationException", &call.operation)),
        };
        Ok(Reply::Json(value))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn describe(service: &Service, now: u64) -> Value {
    let (number, since) = service.deployment;
    let state = if now < since + ROLLOUT { "IN_PROGRESS" } else { "COMPLETED" };
    let tags: Vec<_> = service.tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let at = |millis: u64| millis / 1000 + crate::base::clock::BEGINNING.unix_timestamp().unsigned_abs();
    json!({
        "serviceArn": service.arn,
        "serviceName": service.arn.rsplit('/').next(),
        "status": "ACTIVE",
        "taskDefinition": service.definition,
        "deploymentController": {"type": "ECS"},
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1", "subnet-2"], "securityGroups": [SECURITY_GROUP]}},
        "deployments": [{
            "id": format!("ecs-svc/{number}"), "status": "PRIMARY", "taskDefinition": service.definition, "rolloutState": state,
            "createdAt": at(since), "updatedAt": at(since + ROLLOUT),
        }],
        "tags": tags,
    })
}
