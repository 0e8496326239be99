//! Whether ECS and EC2 agree with a registration, before anything starts. Every refusal names the service or the job.

use std::collections::{BTreeMap, BTreeSet};

use aws::{Lookup, Note, SeenService, Service, StageStack, Subnet, TaskDefinition};
use database::{Publication, Registration, RolePatterns, StackStatus, Stage, Target, publication};

use super::{
    candidates::{Candidate, forbidden_role, why_not},
    derived::{SeenJob, derived},
};
use crate::{
    api::SettingsApi,
    record::Recorded,
    response::{FieldError, Problem},
};

/// A registration that ECS and EC2 agree with.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The parameters that follow from the services and jobs.
    pub(crate) parameters: BTreeMap<String, String>,
    /// The ARNs of the services that don't have the tags of the stage yet.
    pub(crate) untagged: Vec<String>,
}

impl SettingsApi {
    /// Checks a registration. `stack` is the stage's stack, if there is one already.
    pub(crate) async fn check(
        &self,
        stage: &Stage,
        stack: Option<&StageStack>,
        registration: &Registration,
    ) -> Result<Checked, Problem> {
        let services = self.stage_services.look(&registration.services).await?;
        let jobs = self.see_jobs(&registration.jobs).await?;
        let target = stack.map_or(Target::Removed, StageStack::target);
        let wanted = Wanted { stage, target: &target, task_roles: &self.configuration.task_roles };
        let mut errors = Vec::new();
        for (index, seen) in services.iter().enumerate() {
            if let Err(error) = check_service(wanted, index, seen) {
                errors.push(error);
            } else if let Some(error) = self.other_stage(stage, index, seen).await? {
                errors.push(error);
            }
        }
        for (index, job) in jobs.iter().enumerate() {
            errors.extend(check_job(wanted, index, job).err());
        }
        if !errors.is_empty() {
            return Err(Problem::fields(errors));
        }
        let live: Vec<&Service> = services.iter().filter_map(|s| s.live.as_ref()).map(|(s, _)| s).collect();
        let mut parameters = self.network(stack, &live).await?;
        parameters.extend(derived(&services, &jobs));
        let untagged = live.iter().filter(|s| !s.is_tagged() || s.owner().as_ref() != Some(stage));
        let untagged = untagged.map(|service| service.arn.clone()).collect();
        Ok(Checked { parameters, untagged })
    }

    /// Notes on the services to which stage they belong.
    pub(crate) async fn adopt(
        &self,
        stage: &Stage,
        services: &[String],
        _: &Recorded,
    ) -> Result<(), Problem> {
        for arn in services {
            self.services.note(arn, &[Note::Owner(stage.clone())]).await?;
        }
        Ok(())
    }

    /// A service belongs to one stage. A tag of a stage that no longer has it doesn't count.
    async fn other_stage(
        &self,
        stage: &Stage,
        index: usize,
        seen: &SeenService,
    ) -> Result<Option<FieldError>, Problem> {
        let owner = seen.live.as_ref().and_then(|(service, _)| service.owner());
        let Some(owner) = owner.filter(|owner| owner != stage) else { return Ok(None) };
        let Lookup::Found(other) = self.stacks.stack(&owner.stage_stack_name()).await? else {
            return Ok(None);
        };
        if other.stage != owner || other.status == StackStatus::Deleted {
            return Ok(None);
        }
        let theirs = Registration::from_parameters(&other.parameters)?.services;
        if !theirs.iter().any(|service| service.key() == seen.registered.key()) {
            return Ok(None);
        }
        let (_, name) = seen.registered.key();
        let detail =
            format!("must be a service that no other stage uses. {name} belongs to the stage {owner}");
        Ok(Some(FieldError { pointer: format!("/services/{index}/name"), detail }))
    }

    /// The VPC and the subnets of the services.
    async fn network(
        &self,
        stack: Option<&StageStack>,
        services: &[&Service],
    ) -> Result<BTreeMap<String, String>, Problem> {
        let ids: BTreeSet<&str> =
            services.iter().flat_map(|service| service.subnets.iter().map(String::as_str)).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let subnets = self.subnets.get(&ids).await?;
        let vpc = vpc(services, &subnets)?;
        let before = |name: &str| stack.and_then(|stack| stack.parameters.get(name)).map(String::as_str);
        let had_database = stack.is_some_and(|stack| {
            stack.has_database() || before("Generation").is_some_and(|generation| generation != "none")
        });
        if had_database && before("VpcId").is_some_and(|before| before != vpc) {
            let detail = format!(
                "must be services in the VPC {}, which can't be changed once the stage has had a database. These are in \
                 {vpc}",
                before("VpcId").unwrap_or_default()
            );
            return Err(Problem::field("/services", detail));
        }
        // The database stays in the subnets that it was created in. RDS refuses to take one away that it uses.
        let subnet_ids = match before("SubnetIds").filter(|_| had_database) {
            Some(before) => before.to_owned(),
            None => in_two_zones(services, &subnets)?,
        };
        Ok([("VpcId".to_owned(), vpc.to_owned()), ("SubnetIds".to_owned(), subnet_ids)].into())
    }
}

/// What the containers of a stage should have.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    stage: &'a Stage,
    target: &'a Target,
    /// The roles that stagedb may pass to ECS.
    task_roles: &'a RolePatterns,
}

fn check_service(wanted: Wanted<'_>, index: usize, seen: &SeenService) -> Result<(), FieldError> {
    let (cluster, name) = seen.registered.key();
    let error =
        |field: &str, detail: String| FieldError { pointer: format!("/services/{index}/{field}"), detail };
    let Some((service, definition)) = &seen.live else {
        let detail = format!(
            "must be the name of an active ECS service in the cluster. The cluster {cluster} has no active service {name}"
        );
        return Err(error("name", detail));
    };
    if let Some(why_not) = why_not(Candidate { service, definition, task_roles: wanted.task_roles }) {
        return Err(error("name", format!("must be a service that can be registered. {name} {why_not}")));
    }
    let container = seen.registered.container.as_ref();
    check_container(wanted, definition, name, container).map_err(|detail| error("container", detail))
}

fn check_job(wanted: Wanted<'_>, index: usize, seen: &SeenJob) -> Result<(), FieldError> {
    let (job, definition) = seen;
    let family = job.family.as_ref();
    let error =
        |field: &str, detail: String| FieldError { pointer: format!("/jobs/{index}/{field}"), detail };
    let Some(definition) = definition else {
        let detail =
            format!("must be a family of task definitions with an active revision. {family} has none");
        return Err(error("family", detail));
    };
    if definition.execution_role_arn().is_none() {
        let detail = format!("must have an execution role, which reads the secret. {family} has none");
        return Err(error("family", detail));
    }
    if let Some(why_not) = forbidden_role(definition, wanted.task_roles) {
        let detail = format!("must be a family whose roles stagedb may pass to ECS. {family} {why_not}");
        return Err(error("family", detail));
    }
    check_container(wanted, definition, family, job.container.as_ref())
        .map_err(|detail| error("container", detail))
}

/// Whether the container exists and has no variables of its own with our names.
fn check_container(
    wanted: Wanted<'_>,
    definition: &TaskDefinition,
    name: &str,
    container: &str,
) -> Result<(), String> {
    let Some(variables) = definition.container(container) else {
        let known = definition.containers().join(", ");
        return Err(format!("must be a container in the task definition of {name}: {known}"));
    };
    match publication(&variables, &wanted.stage.secret_name(), wanted.target) {
        Publication::UpToDate | Publication::Change(_) => Ok(()),
        Publication::Conflict(conflicts) => {
            let names: Vec<_> = conflicts.iter().map(|conflict| conflict.name.as_str()).collect();
            Err(format!(
                "must be a container without its own {}. stagedb doesn't overwrite what {name} has",
                names.join(", ")
            ))
        }
    }
}

/// The one VPC of all services.
fn vpc<'a>(services: &[&Service], subnets: &'a [Subnet]) -> Result<&'a str, Problem> {
    let mut first: Option<(&str, &str)> = None;
    for (index, service) in services.iter().enumerate() {
        let pointer = format!("/services/{index}/name");
        for id in &service.subnets {
            let Some(subnet) = subnets.iter().find(|subnet| subnet.id == *id) else {
                let detail = format!("must be a service in existing subnets. {} names {id}", service.name);
                return Err(Problem::field(&pointer, detail));
            };
            match first {
                None => first = Some((&service.name, &subnet.vpc_id)),
                Some((other, vpc)) if vpc != subnet.vpc_id => {
                    let detail = format!(
                        "must be a service in the same VPC as the others. {} is in {}, and {other} is in {vpc}",
                        service.name, subnet.vpc_id
                    );
                    return Err(Problem::field(&pointer, detail));
                }
                Some(_) => {}
            }
        }
    }
    first.map(|(_, vpc)| vpc).ok_or_else(|| Problem::field("/services", "must have subnets"))
}

/// The subnets of all services, which RDS needs in two Availability Zones.
fn in_two_zones(services: &[&Service], subnets: &[Subnet]) -> Result<String, Problem> {
    let zones: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.availability_zone.as_str()).collect();
    if zones.len() < 2 {
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        let zones: Vec<&str> = zones.into_iter().collect();
        let detail = format!(
            "must have subnets in at least two Availability Zones, because RDS needs them. The subnets of {} are in {}",
            names.join(", "),
            zones.join(", ")
        );
        return Err(Problem::field("/services", detail));
    }
    let ids: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.id.as_str()).collect();
    Ok(ids.into_iter().collect::<Vec<_>>().join(","))
}
