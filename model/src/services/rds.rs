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

#[derive(Debug, Default, Clone)]
pub(crate) struct Rds {
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    /// What is still described in place of the truth, and until when.
    stale: BTreeMap<String, (u64, Option<Instance>)>,
    /// Data that was in an available instance which is gone, and who deleted it.
    pub(crate) gone: Vec<Gone>,
    writes: u64,
    data: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) class: String,
    pub(crate) storage: u32,
    pub(crate) status: String,
    pub(crate) pending_class: Option<String>,
    pub(crate) pending_storage: Option<u32>,
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

#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) identifier: String,
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
#[derive(Debug, Clone)]
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
    Failure::new(if code.ends_with("NotFound") { 404 } else { 400 }, code, words)
}

/// How long something takes in milliseconds.
fn takes(random: &mut Random, weather: &Weather) -> u64 {
    if random.chance(weather.slow) {
        return random.within(10 * MINUTE, 90 * MINUTE);
    }
    // Mostly soon, as every look at what goes on costs time and finds nothing.
    match random.weighted(&[80, 15, 5]) {
        0 => random.within(SECOND, 6 * SECOND),
        1 => random.within(6 * SECOND, MINUTE),
        _ => random.within(MINUTE, 10 * MINUTE),
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
                        instance.status = "backing-up".to_owned();
                    }
                    Change::Applied => {
                        if let Some(class) = instance.pending_class.take() {
                            instance.class = class;
                        }
                        if let Some(storage) = instance.pending_storage.take() {
                            instance.storage = storage.max(instance.storage);
                        }
                        instance.status = instance.at_rest(at).to_owned();
                    }
                    Change::Optimized => {
                        if instance.status == "storage-optimization" {
                            instance.status = "available".to_owned();
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
            "DescribeDBSnapshots" => Some(Ok(self.describe_snapshots(&identifier, now))),
            "DescribeDBEngineVersions" => Some(Ok(
                "<DBEngineVersions><DBEngineVersion><Engine>postgres</Engine><EngineVersion>17.5</EngineVersion>\
                 </DBEngineVersion></DBEngineVersions>"
                    .to_owned(),
            )),
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
                self.restore(call, &identifier, now, &mut random, weather)?
            }
            "ModifyDBInstance" => self.modify(call, &identifier, now, &mut random, weather)?,
            "DeleteDBInstance" => self.delete(call, &identifier, now, &mut random, weather)?,
            other => return Err(no("InvalidAction", other)),
        }
        if random.chance(weather.stale) {
            self.stale.insert(identifier.clone(), (now + random.within(0, 3 * SECOND), before));
        }
        Ok(Reply::Xml(String::new()))
    }

    fn describe(&self, identifier: &str, now: u64) -> Result<String, Failure> {
        let Some(instance) = self.shown(identifier, now) else {
            return Err(no("DBInstanceNotFound", format!("DBInstance {identifier} not found.")));
        };
        Ok(format!("<DBInstances>{}</DBInstances>", xml(identifier, instance)))
    }

    fn describe_snapshots(&self, identifier: &str, now: u64) -> String {
        let mut xml = "<DBSnapshots>".to_owned();
        for (id, snapshot) in self.snapshots.iter().filter(|(_, snapshot)| snapshot.identifier == identifier)
        {
            xml.push_str("<DBSnapshot>");
            element(&mut xml, "DBSnapshotIdentifier", id);
            element(&mut xml, "DBInstanceIdentifier", identifier);
            let status = if now < snapshot.available_at { "creating" } else { "available" };
            element(&mut xml, "Status", status);
            tags(&mut xml, &snapshot.instance.tags);
            xml.push_str("</DBSnapshot>");
        }
        xml + "</DBSnapshots>"
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
            pending_class: None,
            pending_storage: None,
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
            pending_class: None,
            pending_storage: None,
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
        let (class, storage) = (call.text("DBInstanceClass"), call.number("AllocatedStorage"));
        if !instance.is_usable() {
            let words = format!("Database instance is not in available state, but {}.", instance.status);
            return Err(no("InvalidDBInstanceState", words));
        }
        // What is pending already can be asked for again.
        let new = |storage: &u32| *storage != instance.storage && instance.pending_storage != Some(*storage);
        if let Some(storage) = storage.filter(new) {
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
            instance.pending_storage = Some(storage);
        }
        if let Some(class) = class.filter(|class| *class != instance.class) {
            instance.pending_class = Some(class.to_owned());
        }
        if call.text("DeletionProtection").is_some() {
            instance.protected = call.flag("DeletionProtection");
        }
        let groups = call.list("VpcSecurityGroupIds.VpcSecurityGroupId");
        if !groups.is_empty() {
            instance.security_groups = groups;
        }
        if instance.pending_class.is_some() || instance.pending_storage.is_some() {
            // The status changes a while after the call.
            let begins = now + random.within(0, 30 * SECOND);
            let ends = begins + takes(random, weather);
            instance.course.retain(|(_, change)| matches!(change, Change::Optimized));
            instance.course.push_back((begins, Change::Status("modifying")));
            instance.course.push_back((ends, Change::Applied));
            if instance.pending_storage.is_some() {
                instance.storage_changed = Some(ends);
                instance.optimizing_until = ends + random.within(HOUR, 20 * HOUR);
                instance.course.push_back((instance.optimizing_until, Change::Optimized));
            }
            instance.course.make_contiguous().sort_by_key(|(at, _)| *at);
        }
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
            instance.status = "deleting".to_owned();
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
            instance.status = "storage-optimization".to_owned();
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
        let instance = Instance {
            class: "db.m7g.large".to_owned(),
            storage: 500,
            status: "available".to_owned(),
            pending_class: None,
            pending_storage: None,
            password: "theirs".to_owned(),
            username: "theirs".to_owned(),
            database_name: "theirs".to_owned(),
            tags: BTreeMap::new(),
            protected: false,
            security_groups: Vec::new(),
            subnet_group: String::new(),
            was_available: Some(now),
            data: self.data,
            foreign: true,
            storage_changed: None,
            optimizing_until: 0,
            course: VecDeque::new(),
        };
        self.instances.insert(identifier.to_owned(), instance);
        true
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
    if let Some(class) = &instance.pending_class {
        element(&mut xml, "DBInstanceClass", class);
    }
    if let Some(storage) = instance.pending_storage {
        element(&mut xml, "AllocatedStorage", &storage.to_string());
    }
    xml.push_str("</PendingModifiedValues>");
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
            Some((until, instance)) if now < *until => instance.as_ref(),
            _ => self.instances.get(identifier),
        }
    }
}
