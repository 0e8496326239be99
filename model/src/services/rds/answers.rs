//! What RDS describes: instances, snapshots, events, versions, and classes.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    Rds,
    instance::{Instance, Pending, Snapshot},
    refusal::refuse,
};
use crate::base::{
    clock,
    wire::{Failure, element},
};

impl Rds {
    pub(super) fn describe(&self, identifier: &str, now: u64) -> Result<String, Failure> {
        if identifier.is_empty() {
            let all = self.instances.iter().map(|(identifier, instance)| xml(identifier, instance));
            return Ok(format!("<DBInstances>{}</DBInstances>", all.collect::<String>()));
        }
        let Some(instance) = self.shown(identifier, now) else {
            return Err(refuse("DBInstanceNotFound", format!("DBInstance {identifier} not found.")));
        };
        Ok(format!("<DBInstances>{}</DBInstances>", xml(identifier, instance)))
    }

    pub(super) fn describe_snapshots(&self, identifier: &str, now: u64) -> String {
        let mut xml = "<DBSnapshots>".to_owned();
        let wanted = |snapshot: &Snapshot| identifier.is_empty() || snapshot.identifier == identifier;
        for (id, snapshot) in self.snapshots.iter().filter(|(_, snapshot)| wanted(snapshot)) {
            xml.push_str("<DBSnapshot>");
            element(&mut xml, "DBSnapshotIdentifier", id);
            element(&mut xml, "DBInstanceIdentifier", &snapshot.identifier);
            let status = if now < snapshot.available_at { "creating" } else { "available" };
            element(&mut xml, "Status", status);
            element(&mut xml, "SnapshotCreateTime", &clock::text(snapshot.taken_at));
            element(&mut xml, "AllocatedStorage", &snapshot.instance.storage.to_string());
            element(&mut xml, "EngineVersion", &snapshot.instance.version);
            tags(&mut xml, &snapshot.tags);
            xml.push_str("</DBSnapshot>");
        }
        xml + "</DBSnapshots>"
    }

    /// Of all events in RDS, our functions only read when the storage was changed.
    pub(super) fn events(&self, identifier: &str) -> String {
        let mut xml = "<Events>".to_owned();
        if let Some(at) = self.instances.get(identifier).and_then(|instance| instance.storage_changed) {
            xml.push_str("<Event>");
            element(&mut xml, "SourceIdentifier", identifier);
            element(&mut xml, "Message", "Finished applying modification to allocated storage");
            element(&mut xml, "Date", &clock::text(at));
            xml.push_str("</Event>");
        }
        xml + "</Events>"
    }

    /// The instance as currently described, which may be a few seconds out of date.
    pub(crate) fn shown(&self, identifier: &str, now: u64) -> Option<&Instance> {
        match self.stale.get(identifier) {
            Some(stale) if now < stale.until => stale.instance.as_ref(),
            _ => self.instances.get(identifier),
        }
    }
}

fn xml(identifier: &str, instance: &Instance) -> String {
    let mut xml = "<DBInstance>".to_owned();
    element(&mut xml, "DBInstanceIdentifier", identifier);
    element(&mut xml, "DBInstanceClass", &instance.class);
    element(&mut xml, "Engine", "postgres");
    element(&mut xml, "DBInstanceStatus", &instance.status);
    element(&mut xml, "MasterUsername", &instance.username);
    element(&mut xml, "DBName", &instance.database_name);
    if let Some(host) = instance.endpoint(identifier) {
        let _ = write!(xml, "<Endpoint><Address>{host}</Address><Port>5432</Port></Endpoint>");
    }
    let _ = write!(xml, "<AllocatedStorage>{}</AllocatedStorage>", instance.storage);
    if let Some(at) = instance.was_available {
        element(&mut xml, "InstanceCreateTime", &clock::text(at));
    }
    xml.push_str("<VpcSecurityGroups>");
    for group in &instance.security_groups {
        let _ = write!(
            xml,
            "<VpcSecurityGroupMembership><VpcSecurityGroupId>{group}</VpcSecurityGroupId><Status>active</Status>\
             </VpcSecurityGroupMembership>"
        );
    }
    xml.push_str("</VpcSecurityGroups><PendingModifiedValues>");
    let Pending { class, storage, multi_az, version } = &instance.pending;
    let pending = [
        ("DBInstanceClass", class.clone()),
        ("AllocatedStorage", storage.map(|gib| gib.to_string())),
        ("MultiAZ", multi_az.map(|flag| flag.to_string())),
        ("EngineVersion", version.clone()),
    ];
    for (name, value) in pending.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        element(&mut xml, name, &value);
    }
    xml.push_str("</PendingModifiedValues>");
    element(&mut xml, "EngineVersion", &instance.version);
    element(&mut xml, "MultiAZ", &instance.multi_az.to_string());
    for (name, value) in &instance.attributes {
        element(&mut xml, name, value);
    }
    element(&mut xml, "PreferredMaintenanceWindow", "sun:03:00-sun:03:30");
    for (name, value) in [("MaxAllocatedStorage", instance.max_storage), ("Iops", instance.iops)] {
        if let Some(value) = value {
            element(&mut xml, name, &value.to_string());
        }
    }
    element(&mut xml, "DeletionProtection", if instance.protected { "true" } else { "false" });
    tags(&mut xml, &instance.tags);
    xml + "</DBInstance>"
}

fn tags(xml: &mut String, tags: &BTreeMap<String, String>) {
    xml.push_str("<TagList>");
    for (key, value) in tags {
        xml.push_str("<Tag>");
        element(xml, "Key", key);
        element(xml, "Value", value);
        xml.push_str("</Tag>");
    }
    xml.push_str("</TagList>");
}
