//! `GET /api/databases`: the databases that speak PostgreSQL here, and whether a stage can be attached to them.

use std::collections::BTreeSet;

use database::{StackName, Stage, StageName};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Call, SettingsApi,
    attach::{used_by, why_never},
    database_get::EndpointWire,
    problem::Problem,
    reply::Reply,
};

/// A page of databases.
#[derive(Serialize, ToSchema)]
#[schema(as = Databases)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatabasesWire {
    databases: Vec<FoundWire>,
    /// Leads to the next page. A page may be empty and still have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// An RDS for PostgreSQL instance, an Aurora PostgreSQL cluster or a Multi-AZ DB cluster.
#[derive(Serialize, ToSchema)]
#[schema(as = FoundDatabase)]
#[serde(rename_all = "camelCase")]
struct FoundWire {
    /// `instance` or `cluster`.
    kind: &'static str,
    identifier: String,
    /// RDS's word, such as `postgres` or `aurora-postgresql`.
    engine: String,
    engine_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_class: Option<String>,
    /// RDS's word.
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<EndpointWire>,
    /// The database that was created with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_name: Option<String>,
    /// The secret in which RDS keeps the password, and rotates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    managed_secret_arn: Option<String>,
    /// Whether the stage can be attached to it; without a stage, whether any can.
    attachable: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    /// The stages that it serves, as `{stack}/{stage}`.
    used_by: Vec<String>,
}

/// How many values EC2 takes in a filter.
const GROUPS_MAX: usize = 200;

impl SettingsApi {
    /// One call to RDS for a page and one to EC2 for the rules of its security groups, and one for each subnet group of the clusters on the page.
    pub(crate) async fn get_databases(&self, call: &Call) -> Result<Reply, Problem> {
        let stack = match call.stage()? {
            None => None,
            Some(stage) => Some(self.stage_stack(&stage).await?),
        };
        let token = call.query("nextToken");
        let page = match self.databases.page(token.as_deref()).await {
            Err(error) if error.refused && token.is_some() => return Err(Problem::stale_token()),
            page => page?,
        };
        let groups = page.databases.iter().flat_map(|found| &found.database.security_groups);
        let groups: BTreeSet<&str> = groups.map(String::as_str).collect();
        let groups: Vec<&str> = groups.into_iter().take(GROUPS_MAX).collect();
        let rules = self.security_groups.rules_of(&groups).await?;
        let mut databases = Vec::new();
        for found in page.databases {
            let why_not = match &stack {
                Some(stack) => self.why_not(stack, &found).await?,
                None => why_never(&found),
            };
            databases.push(FoundWire {
                kind: found.kind.as_str(),
                used_by: used_by(&found, &rules).iter().map(ToString::to_string).collect(),
                identifier: found.identifier,
                engine: found.engine,
                engine_version: found.engine_version,
                instance_class: found.instance_class,
                status: found.status,
                vpc_id: found.vpc_id,
                endpoint: found.database.endpoint.map(|e| EndpointWire { host: e.host, port: e.port }),
                database_name: found.database_name,
                managed_secret_arn: found.managed_secret_arn,
                attachable: why_not.is_none(),
                why_not,
            });
        }
        Ok(Reply::json(200, &DatabasesWire { databases, next_token: page.next_token }))
    }
}

impl Call {
    /// The stage that the query names, by `stack` and `stage`.
    pub(crate) fn stage(&self) -> Result<Option<Stage>, Problem> {
        let not_valid = |what: &str, error: database::NameError| {
            Problem::address(format!("The name of a {what} {error}."))
        };
        match (self.query("stack"), self.query("stage")) {
            (None, None) => Ok(None),
            (Some(stack), Some(stage)) => Ok(Some(Stage {
                stack: StackName::try_from(stack).map_err(|error| not_valid("stack", error))?,
                stage: StageName::try_from(stage).map_err(|error| not_valid("stage", error))?,
            })),
            _ => Err(Problem::address("The query has both stack and stage, or neither.")),
        }
    }
}
