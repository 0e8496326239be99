//! The operations that change an instance: each is checked against RDS's rules, and then takes time.

use std::collections::VecDeque;

use super::{
    HOUR, MINUTE, Rds, SECOND,
    catalog::{full_version, number_of},
    instance::{Change, Instance, Pending, Snapshot, attributes},
    refusal::refuse,
};
use crate::{
    base::{
        random::Random,
        wire::{Call, Failure},
    },
    plans::plan::Weather,
};

/// The tag that an instance must have before our functions are allowed to change it (template.yaml).
const TAG_NEEDED: &str = "stagedb:stage-stack-id";

/// How long something takes in milliseconds.
fn takes(random: &mut Random, weather: &Weather) -> u64 {
    if random.chance(weather.slow) {
        return random.within(20 * MINUTE, 90 * MINUTE);
    }
    // Mostly short, because polling costs time and finds nothing.
    match random.weighted(&[80, 15, 5]) {
        0 => random.within(SECOND / 2, 3 * SECOND),
        1 => random.within(3 * SECOND, 30 * SECOND),
        _ => random.within(30 * SECOND, 5 * MINUTE),
    }
}

impl Rds {
    pub(super) fn refuse_existing(&self, identifier: &str) -> Result<(), Failure> {
        if self.instances.contains_key(identifier) {
            return Err(refuse("DBInstanceAlreadyExists", "DB instance already exists"));
        }
        Ok(())
    }

    pub(super) fn create(
        &mut self,
        call: &Call,
        identifier: &str,
        now: u64,
        random: &mut Random,
        weather: &Weather,
    ) -> Result<(), Failure> {
        self.refuse_existing(identifier)?;
        if random.chance(weather.refused / 2) {
            let words = "There is not enough capacity for the requested DB instance class.";
            return Err(refuse("InsufficientDBInstanceCapacity", words));
        }
        let text = |name: &str| call.text(name).unwrap_or_default().to_owned();
        let password = text("MasterUserPassword");
        if !(8..=128).contains(&password.len()) || password.contains(['/', '"', '@', ' ']) {
            return Err(refuse(
                "InvalidParameterValue",
                "The parameter MasterUserPassword is not a valid password.",
            ));
        }
        self.data += 1;
        let asked_for = Instance {
            storage: call.number("AllocatedStorage").unwrap_or(20),
            version: full_version(call.text("EngineVersion").unwrap_or("17")),
            attributes: attributes(call),
            max_storage: call.number("MaxAllocatedStorage"),
            password,
            username: text("MasterUsername"),
            database_name: text("DBName"),
            data: self.data,
            ..Instance::default()
        };
        let instance = begun(call, asked_for, making(now, random, weather));
        self.instances.insert(identifier.to_owned(), instance);
        Ok(())
    }

    pub(super) fn restore(
        &mut self,
        call: &Call,
        identifier: &str,
        now: u64,
        random: &mut Random,
        weather: &Weather,
    ) -> Result<(), Failure> {
        self.refuse_existing(identifier)?;
        let id = call.text("DBSnapshotIdentifier").unwrap_or_default();
        let Some(snapshot) = self.snapshots.get(id) else {
            return Err(refuse("DBSnapshotNotFound", "DBSnapshot not found"));
        };
        if now < snapshot.available_at {
            return Err(refuse("InvalidDBSnapshotState", "The snapshot is not in the available state."));
        }
        let course = making(now, random, &Weather { refused: 0, ..*weather });
        let instance = begun(call, snapshot.instance.as_ref().clone(), course);
        self.instances.insert(identifier.to_owned(), instance);
        Ok(())
    }

    pub(super) fn writable(&mut self, identifier: &str) -> Result<&mut Instance, Failure> {
        let instance = self.instances.get_mut(identifier);
        let instance = instance
            .ok_or_else(|| refuse("DBInstanceNotFound", format!("DBInstance {identifier} not found.")))?;
        if !instance.tags.contains_key(TAG_NEEDED) {
            return Err(Failure::new(403, "AccessDenied", "User is not authorized to perform this action."));
        }
        Ok(instance)
    }

    pub(super) fn modify(
        &mut self,
        call: &Call,
        identifier: &str,
        now: u64,
        random: &mut Random,
        weather: &Weather,
    ) -> Result<(), Failure> {
        let instance = self.writable(identifier)?;
        if !instance.is_usable() {
            let words = format!("Database instance is not in available state, but {}.", instance.status);
            return Err(refuse("InvalidDBInstanceState", words));
        }
        let mut pending = instance.pending.clone();
        // A change that is already pending can be requested again.
        let new = |storage: &u32| *storage != instance.storage && instance.pending.storage != Some(*storage);
        if let Some(storage) = call.number("AllocatedStorage").filter(new) {
            if storage < instance.storage {
                return Err(refuse(
                    "InvalidParameterCombination",
                    "Requested storage size is smaller than the current one.",
                ));
            }
            if storage < instance.storage + instance.storage.div_ceil(10) {
                return Err(refuse("InvalidParameterCombination", "Storage grows by at least 10 percent."));
            }
            let cooling = instance.storage_changed.is_some_and(|at| now < at + 6 * HOUR);
            if cooling || now < instance.optimizing_until {
                let words = "You can't currently modify the storage of this DB instance because the previous storage change \
                             is being optimized.";
                return Err(refuse("InvalidParameterCombination", words));
            }
            pending.storage = Some(storage);
        }
        if let Some(class) = call.text("DBInstanceClass") {
            pending.class = (class != instance.class).then(|| class.to_owned());
        }
        if call.text("MultiAZ").is_some() {
            pending.multi_az = (call.flag("MultiAZ") != instance.multi_az).then(|| call.flag("MultiAZ"));
        }
        if let Some(version) = call.text("EngineVersion") {
            let version = full_version(version);
            if number_of(&version) < number_of(&instance.version) {
                return Err(refuse("InvalidParameterCombination", "Cannot upgrade to an earlier version."));
            }
            pending.version = (version != instance.version).then_some(version);
        }
        for (name, value) in &mut instance.attributes {
            if let Some(wanted) = call.text(name) {
                wanted.clone_into(value);
            }
        }
        if let Some(max) = call.number("MaxAllocatedStorage") {
            let storage = pending.storage.unwrap_or(instance.storage);
            if max != storage && max < storage + storage.div_ceil(10) {
                return Err(refuse(
                    "InvalidParameterCombination",
                    "Invalid max storage size for engine name postgres.",
                ));
            }
            instance.max_storage = (max > storage).then_some(max);
        }
        if let Some(password) = call.text("MasterUserPassword") {
            password.clone_into(&mut instance.password);
            let ends = now + random.within(SECOND, 10 * SECOND);
            instance.course.push_back((now, Change::Status("resetting-master-credentials")));
            instance.course.push_back((ends, Change::Applied));
        }
        if call.text("DeletionProtection").is_some() {
            instance.protected = call.flag("DeletionProtection");
        }
        let groups = call.list("VpcSecurityGroupIds.VpcSecurityGroupId");
        if !groups.is_empty() {
            instance.security_groups = groups;
        }
        let changed = pending != instance.pending;
        instance.pending = pending;
        let at_once = call.flag("ApplyImmediately");
        if instance.pending != Pending::default() && (changed || at_once) {
            // The status changes some time after the call, or in the maintenance window.
            let begins = if at_once {
                now + random.within(0, 30 * SECOND)
            } else {
                now + random.within(HOUR, 160 * HOUR)
            };
            let ends = begins + takes(random, weather);
            instance.course.retain(|(_, change)| matches!(change, Change::Optimized));
            let status = if instance.pending.version.is_some() { "upgrading" } else { "modifying" };
            instance.course.push_back((begins, Change::Status(status)));
            if instance.pending.storage.is_some() {
                instance.optimizing_until = ends + random.within(HOUR, 20 * HOUR);
                instance.course.push_back((instance.optimizing_until, Change::Optimized));
            }
            instance.course.push_back((ends, Change::Applied));
        }
        instance.course.make_contiguous().sort_by_key(|(at, _)| *at);
        Ok(())
    }

    pub(super) fn take_snapshot(
        &mut self,
        call: &Call,
        identifier: &str,
        now: u64,
        random: &mut Random,
        weather: &Weather,
    ) -> Result<(), Failure> {
        let id = call.text("DBSnapshotIdentifier").unwrap_or_default().to_owned();
        if self.snapshots.contains_key(&id) {
            return Err(refuse("DBSnapshotAlreadyExists", "Cannot create the snapshot: it already exists."));
        }
        let available_at = now + takes(random, weather);
        let instance = self.writable(identifier)?;
        if !instance.is_usable() {
            return Err(refuse("InvalidDBInstanceState", "Cannot create a snapshot in this state."));
        }
        let mut tags = instance.tags.clone();
        tags.extend(call.pairs("Tags.Tag", "Key", "Value"));
        let instance = Box::new(instance.clone());
        let identifier = identifier.to_owned();
        self.snapshots.insert(id, Snapshot { identifier, tags, taken_at: now, available_at, instance });
        Ok(())
    }

    pub(super) fn delete(
        &mut self,
        call: &Call,
        identifier: &str,
        now: u64,
        random: &mut Random,
        weather: &Weather,
    ) -> Result<(), Failure> {
        let instance = self.writable(identifier)?;
        let snapshot = call.text("FinalDBSnapshotIdentifier").map(str::to_owned);
        if instance.status == "deleting" {
            return Err(refuse(
                "InvalidDBInstanceState",
                format!("DB instance {identifier} is already being deleted."),
            ));
        }
        if instance.protected {
            return Err(refuse("InvalidParameterCombination", "Cannot delete protected DB Instance."));
        }
        match (&snapshot, call.flag("SkipFinalSnapshot")) {
            (Some(_), true) | (None, false) => {
                return Err(refuse(
                    "InvalidParameterCombination",
                    "FinalDBSnapshotIdentifier or SkipFinalSnapshot.",
                ));
            }
            (Some(_), false) if !instance.is_usable() => {
                return Err(refuse(
                    "InvalidDBInstanceState",
                    "Cannot create a final snapshot in this state.",
                ));
            }
            _ => {}
        }
        let gone_at = now + takes(random, weather);
        let copy = instance.clone();
        if let Some(id) = snapshot {
            if self.snapshots.contains_key(&id) {
                return Err(refuse(
                    "DBSnapshotAlreadyExists",
                    "Cannot create the snapshot: it already exists.",
                ));
            }
            // It becomes available before the instance is deleted.
            let snapshot = Snapshot {
                identifier: identifier.to_owned(),
                tags: copy.tags.clone(),
                taken_at: now,
                available_at: random.within(now, gone_at),
                instance: Box::new(copy),
            };
            self.snapshots.insert(id, snapshot);
        }
        self.vanish(identifier, gone_at, false);
        Ok(())
    }
}

/// An instance that is being created or restored: `from`, with what both calls ask for.
fn begun(call: &Call, from: Instance, course: VecDeque<(u64, Change)>) -> Instance {
    Instance {
        class: call.text("DBInstanceClass").unwrap_or_default().to_owned(),
        status: "creating".to_owned(),
        multi_az: call.flag("MultiAZ"),
        pending: Pending::default(),
        tags: call.pairs("Tags.Tag", "Key", "Value"),
        protected: call.flag("DeletionProtection"),
        security_groups: call.list("VpcSecurityGroupIds.VpcSecurityGroupId"),
        subnet_group: call.text("DBSubnetGroupName").unwrap_or_default().to_owned(),
        was_available: None,
        foreign: false,
        storage_changed: None,
        optimizing_until: 0,
        course,
        ..from
    }
}

/// From `creating` to `available`, or to a failed status.
fn making(now: u64, random: &mut Random, weather: &Weather) -> VecDeque<(u64, Change)> {
    let made = now + takes(random, weather);
    if random.chance(weather.refused) {
        let status = random.pick(&["failed", "incompatible-network", "incompatible-parameters"]);
        return [(made, Change::Status(status))].into();
    }
    let backed_up = made + random.within(0, 20 * SECOND);
    [(made, Change::Made), (backed_up, Change::Status("available"))].into()
}
