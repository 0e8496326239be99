//! ECS: the tasks that try a connection where a stage's services run, and what they wrote.

use std::collections::BTreeSet;

use aws_config::SdkConfig;
use aws_sdk_ecs::{
    Client,
    error::ProvideErrorMetadata,
    types::{
        AwsVpcConfiguration, ContainerOverride, NetworkConfiguration, PropagateTags, Task, TaskOverride,
    },
};
use database::{CLIENT, ClientTask, StoppedTask};
use serde_json::{Value, json};

use crate::{
    AwsError, SeenService, TaskDefinition,
    config::{Lazy, client},
    error::failed,
    json::Json,
    services::Launch,
};

/// The most characters of `startedBy` that every version of ECS accepts.
const STARTED_BY_MAX: usize = 36;
/// The most lines of output to read at once.
const LINES: u16 = 50;
/// The most pages to look for output on.
const PAGES: usize = 5;

/// The client tasks in this account and Region.
#[derive(Debug, Clone)]
pub struct ClientTasks {
    client: Lazy<Client>,
    logs: Json,
}

/// Where tasks of a stage run, and as which execution role.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The service or the job whose tasks run there, for users.
    pub of: String,
    /// The name of the cluster.
    pub cluster: String,
    /// The security groups of the tasks.
    pub security_groups: Vec<String>,
    /// The ARN of the execution role.
    pub execution_role_arn: String,
    launch: Launch,
}

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The ARN of the client's task definition.
    pub task_definition_arn: &'a str,
    /// The script for its container.
    pub command: &'a str,
    /// Identifies the run. Repeated with the same, it starts nothing more.
    pub token: &'a str,
}

/// Why no task was started.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// ECS has no place for it, in its own words.
    #[error("{0}")]
    NoCapacity(String),
    /// AWS failed, or refused.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Place {
    /// Where the tasks of a service run. `None` if it isn't active, has no execution role, or no network of its own.
    #[must_use]
    pub fn of_service(seen: &SeenService) -> Option<Self> {
        let (service, definition) = seen.live.as_ref()?;
        service.launch.network.as_ref()?;
        Some(Self {
            of: format!("service {}/{}", service.cluster(), service.name),
            cluster: service.cluster().to_owned(),
            security_groups: service.security_groups.clone(),
            execution_role_arn: definition.execution_role_arn()?.to_owned(),
            launch: service.launch.clone(),
        })
    }

    /// Where the tasks of a job run: ECS doesn't know it before they do, so it's where this service runs, in the security group
    /// that the job names.
    #[must_use]
    pub fn of_job(&self, job: &database::Job, definition: &TaskDefinition) -> Option<Self> {
        let mut place = self.clone();
        place.of = format!("job {}", job.family);
        definition.execution_role_arn()?.clone_into(&mut place.execution_role_arn);
        if let Some(group) = &job.security_group {
            place.security_groups = vec![group.to_string()];
        }
        Some(place)
    }

    /// The first of those places that have the same network and execution role.
    #[must_use]
    pub fn distinct(places: Vec<Self>) -> Vec<Self> {
        let mut seen = BTreeSet::new();
        places.into_iter().filter(|place| seen.insert(place.parts())).collect()
    }

    /// What tells a place from others.
    #[must_use]
    pub fn parts(&self) -> [String; 4] {
        let sorted = |ids: &[String]| {
            let ids: BTreeSet<_> = ids.iter().map(String::as_str).collect();
            ids.into_iter().collect::<Vec<_>>().join(",")
        };
        let network = self.launch.network.as_ref().and_then(NetworkConfiguration::awsvpc_configuration);
        let subnets = sorted(network.map(AwsVpcConfiguration::subnets).unwrap_or_default());
        [self.cluster.clone(), subnets, sorted(&self.security_groups), self.execution_role_arn.clone()]
    }

    /// The same place with another execution role.
    #[must_use]
    pub fn as_role(mut self, of: String, execution_role_arn: &str) -> Self {
        self.of = of;
        execution_role_arn.clone_into(&mut self.execution_role_arn);
        self
    }

    fn network(&self) -> Option<NetworkConfiguration> {
        let found = self.launch.network.as_ref()?.awsvpc_configuration()?;
        let network = AwsVpcConfiguration::builder()
            .set_subnets(Some(found.subnets().to_vec()))
            .set_security_groups(Some(self.security_groups.clone()))
            .set_assign_public_ip(found.assign_public_ip().cloned());
        Some(NetworkConfiguration::builder().awsvpc_configuration(network.build().ok()?).build())
    }
}

impl ClientTasks {
    /// Client tasks in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: client!(aws_sdk_ecs, config), logs: Json::new(config, "logs", "Logs_20140328") }
    }

    /// Starts a task in a place, and returns its ARN. Safe to repeat.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn run(&self, place: &Place, run: Run<'_>) -> Result<String, RunError> {
        let launch = &place.launch;
        let command = ContainerOverride::builder().name(CLIENT).command(run.command).build();
        let overrides = TaskOverride::builder()
            .execution_role_arn(&place.execution_role_arn)
            .container_overrides(command)
            .build();
        let providers = launch.capacity_providers.clone();
        let has_providers = !providers.is_empty();
        // ECS accepts one or the other.
        let call = self
            .client
            .run_task()
            .cluster(&place.cluster)
            .task_definition(run.task_definition_arn)
            .set_capacity_provider_strategy(has_providers.then_some(providers))
            .set_launch_type(launch.kind.clone().filter(|_| !has_providers))
            .set_platform_version(launch.platform_version.clone())
            .set_network_configuration(place.network())
            .overrides(overrides)
            .propagate_tags(PropagateTags::TaskDefinition)
            .started_by(started_by(run.token))
            .client_token(run.token);
        let reply = match call.send().await {
            Ok(reply) => reply,
            Err(error) => {
                let said = error.message().unwrap_or_default();
                if said.contains("Capacity is unavailable") {
                    return Err(RunError::NoCapacity(said.to_owned()));
                }
                return Err(failed("RunTask")(error).into());
            }
        };
        if let Some(arn) = reply.tasks().first().and_then(|task| task.task_arn()) {
            return Ok(arn.to_owned());
        }
        let reasons: Vec<_> = reply.failures().iter().filter_map(|failure| failure.reason()).collect();
        Err(RunError::NoCapacity(reasons.join(", ")))
    }

    /// How far a task is.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn look(&self, cluster: &str, arn: &str) -> Result<ClientTask, AwsError> {
        let call = self.client.describe_tasks().cluster(cluster).tasks(arn);
        let reply = call.send().await.map_err(failed("DescribeTasks"))?;
        Ok(reply.tasks().first().map_or(ClientTask::Gone, client_task))
    }

    /// Stops a task. If it has stopped, or is gone, this succeeds.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn stop(&self, cluster: &str, arn: &str, reason: &str) -> Result<(), AwsError> {
        let call = self.client.stop_task().cluster(cluster).task(arn).reason(reason);
        match call.send().await {
            Err(error) if error.code() == Some("InvalidParameterException") => Ok(()),
            reply => reply.map(|_| ()).map_err(failed("StopTask")),
        }
    }

    /// What a task's container wrote, up to now. `None` if nothing.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn output(&self, log_group: &str, arn: &str) -> Result<Option<String>, AwsError> {
        let task = arn.rsplit('/').next().unwrap_or_default();
        let mut token: Option<String> = None;
        for _ in 0..PAGES {
            let body = json!({
                "logGroupName": log_group, "logStreamName": format!("{CLIENT}/{CLIENT}/{task}"),
                "startFromHead": true, "limit": LINES, "nextToken": token,
            });
            let reply = match self.logs.call("GetLogEvents", body).await {
                Err(error) if error.code == "ResourceNotFoundException" => return Ok(None),
                reply => reply?,
            };
            let events = reply.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let lines: Vec<_> = events.iter().filter_map(|event| event.get("message")?.as_str()).collect();
            let output = lines.join("\n");
            if !output.trim().is_empty() {
                return Ok(Some(output));
            }
            // A page can be empty although there are more.
            let next = reply.get("nextForwardToken").and_then(Value::as_str).map(str::to_owned);
            if next.is_none() || next == token {
                break;
            }
            token = next;
        }
        Ok(None)
    }
}

fn started_by(token: &str) -> String {
    format!("stagedb/{token}").chars().take(STARTED_BY_MAX).collect()
}

fn client_task(task: &Task) -> ClientTask {
    let status = task.last_status().unwrap_or_default();
    if status != "STOPPED" {
        return ClientTask::Running(status.to_owned());
    }
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let container = task.containers().iter().find(|container| container.name() == Some(CLIENT));
    ClientTask::Stopped(StoppedTask {
        code: task.stop_code().map(|code| code.as_str().to_owned()).unwrap_or_default(),
        reason: text(task.stopped_reason()),
        exit_code: container.and_then(|container| container.exit_code()),
        container_reason: text(container.and_then(|container| container.reason())),
    })
}
