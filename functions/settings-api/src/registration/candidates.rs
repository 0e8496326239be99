//! Whether an ECS service can be registered, from what ECS shows of it alone.

use aws::{Service, TaskDefinition};
use database::RolePatterns;

/// What ECS shows of a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) service: &'a Service,
    pub(crate) definition: &'a TaskDefinition,
    /// The roles that stagedb may pass to ECS.
    pub(crate) task_roles: &'a RolePatterns,
}

/// Why a service can't be registered, as the end of a sentence that starts with its name. `None` if it can.
pub(crate) fn why_not(candidate: Candidate<'_>) -> Option<String> {
    let Candidate { service, definition, task_roles } = candidate;
    if service.controller != "ECS" {
        return Some(format!(
            "has the deployment controller {}, which would undo a redeployment. It must be ECS",
            service.controller
        ));
    }
    let words = if !service.has_long_arn() {
        "has an ARN in the short format, so it can't be tagged. Its ARN must have the long format, with the cluster"
    } else if service.subnets.is_empty() {
        "doesn't use the awsvpc network mode, so it has no subnets and no security group"
    } else if service.security_groups.is_empty() {
        "has no security group, which stagedb would allow to connect to the database"
    } else if definition.execution_role_arn().is_none() {
        "has a task definition without an execution role, which would read the secret"
    } else {
        return forbidden_role(definition, task_roles);
    };
    Some(words.to_owned())
}

/// Why stagedb can't register a copy of a task definition, as the end of a sentence. `None` if it can.
pub(crate) fn forbidden_role(definition: &TaskDefinition, task_roles: &RolePatterns) -> Option<String> {
    let role = definition.roles().find(|role| !task_roles.allow(role))?;
    Some(format!(
        "has the role {role}, which stagedb may not pass to ECS. The parameter TaskRoles of the stagedb stack allows {}",
        task_roles.in_words()
    ))
}
