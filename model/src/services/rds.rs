//! RDS: instances whose statuses follow a course over time, pending changes, the storage's cooldown, protection, snapshots
//! that take time, and descriptions that may be a few seconds old.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
};

use crate::{
    clock,
    plan::Weather,
    random::Random,
    wire::{Call, Failure, Reply, element},
};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The tag without which our functions may not change an instance (template.yaml).
const TAG_NEEDED: &str = "stagedb:stage-stack-id";

/// The database of somebody else's that stages can be attached to.
pub(crate) const ORDERS: &str = "orders";
/// Its security group.
pub(crate) const ORDERS_GROUP: &str = "sg-orders";

#[derive(Debug, Default, Clone)]
pub(crate) struct Rds {
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    /// What is still described in place of the truth, and until when.
    stale: BTreeMap<String, Stale>,
    /// Data that was in an available instance which is gone, and who deleted it.
    pub(crate) gone: Vec<Gone>,
    writes: u64,
    data: u64,
}

/// A description that is out of date.
#[derive(Debug, Clone)]
struct Stale {
    until: u64,
    instance: Option<Instance>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) class: String,
    pub(crate) storage: u32,
    pub(crate) status: String,
    pub(crate) version: String,
    pub(crate) multi_az: bool,
    pub(crate) backup_days: u32,
    pub(crate) max_storage: Option<u32>,
    pub(crate) iops: Option<u32>,
    pub(crate) pending: Pending,
    pub(crate) password: String,
    pub(crate) username: String,
    pub(crate) database_name: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) protected: bool,
    pub(crate) security_groups: Vec<String>,
    pub(crate) subnet_group: String,
    pub(crate) was_available: Option<u64>,
    /// Stands for the data inside: a restored instance has that of its snapshot.
    pub(crate) data: u64,
    /// Made by somebody else.
    pub(crate) foreign: bool,
    storage_changed: Option<u64>,
    optimizing_until: u64,
    course: VecDeque<(u64, Change)>,
}

/// What was accepted and is not yet so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    class: Option<String>,
    storage: Option<u32>,
    multi_az: Option<bool>,
    version: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) identifier: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) taken_at: u64,
    pub(crate) available_at: u64,
    pub(crate) instance: Box<Instance>,
}

#[derive(Debug, Clone)]
pub(crate) struct Gone {
    pub(crate) identifier: String,
    pub(crate) data: u64,
    /// A person deleted it in the console.
    pub(crate) by_hand: bool,
}

/// What happens to an instance by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Status(&'static str),
    /// For the first time: it has an endpoint and a time of creation.
    Made,
    /// What was pending is applied.
    Applied,
    Optimized,
    Vanished {
        by_hand: bool,
    },
}

impl Instance {
    pub(crate) fn endpoint(&self, identifier: &str) -> Option<String> {
        self.was_available.map(|_| host(identifier))
    }

    /// The status that nothing is done in.
    fn at_rest(&self, now: u64) -> &'static str {
        if now < self.optimizing_until { "storage-optimization" } else { "available" }
    }

    fn is_usable(&self) -> bool {
        ["available", "storage-optimization", "storage-full"].contains(&self.status.as_str())
    }
}

fn host(identifier: &str) -> String {
    format!("{identifier}.c0example.us-east-1.rds.amazonaws.com")
}

fn no(code: &'static str, words: impl Into<String>) -> Failure {
    Failure::new(if code.contains("NotFound") { 404 } else { 400 }, code, words)
}

/// How long something takes in milliseconds.
fn takes(random: &mut Random, weather: &Weather) -> u64 {
    if random.chance(weather.slow) {
        return random.within(20 * MINUTE, 90 * MINUTE);
    }
    // Mostly soon, as every look at what goes on costs time and finds nothing.
    match random.weighted(&[80, 15, 5]) {
        0 => random.within(SECOND / 2, 3 * SECOND),
        1 => random.within(3 * SECOND, 30 * SECOND),
        _ => random.within(30 * SECOND, 5 * MINUTE),
    }
}

impl Rds {
    /// Lets everything happen that is due.
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
            "DescribeDBClusters" => Some(Err(no("DBClusterNotFoundFault", "DBCluster not found."))),
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
            other => return Err(no("InvalidAction", other)),
        }
        if random.chance(weather.stale) {
            let until = now + random.within(0, 3 * SECOND);
            self.stale.insert(identifier.clone(), Stale { until, instance: before });
        }
        Ok(Reply::Xml(String::new()))
    }

    fn describe(&self, identifier: &str, now: u64) -> Result<String, Failure> {
        if identifier.is_empty() {
            let all = self.instances.iter().map(|(identifier, instance)| xml(identifier, instance));
            return Ok(format!("<DBInstances>{}</DBInstances>", all.collect::<String>()));
        }
        let Some(instance) = self.shown(identifier, now) else {
            return Err(no("DBInstanceNotFound", format!("DBInstance {identifier} not found.")));
        };
        Ok(format!("<DBInstances>{}</DBInstances>", xml(identifier, instance)))
    }

    fn describe_snapshots(&self, identifier: &str, now: u64) -> String {
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

    /// Of all that RDS tells, only when the storage was changed is read.
    fn events(&self, identifier: &str) -> String {
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

    fn refuse_existing(&self, identifier: &str) -> Result<(), Failure> {
        if self.instances.contains_key(identifier) {
            return Err(no("DBInstanceAlreadyExists", "DB instance already exists"));
        }
        Ok(())
    }

    fn create(
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
            return Err(no("InsufficientDBInstanceCapacity", words));
        }
        let text = |name: &str| call.text(name).unwrap_or_default().to_owned();
        let password = text("MasterUserPassword");
        if !(8..=128).contains(&password.len()) || password.contains(['/', '"', '@', ' ']) {
            return Err(no(
                "InvalidParameterValue",
                "The parameter MasterUserPassword is not a valid password.",
            ));
        }
        self.data += 1;
        let instance = Instance {
            class: text("DBInstanceClass"),
            storage: call.number("AllocatedStorage").unwrap_or(20),
            status: "creating".to_owned(),
            version: full_version(call.text("EngineVersion").unwrap_or("17")),
            multi_az: call.flag("MultiAZ"),
            backup_days: call.number("BackupRetentionPeriod").unwrap_or(1),
            max_storage: call.number("MaxAllocatedStorage"),
            iops: None,
            pending: Pending::default(),
            password,
            username: text("MasterUsername"),
            database_name: text("DBName"),
            tags: call.pairs("Tags.Tag", "Key", "Value"),
            protected: call.flag("DeletionProtection"),
            security_groups: call.list("VpcSecurityGroupIds.VpcSecurityGroupId"),
            subnet_group: text("DBSubnetGroupName"),
            was_available: None,
            data: self.data,
            foreign: false,
            storage_changed: None,
            optimizing_until: 0,
            course: making(now, random, weather),
        };
        self.instances.insert(identifier.to_owned(), instance);
        Ok(())
    }

    fn restore(
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
            return Err(no("DBSnapshotNotFound", "DBSnapshot not found"));
        };
        if now < snapshot.available_at {
            return Err(no("InvalidDBSnapshotState", "The snapshot is not in the available state."));
        }
        let from = snapshot.instance.as_ref().clone();
        let instance = Instance {
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
            course: making(now, random, &Weather { refused: 0, ..*weather }),
            ..from
        };
        self.instances.insert(identifier.to_owned(), instance);
        Ok(())
    }

    fn writable(&mut self, identifier: &str) -> Result<&mut Instance, Failure> {
        let instance = self.instances.get_mut(identifier);
        let instance = instance
            .ok_or_else(|| no("DBInstanceNotFound", format!("DBInstance {identifier} not found.")))?;
        if !instance.tags.contains_key(TAG_NEEDED) {
            return Err(Failure::new(403, "AccessDenied", "User is not authorized to perform this action."));
        }
        Ok(instance)
    }

    fn modify(
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
            return Err(no("InvalidDBInstanceState", words));
        }
        let mut pending = instance.pending.clone();
        // What is pending already can be asked for again.
        let new = |storage: &u32| *storage != instance.storage && instance.pending.storage != Some(*storage);
        if let Some(storage) = call.number("AllocatedStorage").filter(new) {
            if storage < instance.storage {
                return Err(no(
                    "InvalidParameterCombination",
                    "Requested storage size is smaller than the current one.",
                ));
            }
            let cooling = instance.storage_changed.is_some_and(|at| now < at + 6 * HOUR);
            if cooling || now < instance.optimizing_until {
                let words = "You can't currently modify the storage of this DB instance because the previous storage change \
                             is being optimized.";
                return Err(no("InvalidParameterCombination", words));
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
                return Err(no("InvalidParameterCombination", "Cannot upgrade to an earlier version."));
            }
            pending.version = (version != instance.version).then_some(version);
        }
        if let Some(days) = call.number("BackupRetentionPeriod") {
            instance.backup_days = days;
        }
        if let Some(max) = call.number("MaxAllocatedStorage") {
            let storage = pending.storage.unwrap_or(instance.storage);
            if max != storage && max < storage + storage.div_ceil(10) {
                return Err(no(
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
            // The status changes a while after the call, or in the maintenance window.
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

    fn take_snapshot(
        &mut self,
        call: &Call,
        identifier: &str,
        now: u64,
        random: &mut Random,
        weather: &Weather,
    ) -> Result<(), Failure> {
        let id = call.text("DBSnapshotIdentifier").unwrap_or_default().to_owned();
        if self.snapshots.contains_key(&id) {
            return Err(no("DBSnapshotAlreadyExists", "Cannot create the snapshot: it already exists."));
        }
        let available_at = now + takes(random, weather);
        let instance = self.writable(identifier)?;
        if !instance.is_usable() {
            return Err(no("InvalidDBInstanceState", "Cannot create a snapshot in this state."));
        }
        let mut tags = instance.tags.clone();
        tags.extend(call.pairs("Tags.Tag", "Key", "Value"));
        let instance = Box::new(instance.clone());
        let identifier = identifier.to_owned();
        self.snapshots.insert(id, Snapshot { identifier, tags, taken_at: now, available_at, instance });
        Ok(())
    }

    fn delete(
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
            return Err(no(
                "InvalidDBInstanceState",
                format!("DB instance {identifier} is already being deleted."),
            ));
        }
        if instance.protected {
            return Err(no("InvalidParameterCombination", "Cannot delete protected DB Instance."));
        }
        match (&snapshot, call.flag("SkipFinalSnapshot")) {
            (Some(_), true) | (None, false) => {
                return Err(no(
                    "InvalidParameterCombination",
                    "FinalDBSnapshotIdentifier or SkipFinalSnapshot.",
                ));
            }
            (Some(_), false) if !instance.is_usable() => {
                return Err(no("InvalidDBInstanceState", "Cannot create a final snapshot in this state."));
            }
            _ => {}
        }
        let gone_at = now + takes(random, weather);
        let copy = instance.clone();
        if let Some(id) = snapshot {
            if self.snapshots.contains_key(&id) {
                return Err(no("DBSnapshotAlreadyExists", "Cannot create the snapshot: it already exists."));
            }
            // Available before the instance is gone.
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

    fn vanish(&mut self, identifier: &str, at: u64, by_hand: bool) {
        if let Some(instance) = self.instances.get_mut(identifier) {
            "deleting".clone_into(&mut instance.status);
            instance.course.clear();
            instance.course.push_back((at, Change::Vanished { by_hand }));
        }
    }
}

/// What people do in the console.
impl Rds {
    /// Whether there was something to do.
    pub(crate) fn stop(&mut self, identifier: &str, now: u64) -> bool {
        self.turn(identifier, now, |instance| instance.status == "available", "stopping", "stopped")
    }

    pub(crate) fn start(&mut self, identifier: &str, now: u64) -> bool {
        self.turn(identifier, now, |instance| instance.status == "stopped", "starting", "available")
    }

    fn turn(
        &mut self,
        identifier: &str,
        now: u64,
        allowed: fn(&Instance) -> bool,
        meanwhile: &str,
        then: &'static str,
    ) -> bool {
        self.advance(now);
        let Some(instance) = self.instances.get_mut(identifier).filter(|instance| allowed(instance)) else {
            return false;
        };
        meanwhile.clone_into(&mut instance.status);
        instance.course.push_back((now + MINUTE, Change::Status(then)));
        instance.course.make_contiguous().sort_by_key(|(at, _)| *at);
        true
    }

    pub(crate) fn delete_by_hand(&mut self, identifier: &str, now: u64) -> bool {
        self.advance(now);
        let exists = self.instances.get(identifier).is_some_and(|i| i.status != "deleting");
        if exists {
            self.vanish(identifier, now + MINUTE, true);
        }
        exists
    }

    pub(crate) fn autoscale(&mut self, identifier: &str, now: u64) {
        self.advance(now);
        if let Some(instance) = self.instances.get_mut(identifier).filter(|i| i.status == "available") {
            let storage = instance.storage + instance.storage.div_ceil(10).max(10);
            instance.storage = storage;
            instance.storage_changed = Some(now);
            instance.optimizing_until = now + 2 * HOUR;
            "storage-optimization".clone_into(&mut instance.status);
            instance.course.push_back((instance.optimizing_until, Change::Optimized));
        }
    }

    /// Somebody else's instance, with data.
    pub(crate) fn make_foreign(&mut self, identifier: &str, now: u64) -> bool {
        self.advance(now);
        if self.instances.contains_key(identifier) {
            return false;
        }
        self.data += 1;
        self.instances.insert(identifier.to_owned(), Instance::foreign(self.data, now, Vec::new()));
        true
    }

    /// The one that stages can be attached to, from the beginning.
    pub(crate) fn make_orders(&mut self) {
        self.instances.insert(ORDERS.to_owned(), Instance::orders());
    }
}

impl Instance {
    /// As it must be for ever.
    pub(crate) fn orders() -> Self {
        Self::foreign(0, 0, vec![ORDERS_GROUP.to_owned()])
    }

    fn foreign(data: u64, now: u64, security_groups: Vec<String>) -> Self {
        Self {
            class: "db.m7g.large".to_owned(),
            storage: 500,
            status: "available".to_owned(),
            version: "17.5".to_owned(),
            multi_az: false,
            backup_days: 7,
            max_storage: None,
            iops: None,
            pending: Pending::default(),
            password: "theirs".to_owned(),
            username: "theirs".to_owned(),
            database_name: "theirs".to_owned(),
            tags: BTreeMap::new(),
            protected: false,
            security_groups,
            subnet_group: String::new(),
            was_available: Some(now),
            data,
            foreign: true,
            storage_changed: None,
            optimizing_until: 0,
            course: VecDeque::new(),
        }
    }
}

/// From `creating` to `available`, or to where nothing is made.
fn making(now: u64, random: &mut Random, weather: &Weather) -> VecDeque<(u64, Change)> {
    let made = now + takes(random, weather);
    if random.chance(weather.refused) {
        let status = random.pick(&["failed", "incompatible-network", "incompatible-parameters"]);
        return [(made, Change::Status(status))].into();
    }
    let backed_up = made + random.within(0, 20 * SECOND);
    [(made, Change::Made), (backed_up, Change::Status("available"))].into()
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
    element(&mut xml, "BackupRetentionPeriod", &instance.backup_days.to_string());
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

/// The default minor version of a major one.
fn full_version(version: &str) -> String {
    if version.contains('.') {
        version.to_owned()
    } else {
        format!("{version}.{}", if version == "17" { 5 } else { 1 })
    }
}

fn number_of(version: &str) -> (u32, u32) {
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    (major.parse().unwrap_or_default(), minor.parse().unwrap_or_default())
}

/// A version, and what it can be upgraded to.
fn versions(call: &Call) -> String {
    let version = full_version(call.text("EngineVersion").unwrap_or("17"));
    let mut xml = "<DBEngineVersions><DBEngineVersion><Engine>postgres</Engine>".to_owned();
    element(&mut xml, "EngineVersion", &version);
    xml.push_str("<ValidUpgradeTarget>");
    for target in ["17.6", "18.1"].into_iter().filter(|target| number_of(target) > number_of(&version)) {
        xml.push_str("<UpgradeTarget><Engine>postgres</Engine>");
        element(&mut xml, "EngineVersion", target);
        xml.push_str("</UpgradeTarget>");
    }
    xml + "</ValidUpgradeTarget></DBEngineVersion></DBEngineVersions>"
}

fn orderable(call: &Call) -> String {
    let class = call.text("DBInstanceClass").unwrap_or_default();
    format!(
        "<OrderableDBInstanceOptions><OrderableDBInstanceOption><Engine>postgres</Engine><DBInstanceClass>{class}\
         </DBInstanceClass><StorageType>gp3</StorageType><MinStorageSize>20</MinStorageSize>\
         <MaxStorageSize>65536</MaxStorageSize></OrderableDBInstanceOption></OrderableDBInstanceOptions>"
    )
}

impl Rds {
    /// What a description shows now, which may be a few seconds old.
    pub(crate) fn shown(&self, identifier: &str, now: u64) -> Option<&Instance> {
        match self.stale.get(identifier) {
            Some(stale) if now < stale.until => stale.instance.as_ref(),
            _ => self.instances.get(identifier),
        }
    }
}
