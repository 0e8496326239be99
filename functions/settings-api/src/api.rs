//! What every route uses: the clients of the AWS services, and one request.

use std::sync::OnceLock;

use aws::{
    Databases, Events, Executions, HistoryLog, Metrics, Protections, SdkConfig, Secrets, SecurityGroups,
    Services, Stacks, StageServices, Subnets, TaskDefinitions, Users,
};
use aws_lambda_events::query_map::QueryMap;
use database::{StackName, Stage, StageName, WITHOUT_KEY};
use time::OffsetDateTime;

use crate::{
    configuration::Configuration,
    request::{Body, Caller, Conditions},
    response::Problem,
    stage_stack::StageTemplate,
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
    pub(crate) history: HistoryLog,
    pub(crate) protections: Protections,
    pub(crate) users: Users,
    pub(crate) executions: Executions,
    pub(crate) template: StageTemplate,
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
            history: HistoryLog::new(config, configuration.history_log_group.clone()),
            protections: Protections::new(config),
            users: Users::new(config, configuration.user_pool_id.clone()),
            executions: Executions::new(config, configuration.state_machine_arn.clone()),
            template: StageTemplate::new(config.region().map(AsRef::as_ref).unwrap_or_default()),
            configuration,
        }
    }
}

/// One request, as far as a route needs it.
#[derive(Debug)]
pub(crate) struct Call {
    /// API Gateway's ID of the request. It's unique, so it can be the CloudFormation token.
    pub(crate) request_id: String,
    /// The operation in the API's description.
    pub(crate) operation: &'static str,
    pub(crate) caller: Caller,
    /// The change that the history has because of this request.
    pub(crate) recorded: OnceLock<(Stage, String)>,
    pub(crate) now: OffsetDateTime,
    pub(crate) query: QueryMap,
    pub(crate) conditions: Conditions,
    pub(crate) body: Body,
}

impl Call {
    /// The CloudFormation token for what this request starts, so that a retry starts nothing else.
    pub(crate) fn token(&self) -> String {
        self.conditions.token().unwrap_or_else(|| {
            format!("{WITHOUT_KEY}{}", self.request_id.replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
        })
    }

    /// The stage that `stack` and `stage` in the query name.
    pub(crate) fn stage(&self) -> Result<Option<Stage>, Problem> {
        let not_valid =
            |what: &str, error: database::NameError| Problem::address(format!("The {what} name {error}."));
        match (self.query("stack"), self.query("stage")) {
            (None, None) => Ok(None),
            (Some(stack), Some(stage)) => Ok(Some(Stage {
                stack: StackName::try_from(stack).map_err(|error| not_valid("stack", error))?,
                stage: StageName::try_from(stage).map_err(|error| not_valid("stage", error))?,
            })),
            _ => Err(Problem::address("The query must have both stack and stage, or neither.")),
        }
    }

    /// A parameter of the query.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        self.query.first(name).map(str::to_owned)
    }
}
