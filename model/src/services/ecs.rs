//! ECS: services, task definitions, deployments, and the values that the containers of a deployment received when they
//! started.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{begun::Begun, secrets::Secrets};
use crate::base::{
    clock::seconds,
    wire::{Call, Failure, Reply},
};

/// The container of every task definition.
pub(crate) const CONTAINER: &str = "app";
/// The security group of every web service.
pub(crate) const SECURITY_GROUP: &str = "sg-0web";
/// The security group of every worker.
const WORKER_GROUP: &str = "sg-0worker";
/// The cluster of every service.
pub(crate) const CLUSTER: &str = "demo";
/// The tag of an image that doesn't start.
pub(crate) const BROKEN: &str = "broken";

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
    group: &'static str,
    pub(crate) tags: BTreeMap<String, String>,
    /// Newest first. The first one replaces the others.
    pub(crate) deployments: Vec<Deployment>,
    /// The task definition of the last deployment that completed.
    completed: Option<String>,
    /// The variables of the newest deployment's containers. `None` means that the start failed because of this key.
    pub(crate) variables: BTreeMap<String, Option<String>>,
    /// The image that the team deployed last, or that ECS went back to.
    pub(crate) image: String,
    /// Whether the team's own definition refers to the stage's secret.
    pub(crate) team_refers: bool,
    /// When the team deployed without the variables.
    pub(crate) lacking: Vec<u64>,
    /// Deployments that others have replaced, whose tasks may still be running.
    retired: Vec<Deployment>,
    /// How often ECS went back to an earlier definition.
    pub(crate) rolled_back: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) number: u64,
    pub(crate) at: u64,
    pub(crate) definition: String,
    failed: bool,
    is_rollback: bool,
    /// The variables that its containers got when they started.
    pub(crate) variables: BTreeMap<String, Option<String>>,
    /// Until when its tasks run, once another deployment has replaced it.
    until: Option<u64>,
}

/// How long ECS takes to replace tasks, in milliseconds.
pub(crate) const ROLLOUT: u64 = 60_000;
/// How long tasks that were replaced keep running, in milliseconds.
const DRAINING: u64 = 20_000;

/// Whether this is the ARN of a service's task.
pub(crate) fn is_of_service(arn: &str) -> bool {
    arn.contains("/of-")
}

fn no(code: &'static str, words: &str) -> Failure {
    Failure::new(400, code, words)
}

impl Service {
    pub(crate) fn definition(&self) -> &str {
        self.deployments.first().map_or("", |deployment| &deployment.definition)
    }

    /// The deployments whose tasks are running.
    pub(crate) fn running(&self, now: u64) -> impl Iterator<Item = &Deployment> {
        let live = self.deployments.iter().filter(|deployment| !deployment.failed);
        live.chain(
            self.retired.iter().filter(move |deployment| deployment.until.is_some_and(|until| until > now)),
        )
    }
}

impl Ecs {
    /// A new service as a user creates it, with its own variables.
    pub(crate) fn make(&mut self, name: &str, secrets: &Secrets) {
        let definition = self.register(definition(name), 0);
        let service = Service {
            arn: format!("arn:aws:ecs:us-east-1:123456789012:service/{CLUSTER}/{name}"),
            group: if name.ends_with("-worker") { WORKER_GROUP } else { SECURITY_GROUP },
            tags: BTreeMap::new(),
            deployments: Vec::new(),
            completed: Some(definition.clone()),
            variables: BTreeMap::new(),
            image: "app:1".to_owned(),
            team_refers: false,
            lacking: Vec::new(),
            retired: Vec::new(),
            rolled_back: 0,
        };
        self.services.insert(name.to_owned(), service);
        self.deploy(name, Some(definition), 0, secrets);
    }

    /// A new task definition for a job.
    pub(crate) fn make_job(&mut self, family: &str) {
        self.register(definition(family), 0);
    }

    pub(crate) fn register(&mut self, mut definition: Value, now: u64) -> String {
        let family = definition["family"].as_str().unwrap_or_default().to_owned();
        let revision = 1 + self.definitions.values().filter(|d| d["family"] == *family).count();
        let arn = format!("arn:aws:ecs:us-east-1:123456789012:task-definition/{family}:{revision}");
        definition["taskDefinitionArn"] = json!(arn);
        definition["revision"] = json!(revision);
        definition["status"] = json!("ACTIVE");
        definition["registeredAt"] = json!(seconds(now));
        self.definitions.insert(arn.clone(), definition);
        arn
    }

    /// The latest revision of a family.
    pub(crate) fn latest(&self, family: &str) -> Option<&Value> {
        let revisions = self.definitions.values().filter(|definition| definition["family"] == family);
        revisions.max_by_key(|definition| definition["revision"].as_u64())
    }

    /// Starts a deployment, and returns its number. Its containers read their secrets when they start.
    pub(crate) fn deploy(
        &mut self,
        name: &str,
        definition: Option<String>,
        now: u64,
        secrets: &Secrets,
    ) -> Option<u64> {
        self.start(name, definition, now, secrets, false)
    }

    fn start(
        &mut self,
        name: &str,
        definition: Option<String>,
        now: u64,
        secrets: &Secrets,
        is_rollback: bool,
    ) -> Option<u64> {
        let service = self.services.get_mut(name)?;
        self.deployments += 1;
        let definition = definition.unwrap_or_else(|| service.definition().to_owned());
        let deployment = Deployment {
            number: self.deployments,
            at: now,
            definition,
            failed: false,
            is_rollback,
            variables: BTreeMap::new(),
            until: None,
        };
        service.deployments.insert(0, deployment);
        self.restart(name, secrets);
        Some(self.deployments)
    }

    /// Completes a deployment, or gives it up if its image doesn't start. Returns the number of the deployment that goes
    /// back to an earlier definition, if there is one. `None` if it was replaced in the meantime.
    pub(crate) fn end(&mut self, name: &str, number: u64, now: u64, secrets: &Secrets) -> Option<Ended> {
        let service = self.services.get(name)?;
        let primary = service.deployments.first().filter(|primary| primary.number == number)?;
        let is_broken = self.is_broken(&primary.definition);
        let service = self.services.get_mut(name)?;
        if !is_broken {
            let replaced = service.deployments.split_off(1);
            service.retired.retain(|deployment| deployment.until.is_some_and(|until| until > now));
            let retire = |deployment: Deployment| Deployment { until: Some(now + DRAINING), ..deployment };
            service.retired.extend(replaced.into_iter().filter(|deployment| !deployment.failed).map(retire));
            service.completed = Some(service.definition().to_owned());
            return Some(Ended::Completed);
        }
        if let Some(primary) = service.deployments.first_mut() {
            primary.failed = true;
        }
        service.rolled_back += 1;
        let Some(before) = service.completed.clone() else { return Some(Ended::Failed(None)) };
        let image = self.image(&before);
        if let Some(service) = self.services.get_mut(name) {
            service.image = image;
        }
        Some(Ended::Failed(self.start(name, Some(before), now, secrets, true)))
    }

    /// Whether a service's container has a variable with this name that isn't a reference.
    pub(crate) fn has_variable(&self, name: &str, variable: &str) -> bool {
        let Some(service) = self.services.get(name) else { return false };
        let container = &self.definitions[service.definition()]["containerDefinitions"][0];
        container["environment"].as_array().into_iter().flatten().any(|pair| pair["name"] == variable)
    }

    pub(crate) fn is_broken(&self, definition: &str) -> bool {
        self.image(definition).ends_with(BROKEN)
    }

    fn image(&self, definition: &str) -> String {
        self.definitions
            .get(definition)
            .map(|d| text(&d["containerDefinitions"][0]["image"]))
            .unwrap_or_default()
    }

    /// Replaces tasks with new ones of the same deployment.
    pub(crate) fn restart(&mut self, name: &str, secrets: &Secrets) {
        let Some(service) = self.services.get_mut(name) else { return };
        let container = &self.definitions[service.definition()]["containerDefinitions"][0];
        let mut variables = BTreeMap::new();
        for pair in container["environment"].as_array().into_iter().flatten() {
            variables.insert(text(&pair["name"]), Some(text(&pair["value"])));
        }
        for pair in container["secrets"].as_array().into_iter().flatten() {
            let parts: Vec<_> = text(&pair["valueFrom"]).split(':').map(str::to_owned).collect();
            let (arn, key) =
                (parts.get(..7).unwrap_or_default().join(":"), parts.get(7).cloned().unwrap_or_default());
            let value = secrets.by_arn.get(&arn).and_then(super::secrets::Secret::current);
            // A team that keeps the references after its database was removed knows what it does.
            if value.as_ref().is_some_and(|value| value.get(&key).is_none()) && !service.team_refers {
                self.incomplete.push(format!("a container of {name} started without a {key} in its secret"));
            }
            let value = value.and_then(|value| match value.get(&key) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
                None => None,
            });
            variables.insert(text(&pair["name"]), value);
        }
        if let Some(newest) = service.deployments.first_mut() {
            newest.variables.clone_from(&variables);
        }
        service.variables = variables;
    }

    /// The tasks of a service, one for each deployment that has some.
    pub(crate) fn tasks_of(&self, name: &str, is_stopping: bool, now: u64) -> Vec<String> {
        let Some(service) = self.services.get(name) else { return Vec::new() };
        let of_status = service.running(now).filter(|deployment| deployment.until.is_some() == is_stopping);
        of_status
            .map(|d| format!("arn:aws:ecs:us-east-1:123456789012:task/{CLUSTER}/of-{name}-{}", d.number))
            .collect()
    }

    /// Describes tasks of services.
    pub(crate) fn described_tasks(&self, call: &Call, now: u64) -> Vec<Value> {
        let arns = call.json()["tasks"].as_array().cloned().unwrap_or_default();
        let described = |arn: &str| {
            let (_, task) = arn.rsplit_once("/of-")?;
            let (name, number) = task.rsplit_once('-')?;
            let service = self.services.get(name)?;
            let deployment =
                service.running(now).find(|deployment| deployment.number.to_string() == number)?;
            let status = if deployment.until.is_some() { "DEACTIVATING" } else { "RUNNING" };
            Some(
                json!({"taskArn": arn, "lastStatus": status, "createdAt": seconds(deployment.at), "containers": []}),
            )
        };
        arns.iter().filter_map(Value::as_str).filter_map(described).collect()
    }

    /// Handles a call. Also returns the deployment that it started.
    pub(crate) fn call(
        &mut self,
        call: &Call,
        now: u64,
        secrets: &Secrets,
    ) -> Result<(Reply, Option<Begun>), Failure> {
        let body = call.json();
        let mut begun = None;
        let value = match call.operation.as_str() {
            "ListClusters" => {
                json!({"clusterArns": [format!("arn:aws:ecs:us-east-1:123456789012:cluster/{CLUSTER}")]})
            }
            "ListServices" => {
                let max = body["maxResults"].as_u64().and_then(|max| usize::try_from(max).ok()).unwrap_or(10);
                let arns: Vec<_> = self.services.values().map(|service| &service.arn).take(max).collect();
                json!({"serviceArns": arns})
            }
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
                let name = call.text("taskDefinition").unwrap_or_default();
                let definition = self.definitions.get(name).or_else(|| self.latest(name));
                let definition =
                    definition.ok_or_else(|| no("ClientException", "Unable to describe task definition."))?;
                json!({"taskDefinition": definition, "tags": []})
            }
            "RegisterTaskDefinition" => {
                let arn = self.register(body.clone(), now);
                json!({"taskDefinition": self.definitions[&arn]})
            }
            "UpdateService" => {
                let name = call.text("service").unwrap_or_default().to_owned();
                if !self.services.contains_key(&name) {
                    return Err(no("ServiceNotFoundException", "Service not found."));
                }
                let number = self.deploy(&name, call.text("taskDefinition").map(str::to_owned), now, secrets);
                let service = describe(&self.services[&name], now);
                begun = number.map(|number| Begun::Deployment(name, number));
                json!({"service": service})
            }
            "TagResource" => {
                let service = self.tagged(call)?;
                for tag in body["tags"].as_array().into_iter().flatten() {
                    service.tags.insert(text(&tag["key"]), text(&tag["value"]));
                }
                json!({})
            }
            "UntagResource" => {
                let service = self.tagged(call)?;
                for key in body["tagKeys"].as_array().into_iter().flatten() {
                    service.tags.remove(&text(key));
                }
                json!({})
            }
            _ => return Err(no("UnknownOperationException", &call.operation)),
        };
        Ok((Reply::Json(value), begun))
    }

    fn tagged(&mut self, call: &Call) -> Result<&mut Service, Failure> {
        let arn = call.text("resourceArn").unwrap_or_default();
        let service = self.services.values_mut().find(|service| service.arn == arn);
        service.ok_or_else(|| no("ResourceNotFoundException", "no such resource"))
    }
}

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Completed,
    /// With the number of the deployment that goes back.
    Failed(Option<u64>),
}

fn definition(family: &str) -> Value {
    json!({
        "family": family,
        "executionRoleArn": format!("arn:aws:iam::123456789012:role/{family}"),
        "networkMode": "awsvpc",
        "containerDefinitions": [{
            "name": CONTAINER, "image": "app:1", "essential": true,
            "environment": [{"name": "DEBUG", "value": "0"}], "secrets": [],
        }],
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn describe(service: &Service, now: u64) -> Value {
    let tags: Vec<_> = service.tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let deployment = |(index, deployment): (usize, &Deployment)| {
        let Deployment { number, at: since, definition, failed, is_rollback, .. } = deployment;
        let (state, reason) = if *failed {
            ("FAILED", "ECS deployment circuit breaker: tasks failed to start.".to_owned())
        } else if now < since + ROLLOUT {
            let words =
                if *is_rollback { "circuit breaker: rolling back to deploymentId" } else { "in progress" };
            ("IN_PROGRESS", format!("ECS deployment {words} ecs-svc/{number}."))
        } else {
            ("COMPLETED", "ECS deployment completed.".to_owned())
        };
        json!({
            "id": format!("ecs-svc/{number}"), "status": if index == 0 { "PRIMARY" } else { "ACTIVE" },
            "taskDefinition": definition, "rolloutState": state, "rolloutStateReason": reason,
            "createdAt": seconds(*since), "updatedAt": seconds(since + ROLLOUT),
        })
    };
    json!({
        "serviceArn": service.arn,
        "serviceName": service.arn.rsplit('/').next(),
        "status": "ACTIVE",
        "taskDefinition": service.definition(),
        "deploymentController": {"type": "ECS"},
        "networkConfiguration": {
            "awsvpcConfiguration": {"subnets": ["subnet-1", "subnet-2"], "securityGroups": [service.group]},
        },
        "deployments": service.deployments.iter().enumerate().map(deployment).collect::<Vec<_>>(),
        "tags": tags,
    })
}
