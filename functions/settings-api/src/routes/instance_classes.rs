//! `GET /api/instance-classes`: the DB instance classes that RDS offers in this Region.

use std::collections::BTreeMap;

use database::{EngineVersion, InstanceClass, Orderable, capacity};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
};

/// A page of DB instance classes.
#[derive(Serialize, ToSchema)]
#[schema(as = InstanceClasses)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClassesWire {
    /// The PostgreSQL version that they're available for.
    engine_version: String,
    instance_classes: Vec<ClassWire>,
    /// The token for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// A DB instance class that RDS offers with gp3 storage in a VPC.
#[derive(Serialize, ToSchema)]
#[schema(as = InstanceClass)]
#[serde(rename_all = "camelCase")]
struct ClassWire {
    #[schema(example = "db.t4g.micro")]
    name: String,
    /// The number of virtual CPUs. Missing if stagedb doesn't know the instance family.
    #[serde(skip_serializing_if = "Option::is_none")]
    vcpus: Option<u32>,
    /// Memory in MiB.
    #[serde(rename = "memoryMiB", skip_serializing_if = "Option::is_none")]
    memory_mib: Option<u32>,
    #[serde(rename = "minStorageGiB")]
    min_storage_gib: u32,
    #[serde(rename = "maxStorageGiB")]
    max_storage_gib: u32,
    /// Whether it can have a Multi-AZ standby.
    multi_az: bool,
    /// Whether it supports storage autoscaling.
    storage_autoscaling: bool,
}

impl SettingsApi {
    /// Two calls to AWS for a page of up to 1,000 options.
    pub(crate) async fn get_instance_classes(&self, call: &Call) -> Result<Reply, Problem> {
        let version = match call.query("engineVersion") {
            None => self.configuration.engine_version,
            Some(text) => EngineVersion::try_from(text)
                .map_err(|error| Problem::address(format!("engineVersion {error}.")))?,
        };
        let token = call.query("nextToken");
        let has_token = token.is_some();
        let (found, next_token) = match self.databases.orderable_classes(version, token).await {
            Err(error) if error.refused && has_token => return Err(Problem::stale_token()),
            found => found?,
        };
        let classes: BTreeMap<InstanceClass, Orderable> = found.into_iter().collect();
        let mut instance_classes: Vec<_> = classes.into_iter().map(class).collect();
        // Smallest first, because most users look for a small one.
        instance_classes.sort_by_key(|c| (c.memory_mib.unwrap_or(u32::MAX), c.vcpus, c.name.clone()));
        let wire = ClassesWire { engine_version: version.to_string(), instance_classes, next_token };
        Ok(Reply::json(200, &wire))
    }
}

fn class((class, orderable): (InstanceClass, Orderable)) -> ClassWire {
    let capacity = capacity(&class);
    ClassWire {
        name: class.into(),
        vcpus: capacity.map(|c| c.vcpus),
        memory_mib: capacity.map(|c| c.memory_mib),
        min_storage_gib: orderable.min_storage_gib,
        max_storage_gib: orderable.max_storage_gib,
        multi_az: orderable.has_multi_az,
        storage_autoscaling: orderable.has_autoscaling,
    }
}
