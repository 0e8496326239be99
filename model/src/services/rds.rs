//! RDS: instances whose statuses change over time, pending changes, the storage cooldown, deletion protection,
//! snapshots that take time, and descriptions that may be a few seconds out of date.

mod answers;
mod catalog;
mod console;
mod instance;
pub(crate) mod logins;
mod refusal;
mod writes;

use std::collections::BTreeMap;

use catalog::{orderable, versions};
pub(crate) use instance::{AppLogin, Instance, ORDERS, ORDERS_GROUP, Owner};
use instance::{Change, Gone, Snapshot};
use refusal::refuse;

use crate::{
    base::{
        random::Random,
        wire::{Call, Failure, Reply},
    },
    plans::plan::Weather,
};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

#[derive(Debug, Default, Clone)]
pub(crate) struct Rds {
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    /// Outdated descriptions that are still returned, and until when.
    stale: BTreeMap<String, Stale>,
    /// The data of deleted instances that had been available, and who deleted them.
    pub(crate) gone: Vec<Gone>,
    writes: u64,
    data: u64,
}

/// An outdated description.
#[derive(Debug, Clone)]
struct Stale {
    until: u64,
    instance: Option<Instance>,
}

impl Rds {
    /// Applies everything that is due.
    pub(crate) fn advance(&mut self, now: u64) {
        let mut vanished = Vec::new();
        for (identifier, instance) in &mut self.instances {
            while let Some((at, _)) = instance.course.front()
                && *at <= now
                && let Some((at, change)) = instance.course.pop_front()
            {
                match change {
                    Change::Status(status) => status.clone_into(&mut instance.status),
                    Change::Made => {
                        instance.was_available = Some(at);
                        "backing-up".clone_into(&mut instance.status);
                    }
                    Change::Applied => {
                        let pending = std::mem::take(&mut instance.pending);
                        instance.class = pending.class.unwrap_or_else(|| instance.class.clone());
                        instance.version = pending.version.unwrap_or_else(|| instance.version.clone());
                        instance.multi_az = pending.multi_az.unwrap_or(instance.multi_az);
                        if let Some(storage) = pending.storage {
                            instance.storage = storage.max(instance.storage);
                            instance.storage_changed = Some(at);
                        }
                        instance.at_rest(at).clone_into(&mut instance.status);
                    }
                    Change::Optimized => {
                        if instance.status == "storage-optimization" {
                            "available".clone_into(&mut instance.status);
                        }
                    }
                    Change::Vanished { by_hand } => vanished.push((identifier.clone(), by_hand)),
                }
            }
        }
        for (identifier, by_hand) in vanished {
            if let Some(instance) = self.instances.remove(&identifier)
                && instance.was_available.is_some()
            {
                self.gone.push(Gone { identifier, data: instance.data, by_hand });
            }
        }
    }

    pub(crate) fn call(
        &mut self,
        call: &Call,
        now: u64,
        seed: u64,
        weather: &Weather,
    ) -> Result<Reply, Failure> {
        self.advance(now);
        let identifier = call.text("DBInstanceIdentifier").unwrap_or_default().to_owned();
        let read = match call.operation.as_str() {
            "DescribeDBInstances" => Some(self.describe(&identifier, now)),
            "DescribeDBClusters" if call.text("DBClusterIdentifier").is_none() => {
                Some(Ok("<DBClusters></DBClusters>".to_owned()))
            }
            "DescribeDBClusters" => Some(Err(refuse("DBClusterNotFoundFault", "DBCluster not found."))),
            "DescribeDBSnapshots" => Some(Ok(self.describe_snapshots(&identifier, now))),
            "DescribeDBEngineVersions" => Some(Ok(versions(call))),
            "DescribeEvents" => Some(Ok(self.events(call.text("SourceIdentifier").unwrap_or_default()))),
            "DescribeOrderableDBInstanceOptions" => Some(Ok(orderable(call))),
            _ => None,
        };
        if let Some(read) = read {
            return read.map(Reply::Xml);
        }
        self.writes += 1;
        let mut random = Random::of(seed, "rds", self.writes);
        let before = self.instances.get(&identifier).cloned();
        match call.operation.as_str() {
            "CreateDBInstance" => self.create(call, &identifier, now, &mut random, weather)?,
            "RestoreDBInstanceFromDBSnapshot" => {
                self.restore(call, &identifier, now, &mut random, weather)?;
            }
            "ModifyDBInstance" => self.modify(call, &identifier, now, &mut random, weather)?,
            "DeleteDBInstance" => self.delete(call, &identifier, now, &mut random, weather)?,
            "CreateDBSnapshot" => self.take_snapshot(call, &identifier, now, &mut random, weather)?,
            "AddTagsToResource" => {
                let arn = call.text("ResourceName").unwrap_or_default();
                let identifier = arn.rsplit(':').next().unwrap_or_default();
                let tags = call.pairs("Tags.Tag", "Key", "Value");
                self.writable(identifier)?.tags.extend(tags);
            }
            other => return Err(refuse("InvalidAction", other)),
        }
        if random.chance(weather.stale) {
            let until = now + random.within(0, 3 * SECOND);
            self.stale.insert(identifier.clone(), Stale { until, instance: before });
        }
        Ok(Reply::Xml(String::new()))
    }

    pub(super) fn vanish(&mut self, identifier: &str, at: u64, by_hand: bool) {
        if let Some(instance) = self.instances.get_mut(identifier) {
            "deleting".clone_into(&mut instance.status);
            instance.course.clear();
            instance.course.push_back((at, Change::Vanished { by_hand }));
        }
    }
}
