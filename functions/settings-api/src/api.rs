//! What every route uses: the clients of the AWS services, and one request.

use aws::{
    Databases, Events, Metrics, SdkConfig, Secrets, SecurityGroups, Services, Stacks, StageServices, Subnets,
    TaskDefinitions,
};
use aws_lambda_events::query_map::QueryMap;
use time::OffsetDateTime;

use crate::{
    configuration::Configuration,
    request::{Body, Conditions},
};

/// The API, with its AWS clients.
#[derive(Debug)]
pub struct SettingsApi {
    pub(crate) stacks: Stacks,
    pub(crate) services: Services,
    pub(crate) definitions: TaskDefinitions,
    pub(crate) stage_services: StageServices,
    pub(crate) subnets: Subnets,
    pub(crate) events: Events,
    pub(crate) databases: Databases,
    pub(crate) metrics: Metrics,
    pub(crate) secrets: Secrets,
    pub(crate) security_groups: SecurityGroups,
    pub(crate) configuration: Configuration,
}

impl SettingsApi {
    /// Creates the API's clients.
    #[must_use]
    pub fn new(config: &SdkConfig, configuration: Configuration) -> Self {
        Self {
            stacks: Stacks::new(config),
            services: Services::new(config),
            definitions: TaskDefinitions::new(config),
            stage_services: StageServices::new(config),
            subnets: Subnets::new(config),
            events: Events::new(config),
            databases: Databases::new(config),
            metrics: Metrics::new(config),
            secrets: Secrets::new(config),
            security_groups: SecurityGroups::new(config),
            configuration,
        }
    }
}

/// One request, as far as a route needs it.
#[derive(Debug)]
pub(crate) struct Call {
    /// API Gateway's ID of the request. It's unique, so it can be the CloudFormation token.
    pub(crate) request_id: String,
    pub(crate) now: OffsetDateTime,
    pub(crate) query: QueryMap,
    pub(crate) conditions: Conditions,
    pub(crate) body: Body,
}

impl Call {
    /// The CloudFormation token for what this request starts, so that a retry starts nothing else.
    pub(crate) fn token(&self) -> String {
        self.conditions.token().unwrap_or_else(|| {
            format!("request-{}", self.request_id.replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
        })
    }

    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        self.query.first(name).map(str::to_owned)
    }
}
