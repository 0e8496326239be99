//! ECS: the tasks of a stage's services and jobs that may still use an earlier password.

use aws_config::SdkConfig;
use aws_sdk_ecs::{
    Client,
    error::ProvideErrorMetadata,
    types::{DesiredStatus, Task},
};
use time::OffsetDateTime;

use crate::{
    AwsError,
    config::{Lazy, client},
    error::failed,
    instant::instant,
};

/// The tasks in this account and Region.
#[derive(Debug, Clone)]
pub struct RunningTasks {
    client: Lazy<Client>,
}

/// Which tasks of a cluster.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// Those of a service.
    Service(&'a str),
    /// Those of a family of task definitions.
    Family(&'a str),
}

impl RunningTasks {
    /// Tasks in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: client!(aws_sdk_ecs, config) }
    }

    /// Whether a task that was created before this time hasn't stopped. It reads its secrets at some time after it's created.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn has_older(&self, cluster: &str, of: Of<'_>, than: OffsetDateTime) -> Result<bool, AwsError> {
        // A task that is stopping, for example while a load balancer drains it, is among those that should be stopped.
        for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
            if self.has_older_in(cluster, of, status, than).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn has_older_in(
        &self,
        cluster: &str,
        of: Of<'_>,
        status: DesiredStatus,
        than: OffsetDateTime,
    ) -> Result<bool, AwsError> {
        let mut token = None;
        loop {
            let call = self.client.list_tasks().cluster(cluster).desired_status(status.clone());
            let call = match of {
                Of::Service(name) => call.service_name(name),
                Of::Family(name) => call.family(name),
            };
            let reply = match call.set_next_token(token).send().await {
                Ok(reply) => reply,
                // Without the service or the cluster, there are no tasks.
                Err(error)
                    if matches!(
                        error.code(),
                        Some(
                            "ServiceNotFoundException"
                                | "ServiceNotActiveException"
                                | "ClusterNotFoundException"
                        )
                    ) =>
                {
                    return Ok(false);
                }
                Err(error) => return Err(failed("ListTasks")(error)),
            };
            let arns = reply.task_arns().to_vec();
            if !arns.is_empty() {
                let call = self.client.describe_tasks().cluster(cluster).set_tasks(Some(arns));
                let described = call.send().await.map_err(failed("DescribeTasks"))?;
                if described.tasks().iter().any(|task| is_older(task, than)) {
                    return Ok(true);
                }
            }
            token = reply.next_token;
            if token.is_none() {
                return Ok(false);
            }
        }
    }
}

fn is_older(task: &Task, than: OffsetDateTime) -> bool {
    task.last_status() != Some("STOPPED") && task.created_at().is_none_or(|at| instant(at) <= than)
}
