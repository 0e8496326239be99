//! `GET /api/services`: the ECS services in this Region, and whether they can be registered with a stage.

use std::collections::BTreeMap;

use aws::{Lookup, Service, Subnet, TaskDefinition};
use database::{Registration, RolePatterns, StackStatus, Stage, hex, suggested_stage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    registration::{Candidate, why_not},
    response::{Problem, Reply},
};

/// A page of services.
#[derive(Serialize, ToSchema)]
#[schema(as = Services)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServicesWire {
    services: Vec<FoundWire>,
    /// The token for the next page. A page can be empty and still have a next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// An ECS service.
#[derive(Serialize, ToSchema)]
#[schema(as = FoundService)]
#[serde(rename_all = "camelCase")]
struct FoundWire {
    cluster: String,
    name: String,
    /// The containers in its task definition.
    containers: Vec<String>,
    /// The family of its task definition.
    family: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_id: Option<String>,
    subnet_ids: Vec<String>,
    /// The Availability Zones of its subnets. A stage needs two.
    availability_zones: Vec<String>,
    security_group_ids: Vec<String>,
    /// The stage that it belongs to, as `{stack}/{stage}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    /// Whether it can be registered with a stage.
    registrable: bool,
    /// Why it can't be registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    /// Names that its tags suggest.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested: Option<SuggestedWire>,
}

/// Names for a stack and a stage.
#[derive(Serialize, ToSchema)]
#[schema(as = SuggestedStage)]
struct SuggestedWire {
    stack: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
}

/// Where a page ends: in which page of clusters, at which cluster, and in which page of its services.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    clusters: Option<String>,
    #[serde(rename = "c", default)]
    cluster: usize,
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    services: Option<String>,
}

/// The most services on a page. Each takes a call for its task definition, of which ECS allows 20 per second.
const PAGE: u8 = 20;
/// The most clusters without services that one page skips.
const CLUSTERS: usize = 20;

impl SettingsApi {
    pub(crate) async fn get_services(&self, call: &Call) -> Result<Reply, Problem> {
        let token = call.query("nextToken");
        let place = token.as_deref().map(read).transpose()?.unwrap_or_default();
        let (arns, next) = match self.service_arns(place).await {
            Err(error) if error.refused && token.is_some() => return Err(Problem::stale_token()),
            page => page?,
        };
        let keys: Vec<(&str, &str)> = arns.iter().filter_map(|arn| key(arn)).collect();
        let services = self.services.services(&keys).await?;
        let subnet_ids: std::collections::BTreeSet<&str> =
            services.iter().flat_map(|service| &service.subnets).map(String::as_str).collect();
        let subnet_ids: Vec<&str> = subnet_ids.into_iter().take(SUBNETS_MAX).collect();
        let (subnets, definitions) =
            tokio::join!(self.subnets.get(&subnet_ids), self.task_definitions(&services));
        let (subnets, definitions) = (subnets?, definitions?);
        let owners = self.owners(&services).await?;
        let mut found = Vec::new();
        for service in &services {
            let Some(definition) = definitions.get(&service.task_definition_arn) else { continue };
            let owner = owners.iter().find(|(arn, _)| *arn == service.arn).map(|(_, stage)| stage);
            found.push(wire(service, definition, &subnets, owner, &self.configuration.task_roles));
        }
        let next_token = next.as_ref().map(write);
        Ok(Reply::json(200, &ServicesWire { services: found, next_token }))
    }

    /// The ARNs of a page of services, and where the next page begins.
    async fn service_arns(&self, place: Place) -> Result<(Vec<String>, Option<Place>), aws::AwsError> {
        let Place { clusters: page, cluster: mut index, services: mut token } = place;
        let (clusters, next_page) = self.services.clusters(page.as_deref()).await?;
        let mut arns: Vec<String> = Vec::new();
        for _ in 0..CLUSTERS {
            let Some(cluster) = clusters.get(index) else { break };
            let room = PAGE.saturating_sub(u8::try_from(arns.len()).unwrap_or(PAGE));
            if room == 0 {
                break;
            }
            let (more, next) = self.services.of(cluster, room, token.as_deref()).await?;
            arns.extend(more);
            if next.is_none() {
                index += 1;
            }
            token = next;
        }
        let next = if index < clusters.len() {
            Some(Place { clusters: page, cluster: index, services: token })
        } else {
            next_page.map(|page| Place { clusters: Some(page), ..Place::default() })
        };
        Ok((arns, next))
    }

    /// The task definitions of these services, each once.
    async fn task_definitions(
        &self,
        services: &[Service],
    ) -> Result<BTreeMap<String, TaskDefinition>, aws::AwsError> {
        let mut tasks = tokio::task::JoinSet::new();
        let arns: std::collections::BTreeSet<&String> =
            services.iter().map(|service| &service.task_definition_arn).collect();
        for arn in arns {
            let (definitions, arn) = (self.definitions.clone(), arn.clone());
            tasks.spawn(async move { definitions.get(&arn).await.map(|found| (arn, found)) });
        }
        let mut all = BTreeMap::new();
        while let Some(Ok(found)) = tasks.join_next().await {
            let (arn, definition) = found?;
            all.insert(arn, definition);
        }
        Ok(all)
    }

    /// The ARNs of those services that belong to a registered stage, each with the stage.
    async fn owners(&self, services: &[Service]) -> Result<Vec<(String, Stage)>, Problem> {
        let mut stages: BTreeMap<Stage, Option<Registration>> = BTreeMap::new();
        let mut owners = Vec::new();
        for service in services {
            let Some(owner) = service.owner() else { continue };
            if !stages.contains_key(&owner) {
                let registration = match self.stacks.stack(&owner.stage_stack_name()).await? {
                    Lookup::Found(stack) if stack.stage == owner && stack.status != StackStatus::Deleted => {
                        Registration::from_parameters(&stack.parameters).ok()
                    }
                    Lookup::Found(_) | Lookup::Missing | Lookup::Foreign => None,
                };
                stages.insert(owner.clone(), registration);
            }
            let registration = stages.get(&owner).and_then(Option::as_ref);
            if registration.is_some_and(|of| of.service(&service.arn).is_some()) {
                owners.push((service.arn.clone(), owner));
            }
        }
        Ok(owners)
    }
}

/// The most values in an EC2 filter.
const SUBNETS_MAX: usize = 200;

/// A token is JSON in hexadecimal digits, because a comma in a query separates two values.
fn write(place: &Place) -> String {
    let json = serde_json::to_vec(place).unwrap_or_default();
    hex(&json)
}

fn read(token: &str) -> Result<Place, Problem> {
    let digits: Vec<_> = token.chars().map(|digit| digit.to_digit(16)).collect();
    let byte = |pair: &[Option<u32>]| match pair {
        [Some(high), Some(low)] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    let json = digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>().ok_or_else(Problem::stale_token)?;
    serde_json::from_slice(&json).map_err(|_| Problem::stale_token())
}

/// The names of the cluster and the service in an ARN of the long format.
fn key(arn: &str) -> Option<(&str, &str)> {
    let mut parts = arn.rsplit('/');
    Some((parts.next()?, parts.next()?)).map(|(name, cluster)| (cluster, name))
}

fn wire(
    service: &Service,
    definition: &TaskDefinition,
    subnets: &[Subnet],
    owner: Option<&Stage>,
    task_roles: &RolePatterns,
) -> FoundWire {
    let of_service: Vec<&Subnet> =
        subnets.iter().filter(|subnet| service.subnets.contains(&subnet.id)).collect();
    let zones: std::collections::BTreeSet<String> =
        of_service.iter().map(|subnet| subnet.availability_zone.clone()).collect();
    let why_not = why_not(Candidate { service, definition, task_roles })
        .map(|why| format!("It {why}."))
        .or_else(|| owner.map(|stage| format!("It belongs to the stage {stage}.")));
    let suggested = suggested_stage(&service.tags);
    FoundWire {
        cluster: service.cluster().to_owned(),
        name: service.name.clone(),
        containers: definition.containers().into_iter().map(str::to_owned).collect(),
        family: definition.family().to_owned(),
        vpc_id: of_service.first().map(|subnet| subnet.vpc_id.clone()),
        subnet_ids: service.subnets.clone(),
        availability_zones: zones.into_iter().collect(),
        security_group_ids: service.security_groups.clone(),
        stage: owner.map(ToString::to_string),
        registrable: why_not.is_none(),
        why_not,
        suggested: suggested.map(|(stack, stage)| SuggestedWire {
            stack: stack.to_string(),
            stage: stage.map(|stage| stage.to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_token_and_anything_else_is_a_stale_token() {
        let place =
            Place { clusters: Some("a,b=".to_owned()), cluster: 7, services: Some("ü\"".to_owned()) };
        let token = write(&place);
        assert!(token.chars().all(|c| c.is_ascii_hexdigit()), "{token}");
        assert_eq!(read(&token).ok(), Some(place));
        for other in ["", "x", "7", "7b", "é", "{\"c\":0}", "5b5d"] {
            assert!(read(other).is_err(), "{other}");
        }
    }
}
