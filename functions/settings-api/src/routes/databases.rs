//! `GET /api/databases`: the PostgreSQL databases in this Region, and whether they can be attached to a stage.

use std::collections::BTreeSet;

use aws::TAG_ATTACHABLE;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
    routes::endpoint::EndpointWire,
    save::{closed, used_by, why_never},
};

/// A page of databases.
#[derive(Serialize, ToSchema)]
#[schema(as = Databases)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatabasesWire {
    databases: Vec<FoundWire>,
    /// The token for the next page. A page can be empty and still have a next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// An RDS for PostgreSQL DB instance, an Aurora PostgreSQL DB cluster, or a Multi-AZ DB cluster.
#[derive(Serialize, ToSchema)]
#[schema(as = FoundDatabase)]
#[serde(rename_all = "camelCase")]
struct FoundWire {
    /// `instance` or `cluster`.
    kind: &'static str,
    identifier: String,
    /// The engine in RDS's own words, such as `postgres` or `aurora-postgresql`.
    engine: String,
    engine_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_class: Option<String>,
    /// The status in RDS's own words.
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<EndpointWire>,
    /// The name of the database that was created with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    database_name: Option<String>,
    /// The secret in which RDS manages and rotates the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    managed_secret_arn: Option<String>,
    /// Whether it can be attached to the stage in the query, or to any stage if the query has none.
    attachable: bool,
    /// Why it can't be attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    /// The stages that use it, as `{stack}/{stage}`.
    used_by: Vec<String>,
}

/// The maximum number of values in an EC2 filter.
const GROUPS_MAX: usize = 200;

impl SettingsApi {
    /// One call to RDS for a page, two to EC2 for the rules and tags of its security groups, and one to RDS for the subnet group
    /// of each cluster on the page.
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
        let open = self.security_groups.tagged(&groups, TAG_ATTACHABLE, "true").await?;
        let mut databases = Vec::new();
        for found in page.databases {
            let why_not = match &stack {
                Some(stack) => self.why_not(stack, &found).await?,
                None => why_never(&found),
            };
            let why_not = why_not.or_else(|| closed(&found, &open));
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
