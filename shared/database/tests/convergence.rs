//! Generated histories over a small model of RDS, in which every call takes effect and takes time. Creations, changes,
//! removals, and rollbacks all end, in any order, and no data is lost.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use database::{
    Changes, Clock, Created, CreatedSettings, Desired, Endpoint, Instance, Observed, Operation, Owner,
    Pending, Previous, Request, Snapshot, SnapshotId, SnapshotStatus, Stage, Status, Step, next_step,
};
use proptest::prelude::*;
use support::{settings, shown};

/// A model of RDS with one identifier. Every call takes effect. What takes time is done after `busy` ticks.
#[derive(Debug, Default)]
struct Rds {
    instance: Option<Instance>,
    snapshots: Vec<Snapshot>,
    busy: u32,
    /// The data in the instance, and in each snapshot.
    data: Option<String>,
    snapshot_data: Vec<(SnapshotId, String)>,
}

fn owner() -> Owner {
    Owner { stage_stack_id: "arn:stage-stack".to_owned(), logical_id: "Database".to_owned() }
}

impl Rds {
    fn tick(&mut self) {
        self.busy = self.busy.saturating_sub(1);
        if self.busy > 0 {
            return;
        }
        for snapshot in &mut self.snapshots {
            snapshot.status = SnapshotStatus::Available;
        }
        let Some(instance) = &mut self.instance else { return };
        match instance.status {
            Status::Deleting => self.instance = None,
            Status::Creating | Status::InProgress(_) => {
                instance.status = Status::from("available");
                instance.was_available = true;
                instance.endpoint = Some(Endpoint { host: "db".to_owned(), port: 5432 });
                let pending = std::mem::take(&mut instance.pending);
                instance.instance_class = pending.instance_class.unwrap_or(instance.instance_class.clone());
                instance.storage_gib = pending.storage_gib.unwrap_or(instance.storage_gib);
            }
            Status::Usable { .. } | Status::Stopped | Status::Failed(_) => {}
        }
    }

    fn begin(&mut self, created: &Created, data: String, busy: u32) {
        assert!(self.instance.is_none(), "created over an existing instance");
        self.busy = busy;
        self.data = Some(data);
        self.instance = Some(Instance {
            status: Status::Creating,
            owner: Some(owner()),
            generation: Some(created.generation.clone()),
            instance_class: created.settings.instance_class.to_string(),
            storage_gib: created.settings.storage.get(),
            pending: Pending::default(),
            endpoint: None,
            database_name: Some(created.settings.database_name.to_string()),
            deletion_protection: false,
            security_groups: vec![created.security_group.clone()],
            was_available: false,
            max_storage_gib: None,
            iops: Some(3000),
            shown: shown(&created.settings),
            engine_version: Some(created.settings.engine_version),
            credentials: Some(created.generation.clone()),
            password_changed_at: None,
            downtime: None,
            maintenance_window: None,
        });
    }

    fn modify(&mut self, changes: Changes, busy: u32) {
        let instance = self.instance.as_mut().expect("modified nothing");
        assert!(matches!(instance.status, Status::Usable { .. }), "modified in {:?}", instance.status);
        if let Some(storage) = changes.storage_gib {
            assert!(storage > instance.storage_gib, "storage shrinks");
            instance.pending.storage_gib = Some(storage);
        }
        instance.pending.instance_class = changes.instance_class.map(String::from);
        instance.deletion_protection = changes.deletion_protection.unwrap_or(instance.deletion_protection);
        if instance.pending != Pending::default() {
            instance.status = Status::from("modifying");
            self.busy = busy;
        }
    }

    fn delete(&mut self, final_snapshot: Option<SnapshotId>, busy: u32) {
        let instance = self.instance.as_mut().expect("deleted nothing");
        assert!(!instance.deletion_protection, "deleted although protected");
        assert!(final_snapshot.is_some() || !instance.was_available, "deleted without a final snapshot");
        instance.status = Status::Deleting;
        self.busy = busy;
        if let Some(id) = final_snapshot {
            assert!(self.snapshots.iter().all(|s| s.id != id), "DBSnapshotAlreadyExists");
            self.snapshot_data.push((id.clone(), self.data.take().expect("an instance has data")));
            let generation = instance.generation.clone();
            self.snapshots.push(Snapshot {
                id,
                status: SnapshotStatus::Creating,
                owner: Some(owner()),
                credentials: generation.clone(),
                generation,
                stage: None,
                database_name: None,
                created_at: None,
                storage_gib: instance.storage_gib,
                engine_version: None,
            });
        }
    }

    fn perform(&mut self, step: Step, busy: u32) {
        match step {
            Step::Create(created) => self.begin(&created, format!("data of {}", created.generation), busy),
            Step::Restore { created, snapshot, .. } => {
                let data =
                    self.snapshot_data.iter().find(|(id, _)| *id == snapshot).expect("it exists").1.clone();
                self.begin(&created, data, busy);
            }
            Step::Modify(changes) => self.modify(changes, busy),
            Step::Delete { final_snapshot } => self.delete(final_snapshot, busy),
            Step::Wait(_) => {}
            Step::SetPassword(_) | Step::Snapshot(_) | Step::ObserveSnapshots => {
                panic!("nothing here asks for it")
            }
            Step::Finish(_) | Step::Refuse(_) => unreachable!("these end the request"),
        }
    }
}

/// What a user asks for, one after the other.
#[derive(Debug, Clone)]
enum Wish {
    Add,
    Resize { class: &'static str, storage: i64 },
    Remove,
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        2 => Just(Wish::Add),
        2 => (prop::sample::select(vec!["db.t4g.micro", "db.t4g.small"]), 20_i64..200)
            .prop_map(|(class, storage)| Wish::Resize { class, storage }),
        1 => Just(Wish::Remove),
    ]
}

/// Runs one request to its end. With `repeat`, the answer is lost once, so the request is repeated.
fn run(rds: &mut Rds, request: &Request, busy: u32, repeat: bool) -> Step {
    for tick in 0..400 {
        let snapshots = Some(rds.snapshots.clone());
        let observed = Observed { instance: rds.instance.clone(), snapshots, attached: None };
        let clock = Clock { elapsed: Duration::from_secs(tick) };
        let step = next_step(request, &observed, clock);
        if matches!(step, Step::Finish(_) | Step::Refuse(_)) {
            return if repeat { run(rds, request, busy, false) } else { step };
        }
        rds.perform(step, busy);
        rds.tick();
    }
    panic!("a request did not end: {request:?} with {rds:?}");
}

fn created(number: usize, class: &str, storage: i64) -> Created {
    let (instance_class, storage) = (class.to_owned().try_into().unwrap(), storage.try_into().unwrap());
    Created {
        generation: format!("g{number}").try_into().unwrap(),
        settings: CreatedSettings {
            instance_class,
            storage,
            engine_version: "17.5".to_owned().try_into().unwrap(),
            ..settings()
        },
        subnet_group: "subnets".to_owned(),
        security_group: "sg-1".to_owned(),
    }
}

proptest! {
    #[test]
    fn every_request_ends_and_no_data_is_lost(
        wishes in prop::collection::vec((wish(), 0_u32..8, any::<bool>(), any::<bool>()), 1..12)
    ) {
        let mut rds = Rds::default();
        let mut current: (Desired, usize) = (Desired::None, 0);
        for (wish, busy, repeat, rolled_back) in wishes {
            let generation = current.1;
            let next = match (&current.0, wish) {
                (Desired::None, Wish::Add) => {
                    (Desired::Created(created(generation + 1, "db.t4g.micro", 20)), generation + 1)
                }
                (Desired::Created(_), Wish::Resize { class, storage }) => {
                    (Desired::Created(created(generation, class, storage)), generation)
                }
                (Desired::Created(_), Wish::Remove) => (Desired::None, generation),
                _ => continue,
            };
            let previous = |generation: usize| Some(format!("g{generation}").try_into().unwrap());
            let stage = Stage { stack: "shop".try_into().unwrap(), stage: "dev".try_into().unwrap() };
            let request = |desired: &Desired, previous_generation| Request {
                operation: Operation::Update,
                stage: stage.clone(),
                owner: owner(),
                desired: desired.clone(),
                previous: Previous { generation: previous_generation, ..Previous::default() },
                token: "0a1b2c3d".to_owned(),
            };
            let forward = run(&mut rds, &request(&next.0, previous(current.1)), busy, repeat);
            prop_assert!(matches!(forward, Step::Finish(_)), "{forward:?}");
            if rolled_back {
                // Another resource of the stage stack failed, so CloudFormation asks for the old properties again.
                let back = run(&mut rds, &request(&current.0, previous(next.1)), busy, repeat);
                prop_assert!(matches!(back, Step::Finish(_)), "{back:?}");
            } else {
                current = next;
            }
            if let Desired::Created(created) = &current.0 {
                let live = rds.instance.as_ref().expect("what is desired is there");
                prop_assert_eq!(&live.instance_class, created.settings.instance_class.as_ref());
                prop_assert!(live.storage_gib >= created.settings.storage.get());
                prop_assert!(live.deletion_protection);
                let data = format!("data of {}", created.generation);
                prop_assert_eq!(rds.data.as_ref(), Some(&data), "the data is that of its generation");
            }
        }
    }
}
