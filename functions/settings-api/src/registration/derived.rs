//! The parameters of a stage stack that follow from what ECS shows of its services and jobs.

use std::collections::{BTreeMap, BTreeSet};

use aws::{Note, SeenService, StageStack, TaskDefinition};
use database::{GROUPS, INLINE_GROUP, Job, ROLES, Registration};

use crate::{api::SettingsApi, response::Problem};

/// A job, and the latest active revision of its task definition.
pub(crate) type SeenJob = (Job, Option<TaskDefinition>);

/// The security groups that can connect to the database, and the roles that can read the secret. Nothing if no service
/// exists anymore.
pub(crate) fn derived(services: &[SeenService], jobs: &[SeenJob]) -> BTreeMap<String, String> {
    let live = || services.iter().filter_map(|seen| seen.live.as_ref());
    let groups: BTreeSet<&str> = live()
        .filter_map(|(service, _)| service.security_groups.first().map(String::as_str))
        .chain(jobs.iter().filter_map(|(job, _)| job.security_group.as_ref().map(AsRef::as_ref)))
        .collect();
    let definitions =
        live().map(|(_, definition)| definition).chain(jobs.iter().filter_map(|(_, d)| d.as_ref()));
    let roles: BTreeSet<&str> = definitions.filter_map(TaskDefinition::execution_role_arn).collect();
    if live().next().is_none() || roles.is_empty() || groups.is_empty() {
        return BTreeMap::new();
    }
    let joined = |items: BTreeSet<&str>| items.into_iter().collect::<Vec<_>>().join(",");
    [(GROUPS.to_owned(), joined(groups)), (ROLES.to_owned(), joined(roles))].into()
}

/// The rule that an earlier version of the template put into the database's security group goes with the last service
/// of its source.
pub(crate) fn drop_inline_group(parameters: &mut BTreeMap<String, String>) {
    let is_used = |inline: &String| {
        parameters.get(GROUPS).is_some_and(|groups| groups.split(',').any(|group| group == inline))
    };
    if !parameters.get(INLINE_GROUP).is_some_and(is_used) {
        parameters.insert(INLINE_GROUP.to_owned(), "none".to_owned());
    }
}

impl SettingsApi {
    /// The latest active revisions of these jobs.
    pub(crate) async fn see_jobs(&self, jobs: &[Job]) -> Result<Vec<SeenJob>, Problem> {
        let mut seen = Vec::with_capacity(jobs.len());
        for job in jobs {
            seen.push((job.clone(), self.definitions.latest(job.family.as_ref()).await?));
        }
        Ok(seen)
    }

    /// Updates the parameters that follow from the services and jobs, which may have changed since the last save, and
    /// tags the services that a tool has removed the tags from.
    pub(crate) async fn refresh(
        &self,
        stack: &StageStack,
        parameters: &mut BTreeMap<String, String>,
        seen: Option<Vec<SeenService>>,
    ) -> Result<(), Problem> {
        let registration = Registration::from_parameters(parameters)?;
        let services = match seen {
            Some(seen) => seen,
            None => self.stage_services.look(&registration.services).await?,
        };
        let jobs = self.see_jobs(&registration.jobs).await?;
        for (service, _) in services.iter().filter_map(|seen| seen.live.as_ref()) {
            let is_free = service.owner().is_none_or(|owner| owner == stack.stage);
            if is_free && !service.is_tagged() && service.has_long_arn() {
                self.services.note(&service.arn, &[Note::Owner(stack.stage.clone())]).await?;
            }
        }
        parameters.extend(derived(&services, &jobs));
        drop_inline_group(parameters);
        Ok(())
    }
}
