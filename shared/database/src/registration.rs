//! What a stage is registered with: the ECS services and the jobs whose containers get the runtime variables.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use crate::{
    ClusterName, EcsName, SecurityGroupId,
    setting::{InvalidField, InvalidParameter, Need, Rule, Setting, SettingValue, settings},
};

/// The most services that a stage can have.
pub const SERVICES_MAX: usize = 20;
/// The most jobs that a stage can have.
pub const JOBS_MAX: usize = 20;
/// The most characters of a parameter of a stack (CloudFormation quotas).
const PARAMETER_MAX: usize = 4096;

settings! {
    /// An ECS service of a stage.
    Service, ServicePart {
        /// The name or the ARN of the cluster.
        cluster: ClusterName = "cluster" as "Cluster" {
            need: required,
            example: "demo",
            rule: Rule::Special,
        }
        /// The name of the service.
        name: EcsName = "name" as "Service" {
            need: required,
            example: "test-django2-dev",
            rule: Rule::Special,
        }
        /// The container in the service's task definition that gets the runtime variables.
        container: EcsName = "container" as "Container" {
            need: required,
            example: "web",
            rule: Rule::Special,
        }
    }
}

settings! {
    /// A job of a stage: tasks that a scheduler or `aws ecs run-task` starts.
    Job, JobPart {
        /// The family of the job's task definition. The job gets the variables in the latest revision.
        family: EcsName = "family" as "Family" {
            need: required,
            example: "test-django2-dev-migrate",
            rule: Rule::Special,
        }
        /// The container in the task definition that gets the runtime variables.
        container: EcsName = "container" as "Container" {
            need: required,
            example: "migrate",
            rule: Rule::Special,
        }
        /// The security group that the job's tasks run in. If you leave it out, run the job in a security group of one
        /// of the stage's services.
        security_group: Option<SecurityGroupId> = "securityGroupId" as "SecurityGroupId" {
            need: default(None),
            rule: Rule::Special,
        }
    }
}

/// The services and jobs of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its services, at least one.
    pub services: Vec<Service>,
    /// Its jobs.
    pub jobs: Vec<Job>,
    /// Whether a deployment without the variables is followed by one that has them.
    pub restores: bool,
    /// Whether a connection from every place is proved before it's published.
    pub proves: bool,
}

/// The services and jobs that a stage had before. Their variables are removed, unless that was already done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Former {
    /// The services.
    pub services: Vec<Service>,
    /// The jobs.
    pub jobs: Vec<Job>,
}

const SERVICES: &str = "Services";
const JOBS: &str = "Jobs";
const RESTORES: &str = "RestoreVariables";
const PROVES: &str = "ConnectionProof";
const FORMER_SERVICES: &str = "FormerServices";
const FORMER_JOBS: &str = "FormerJobs";
/// What a parameter says if there is nothing.
const NONE: &str = "none";

impl Service {
    /// The name of the cluster and the name of the service, which together name it in the account and Region.
    #[must_use]
    pub fn key(&self) -> (&str, &str) {
        (self.cluster.name(), self.name.as_ref())
    }

    /// Whether this is the service with this ARN.
    #[must_use]
    pub fn has_arn(&self, arn: &str) -> bool {
        let mut parts = arn.rsplit('/');
        let (name, cluster) = (parts.next(), parts.next());
        (cluster, name) == (Some(self.cluster.name()), Some(self.name.as_ref()))
    }
}

/// Something that one text in a list stands for.
trait Listed: Sized {
    fn to_text(&self) -> String;
    fn from_text(text: &str) -> Option<Self>;
}

/// The cluster and the name in the ARN of a service, such as `arn:aws:ecs:us-east-1:123456789012:service/demo/web`. The short
/// format doesn't have the cluster, and such a service can't be registered.
#[must_use]
pub fn service_in_arn(arn: &str) -> Option<(&str, &str)> {
    let (cluster, name) = arn.split(':').nth(5)?.strip_prefix("service/")?.split_once('/')?;
    (!cluster.is_empty() && !name.is_empty() && !name.contains('/')).then_some((cluster, name))
}

impl Listed for Service {
    fn to_text(&self) -> String {
        format!("{}/{}/{}", self.cluster.name(), self.name, self.container)
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let service = Self {
            cluster: parts.next()?.try_into().ok()?,
            name: parts.next()?.try_into().ok()?,
            container: parts.next()?.try_into().ok()?,
        };
        parts.next().is_none().then_some(service)
    }
}

impl Listed for Job {
    fn to_text(&self) -> String {
        let group = self.security_group.as_ref().map(|group| format!("/{group}")).unwrap_or_default();
        format!("{}/{}{group}", self.family, self.container)
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let (family, container) = (parts.next()?.try_into().ok()?, parts.next()?.try_into().ok()?);
        let security_group = parts.next().map(SecurityGroupId::try_from).transpose().ok()?;
        parts.next().is_none().then_some(Self { family, container, security_group })
    }
}

fn to_text<T: Listed>(items: &[T]) -> String {
    if items.is_empty() {
        NONE.to_owned()
    } else {
        items.iter().map(T::to_text).collect::<Vec<_>>().join(",")
    }
}

fn from_text<T: Listed>(
    name: &'static str,
    text: &str,
    form: &'static str,
) -> Result<Vec<T>, InvalidParameter> {
    if text == NONE {
        return Ok(Vec::new());
    }
    let items = text.split(',').map(T::from_text).collect::<Option<Vec<_>>>();
    items.ok_or_else(|| InvalidParameter::Invalid { name, reason: format!("must be a list of {form}") })
}

const SERVICE_FORM: &str = "cluster/service/container";
const JOB_FORM: &str = "family/container or family/container/securityGroupId";

impl Registration {
    /// The service with this ARN.
    #[must_use]
    pub fn service(&self, arn: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.has_arn(arn))
    }

    /// What is wrong with the lists as a whole: a JSON Pointer for each, and what is allowed.
    #[must_use]
    pub fn errors(&self) -> Vec<(String, String)> {
        let mut errors = Vec::new();
        let count = self.services.len();
        if count == 0 || count > SERVICES_MAX {
            let detail = format!("must have 1 to {SERVICES_MAX} services, not {count}");
            errors.push(("/services".to_owned(), detail));
        }
        if self.jobs.len() > JOBS_MAX {
            let detail = format!("must have at most {JOBS_MAX} jobs, not {}", self.jobs.len());
            errors.push(("/jobs".to_owned(), detail));
        }
        let mut seen = BTreeSet::new();
        for (index, service) in self.services.iter().enumerate() {
            if !seen.insert(service.key()) {
                let (cluster, name) = service.key();
                let detail =
                    format!("lists the service {name} in the cluster {cluster} a second time. List it once");
                errors.push((format!("/services/{index}/name"), detail));
            }
        }
        let mut seen = BTreeSet::new();
        for (index, Job { family, .. }) in self.jobs.iter().enumerate() {
            if !seen.insert(family.as_ref()) {
                let detail = format!("lists the family {family} a second time. List it once");
                errors.push((format!("/jobs/{index}/family"), detail));
            }
        }
        for (pointer, text) in [("/services", to_text(&self.services)), ("/jobs", to_text(&self.jobs))] {
            if text.len() > PARAMETER_MAX {
                let detail = format!(
                    "must have shorter names: with their separators, all names together can have {PARAMETER_MAX} \
                     characters, not {}",
                    text.len()
                );
                errors.push((pointer.to_owned(), detail));
            }
        }
        errors
    }

    /// The parameters of the stage stack that say it.
    #[must_use]
    pub fn parameters(&self) -> [(&'static str, String); 4] {
        [
            (SERVICES, to_text(&self.services)),
            (JOBS, to_text(&self.jobs)),
            (RESTORES, self.restores.to_string()),
            (PROVES, proof_in_words(self.proves).to_owned()),
        ]
    }

    /// Reads it from the parameters of a stage stack. A stack that an earlier version of the template made has exactly
    /// one service, in three parameters.
    ///
    /// # Errors
    /// The first parameter that is missing or can't be read.
    pub fn from_parameters(parameters: &BTreeMap<String, String>) -> Result<Self, InvalidParameter> {
        let Some(services) = parameters.get(SERVICES) else {
            let service = Service::from_parameters(|name| {
                Ok::<_, InvalidParameter>(parameters.get(name).map(String::to_owned))
            })?;
            return Ok(Self { services: vec![service], jobs: Vec::new(), restores: true, proves: true });
        };
        let or_none = |name| parameters.get(name).map_or(NONE, String::as_str);
        let restores = parameters.get(RESTORES).map_or("true", String::as_str);
        Ok(Self {
            services: from_text(SERVICES, services, SERVICE_FORM)?,
            jobs: from_text(JOBS, or_none(JOBS), JOB_FORM)?,
            restores: restores.parse().map_err(|_| InvalidParameter::Invalid {
                name: RESTORES,
                reason: crate::setting::NOT_A_BOOLEAN.to_owned(),
            })?,
            proves: match parameters.get(PROVES).map(String::as_str) {
                None => true,
                Some(text) if text == proof_in_words(true) => true,
                Some(text) if text == proof_in_words(false) => false,
                Some(_) => {
                    let reason = "must be required or skipped".to_owned();
                    return Err(InvalidParameter::Invalid { name: PROVES, reason });
                }
            },
        })
    }
}

/// Whether connections are proved, in the words of the API and the stage stack.
#[must_use]
pub const fn proof_in_words(proves: bool) -> &'static str {
    if proves { "required" } else { "skipped" }
}

impl Former {
    /// The parameters of the stage stack that say it. The newest come first; what doesn't fit is left out.
    #[must_use]
    pub fn parameters(&self) -> [(&'static str, String); 2] {
        [(FORMER_SERVICES, cut(&self.services, SERVICES_MAX)), (FORMER_JOBS, cut(&self.jobs, JOBS_MAX))]
    }

    /// Reads it from the parameters of a stage stack.
    ///
    /// # Errors
    /// The first parameter that can't be read.
    pub fn from_parameters(parameters: &BTreeMap<String, String>) -> Result<Self, InvalidParameter> {
        let or_none = |name| parameters.get(name).map_or(NONE, String::as_str);
        Ok(Self {
            services: from_text(FORMER_SERVICES, or_none(FORMER_SERVICES), SERVICE_FORM)?,
            jobs: from_text(FORMER_JOBS, or_none(FORMER_JOBS), JOB_FORM)?,
        })
    }

    /// What the stage had and no longer has, once it's registered with `after` instead of `before`.
    #[must_use]
    pub fn between(self, before: &Registration, after: &Registration) -> Self {
        let has = |service: &Service| after.services.iter().any(|s| s.key() == service.key());
        let services = before.services.iter().cloned().chain(self.services);
        let has_job = |job: &Job| after.jobs.iter().any(|j| j.family == job.family);
        let jobs = before.jobs.iter().cloned().chain(self.jobs);
        let mut former = Self::default();
        for service in services.filter(|service| !has(service)) {
            if former.services.iter().all(|s| s.key() != service.key()) {
                former.services.push(service);
            }
        }
        for job in jobs.filter(|job| !has_job(job)) {
            if former.jobs.iter().all(|j| j.family != job.family) {
                former.jobs.push(job);
            }
        }
        former
    }
}

fn cut<T: Listed + Clone>(items: &[T], max: usize) -> String {
    let mut kept: Vec<T> = items.iter().take(max).cloned().collect();
    while to_text(&kept).len() > PARAMETER_MAX {
        kept.pop();
    }
    to_text(&kept)
}

/// Converts the parameters of a stage stack that an earlier version of the template made to those of the current one.
/// The rule for the service's security group stays where that version put it: in the database's security group itself.
pub fn migrate(parameters: &mut BTreeMap<String, String>) {
    if parameters.contains_key(SERVICES) {
        return;
    }
    if let Ok(registration) = Registration::from_parameters(parameters) {
        let said = registration.parameters().into_iter().map(|(name, value)| (name.to_owned(), value));
        parameters.extend(said);
    }
    for name in ["Cluster", "Service", "Container"] {
        parameters.remove(name);
    }
    if let Some(group) = parameters.remove("ServiceSecurityGroupId") {
        parameters.insert(INLINE_GROUP.to_owned(), group.clone());
        parameters.insert(GROUPS.to_owned(), group);
    }
    if let Some(role) = parameters.remove("ExecutionRoleArn") {
        parameters.insert(ROLES.to_owned(), role);
    }
}

/// The parameter with the security groups of the services and jobs.
pub const GROUPS: &str = "ServiceSecurityGroupIds";
/// The parameter with the execution roles of the services and jobs.
pub const ROLES: &str = "ExecutionRoleArns";
/// The parameter with the security group whose rule an earlier version of the template put into the database's security
/// group.
pub const INLINE_GROUP: &str = "InlineSecurityGroupId";

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> Service {
        Service::from_text(&format!("demo/{name}/web")).unwrap()
    }

    fn job(family: &str) -> Job {
        Job::from_text(&format!("{family}/run")).unwrap()
    }

    fn registration(services: &[&str], jobs: &[&str]) -> Registration {
        Registration {
            services: services.iter().map(|name| service(name)).collect(),
            jobs: jobs.iter().map(|family| job(family)).collect(),
            restores: true,
            proves: true,
        }
    }

    fn map(parameters: impl IntoIterator<Item = (&'static str, String)>) -> BTreeMap<String, String> {
        parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn a_registration_survives_the_parameters_of_the_stage_stack() {
        let mut all = registration(&["web", "worker"], &["migrate"]);
        all.jobs
            .push(Job { security_group: Some("sg-0a1b".to_owned().try_into().unwrap()), ..job("report") });
        (all.restores, all.proves) = (false, false);
        assert_eq!(Registration::from_parameters(&map(all.parameters())), Ok(all.clone()));
        let only_web = registration(&["web"], &[]);
        assert_eq!(Registration::from_parameters(&map(only_web.parameters())), Ok(only_web.clone()));
        let former = Former::default().between(&all, &only_web);
        assert_eq!(former.services, [service("worker")]);
        assert_eq!(Former::from_parameters(&map(former.parameters())), Ok(former));
    }

    #[test]
    fn a_cluster_is_the_same_by_name_and_by_arn() {
        let arn = "arn:aws:ecs:us-east-1:123456789012:cluster/demo".to_owned();
        let by_arn = Service { cluster: arn.try_into().unwrap(), ..service("web") };
        assert_eq!(by_arn.to_text(), "demo/web/web");
        assert_eq!(by_arn.key(), service("web").key());
        assert!(by_arn.has_arn("arn:aws:ecs:us-east-1:123456789012:service/demo/web"));
        assert!(!by_arn.has_arn("arn:aws:ecs:us-east-1:123456789012:service/other/web"));
        assert!(!by_arn.has_arn("arn:aws:ecs:us-east-1:123456789012:service/web"));
    }

    #[test]
    fn a_list_that_is_too_long_or_has_something_twice_is_refused_by_name() {
        let names: Vec<String> = (0..21).map(|n| format!("s{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for (given, pointer, words) in [
            (registration(&[], &[]), "/services", "must have 1 to 20 services, not 0"),
            (registration(&names, &[]), "/services", "must have 1 to 20 services, not 21"),
            (registration(&["web"], &names), "/jobs", "must have at most 20 jobs, not 21"),
            (
                registration(&["web", "worker", "web"], &[]),
                "/services/2/name",
                "lists the service web in the cluster demo a second time. List it once",
            ),
            (
                registration(&["web"], &["a", "a"]),
                "/jobs/1/family",
                "lists the family a a second time. List it once",
            ),
        ] {
            assert_eq!(given.errors(), [(pointer.to_owned(), words.to_owned())]);
        }
        let long: Vec<String> = (0..20).map(|n| format!("{}{n}", "s".repeat(250))).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        let errors = registration(&long, &[]).errors();
        assert!(errors[0].1.contains("4096 characters, not 5"), "{errors:?}");
        assert_eq!(registration(&names[..20], &names[..20]).errors(), []);
    }

    #[test]
    fn a_parameter_that_cannot_be_read_is_an_error_and_never_an_empty_list() {
        for (name, text) in [
            ("Services", "demo/web"),
            ("Services", "demo/web/app,,"),
            ("Services", "demo/we b/app"),
            ("Jobs", "migrate"),
            ("Jobs", "migrate/run/vpc-1"),
            ("RestoreVariables", "yes"),
            ("ConnectionProof", "true"),
        ] {
            let mut parameters = map(registration(&["web"], &[]).parameters());
            parameters.insert(name.to_owned(), text.to_owned());
            let error = Registration::from_parameters(&parameters).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the parameter {name} must be")), "{error}");
        }
    }

    #[test]
    fn a_service_that_comes_back_is_no_longer_a_former_one() {
        let (both, web) = (registration(&["web", "worker"], &["a"]), registration(&["web"], &[]));
        let former = Former::default().between(&both, &web);
        assert_eq!((former.services.len(), former.jobs.len()), (1, 1));
        assert_eq!(former.between(&web, &both), Former::default());
    }

    #[test]
    fn a_stage_stack_of_an_earlier_version_keeps_its_service_its_rule_and_its_role() {
        let mut parameters = map([
            ("Cluster", "arn:aws:ecs:us-east-1:123456789012:cluster/demo".to_owned()),
            ("Service", "web".to_owned()),
            ("Container", "app".to_owned()),
            ("ServiceSecurityGroupId", "sg-1".to_owned()),
            ("ExecutionRoleArn", "arn:role".to_owned()),
            ("VpcId", "vpc-1".to_owned()),
        ]);
        migrate(&mut parameters);
        let expected = map([
            ("Services", "demo/web/app".to_owned()),
            ("Jobs", "none".to_owned()),
            ("RestoreVariables", "true".to_owned()),
            ("ConnectionProof", "required".to_owned()),
            ("ServiceSecurityGroupIds", "sg-1".to_owned()),
            ("InlineSecurityGroupId", "sg-1".to_owned()),
            ("ExecutionRoleArns", "arn:role".to_owned()),
            ("VpcId", "vpc-1".to_owned()),
        ]);
        assert_eq!(parameters, expected);
        migrate(&mut parameters);
        assert_eq!(parameters, expected, "it's done once");
    }
}
