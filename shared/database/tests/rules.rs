//! The rules that a database's life keeps, one test for each.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use database::{
    Attributes, Changes, Clock, Created, DatabaseAttributes, Desired, Endpoint, GIVE_UP_AFTER, Instance,
    Observed, Operation, Owner, Pending, Refusal, Request, Snapshot, SnapshotId, SnapshotStatus, Stage,
    Status, Step, next_step,
};

const IDENTIFIER: &str = "shop-dev-postgres";
const START: Clock = Clock { elapsed: Duration::ZERO };

fn owner() -> Owner {
    Owner { stage_stack_id: "arn:stage-stack".to_owned(), logical_id: "Database".to_owned() }
}

fn generation(text: &str) -> database::Generation {
    text.to_owned().try_into().unwrap()
}

fn created() -> Created {
    Created {
        generation: generation("g1"),
        instance_class: "db.t4g.micro".to_owned().try_into().unwrap(),
        storage: 20.try_into().unwrap(),
        database_name: "app".to_owned().try_into().unwrap(),
        engine_version: "17".to_owned(),
        subnet_group: "subnets".to_owned(),
        security_group: "sg-1".to_owned(),
    }
}

fn request(operation: Operation, desired: Desired) -> Request {
    let stage = Stage { stack: "shop".try_into().unwrap(), stage: "dev".try_into().unwrap() };
    Request { operation, stage, owner: owner(), desired, previous_generation: None }
}

fn wanted() -> Request {
    request(Operation::Update, Desired::Created(created()))
}

fn unwanted() -> Request {
    request(Operation::Update, Desired::None)
}

fn deleted() -> Request {
    request(Operation::Delete, Desired::Created(created()))
}

/// The instance as it is once everything is done.
fn instance() -> Instance {
    Instance {
        status: Status::from("available"),
        owner: Some(owner()),
        generation: Some(generation("g1")),
        instance_class: "db.t4g.micro".to_owned(),
        storage_gib: 20,
        pending: Pending::default(),
        endpoint: Some(Endpoint { host: "db.example".to_owned(), port: 5432 }),
        database_name: Some("app".to_owned()),
        deletion_protection: true,
        security_groups: vec!["sg-1".to_owned()],
        was_available: true,
    }
}

fn with_status(status: &str) -> Instance {
    Instance { status: Status::from(status), ..instance() }
}

fn small(status: &str) -> Instance {
    Instance { instance_class: "db.t4g.nano".to_owned(), ..with_status(status) }
}

fn snapshot(number: u32, status: SnapshotStatus) -> Snapshot {
    let id = SnapshotId::final_of(IDENTIFIER, &generation("g1"), number);
    Snapshot { id, status, owner: Some(owner()), generation: Some(generation("g1")) }
}

fn seen(instance: impl Into<Option<Instance>>) -> Observed {
    Observed { instance: instance.into(), snapshots: Vec::new() }
}

fn step(request: &Request, instance: impl Into<Option<Instance>>) -> Step {
    next_step(request, &seen(instance), START)
}

fn finished() -> Step {
    Step::Finish(Attributes {
        database: Some(DatabaseAttributes {
            identifier: IDENTIFIER.to_owned(),
            endpoint: Endpoint { host: "db.example".to_owned(), port: 5432 },
            database_name: "app".to_owned().try_into().unwrap(),
        }),
    })
}

fn gone() -> Step {
    Step::Finish(Attributes { database: None })
}

fn delete(number: u32) -> Step {
    Step::Delete { final_snapshot: Some(SnapshotId::final_of(IDENTIFIER, &generation("g1"), number)) }
}

fn modify(change: impl FnOnce(&mut Changes)) -> Step {
    let mut changes = Changes::default();
    change(&mut changes);
    Step::Modify(changes)
}

fn is_wait(step: &Step) -> bool {
    matches!(step, Step::Wait(_))
}

#[test]
fn a_new_generation_begins_with_an_empty_database() {
    assert_eq!(step(&wanted(), None), Step::Create(created()));
}

#[test]
fn a_database_that_is_being_created_is_waited_for_and_protected_before_it_is_handed_out() {
    assert!(is_wait(&step(&wanted(), Instance { endpoint: None, ..with_status("creating") })));
    assert!(is_wait(&step(&wanted(), with_status("backing-up"))));
    let unprotected = Instance { deletion_protection: false, ..instance() };
    assert_eq!(step(&wanted(), unprotected), modify(|c| c.deletion_protection = Some(true)));
    assert_eq!(step(&wanted(), instance()), finished());
}

#[test]
fn an_instance_that_our_tags_do_not_claim_is_refused_and_never_touched() {
    let other = Owner { stage_stack_id: "arn:another-stack".to_owned(), ..owner() };
    let foreign = [
        Instance { owner: None, ..instance() },
        Instance { owner: Some(other), ..instance() },
        Instance { generation: None, ..instance() },
        Instance { owner: None, ..with_status("deleting") },
    ];
    for instance in foreign {
        assert_eq!(
            step(&wanted(), instance.clone()),
            Step::Refuse(Refusal::Foreign(IDENTIFIER.to_owned())),
            "{instance:?}"
        );
        assert_eq!(step(&unwanted(), instance.clone()), gone());
        assert_eq!(step(&deleted(), instance), gone());
    }
}

#[test]
fn a_class_is_changed_and_then_waited_for() {
    let small = Instance { instance_class: "db.t4g.nano".to_owned(), ..instance() };
    let class = created().instance_class;
    assert_eq!(step(&wanted(), small.clone()), modify(|c| c.instance_class = Some(class.clone())));

    let pending = Pending { instance_class: Some("db.t4g.micro".to_owned()), storage_gib: None };
    let accepted = Instance { pending, ..small };
    assert!(is_wait(&step(&wanted(), accepted.clone())));
    assert!(is_wait(&step(&wanted(), Instance { status: Status::from("modifying"), ..accepted.clone() })));

    let later = Clock { elapsed: Duration::from_mins(3) };
    let again = next_step(&wanted(), &seen(accepted), later);
    assert_eq!(
        again,
        modify(|c| c.instance_class = Some(class)),
        "what waits for a window is asked for again"
    );
}

#[test]
fn a_class_change_that_still_waits_for_its_window_is_taken_back_on_rollback() {
    let pending = Pending { instance_class: Some("db.t4g.large".to_owned()), storage_gib: None };
    let class = created().instance_class;
    assert_eq!(
        step(&wanted(), Instance { pending, ..instance() }),
        modify(|c| c.instance_class = Some(class))
    );
}

#[test]
fn storage_never_shrinks() {
    for live in [21, 40, 65_536] {
        assert_eq!(step(&wanted(), Instance { storage_gib: live, ..instance() }), finished(), "{live}");
    }
}

#[test]
fn growth_of_less_than_a_tenth_is_raised_to_a_tenth() {
    for (live, desired, expected) in [(20, 40, 40), (20, 21, 22), (100, 101, 110)] {
        let created = Created { storage: i64::from(desired).try_into().unwrap(), ..created() };
        let request = request(Operation::Update, Desired::Created(created));
        let step = step(&request, Instance { storage_gib: live, ..instance() });
        assert_eq!(step, modify(|c| c.storage_gib = Some(expected)), "{live} to {desired}");
    }
}

#[test]
fn storage_optimization_counts_as_usable_but_storage_cannot_grow_in_it() {
    assert_eq!(step(&wanted(), with_status("storage-optimization")), finished());
    let small = Instance { storage_gib: 10, ..with_status("storage-optimization") };
    assert_eq!(step(&wanted(), small), Step::Refuse(Refusal::Optimizing(IDENTIFIER.to_owned())));
}

#[test]
fn a_full_disk_can_be_grown() {
    let full = Instance { storage_gib: 18, ..with_status("storage-full") };
    assert_eq!(step(&wanted(), full), modify(|c| c.storage_gib = Some(20)));
}

#[test]
fn the_database_name_cannot_be_changed() {
    let other = Instance { database_name: Some("other".to_owned()), ..instance() };
    assert_eq!(step(&wanted(), other), Step::Refuse(Refusal::DatabaseName(IDENTIFIER.to_owned())));
}

#[test]
fn a_status_that_does_not_get_better_ends_in_words_if_something_is_to_be_changed() {
    for status in ["failed", "incompatible-network", "restore-error", "inaccessible-encryption-credentials"] {
        let Step::Refuse(refusal) = step(&wanted(), small(status)) else { panic!("{status} is not refused") };
        assert!(refusal.to_string().contains(status), "{refusal}");
    }
    let stopped = step(&wanted(), small("stopped"));
    assert_eq!(stopped, Step::Refuse(Refusal::Stopped(IDENTIFIER.to_owned())));
}

#[test]
fn a_rollback_with_nothing_to_change_succeeds_in_every_lasting_status() {
    for status in ["stopped", "failed", "incompatible-network", "storage-full"] {
        assert_eq!(step(&wanted(), with_status(status)), finished(), "{status}");
    }
    let never_handed_out = Instance { was_available: false, endpoint: None, ..with_status("failed") };
    assert!(matches!(step(&wanted(), never_handed_out), Step::Refuse(_)));
}

#[test]
fn an_unknown_status_counts_as_in_progress() {
    for request in [wanted(), unwanted(), deleted()] {
        assert!(is_wait(&step(&request, with_status("a-status-of-next-year"))));
    }
}

#[test]
fn removal_takes_the_protection_off_and_then_a_final_snapshot() {
    for request in [unwanted(), deleted()] {
        assert_eq!(step(&request, instance()), modify(|c| c.deletion_protection = Some(false)));
        let unprotected = Instance { deletion_protection: false, ..instance() };
        assert_eq!(step(&request, unprotected), delete(1));
    }
}

#[test]
fn a_second_removal_of_a_generation_takes_a_second_snapshot() {
    let unprotected = Instance { deletion_protection: false, ..instance() };
    let snapshots = vec![snapshot(1, SnapshotStatus::Available), snapshot(2, SnapshotStatus::Failed)];
    let observed = Observed { instance: Some(unprotected), snapshots };
    assert_eq!(next_step(&unwanted(), &observed, START), delete(3));
}

#[test]
fn removal_has_succeeded_once_rds_deletes_but_the_whole_stacks_deletion_waits() {
    assert_eq!(step(&unwanted(), with_status("deleting")), gone());
    assert!(is_wait(&step(&deleted(), with_status("deleting"))));
    assert_eq!(step(&deleted(), None), gone());
}

#[test]
fn a_database_that_was_ever_available_is_never_deleted_without_a_final_snapshot() {
    let failed = Instance { deletion_protection: false, ..with_status("failed") };
    let never_available = Instance { was_available: false, ..failed.clone() };
    assert_eq!(step(&unwanted(), never_available), Step::Delete { final_snapshot: None });
    let refused = Refusal::NoFinalSnapshot { identifier: IDENTIFIER.to_owned(), status: "failed".to_owned() };
    assert_eq!(step(&unwanted(), failed), Step::Refuse(refused));
    let half_made = Instance { was_available: false, ..with_status("creating") };
    assert!(is_wait(&step(&unwanted(), half_made)), "no final snapshot is possible while it is created");
}

#[test]
fn a_rollback_after_a_removal_brings_the_data_back() {
    let request = Request { previous_generation: Some(generation("g1")), ..wanted() };
    let observe =
        |instance: Option<Instance>, snapshots| next_step(&request, &Observed { instance, snapshots }, START);
    assert!(is_wait(&observe(Some(with_status("deleting")), vec![snapshot(1, SnapshotStatus::Creating)])));
    assert!(is_wait(&observe(None, vec![snapshot(1, SnapshotStatus::Creating)])));
    let snapshots = vec![snapshot(2, SnapshotStatus::Available), snapshot(1, SnapshotStatus::Available)];
    let restore = Step::Restore { created: created(), snapshot: snapshots[0].id.clone() };
    assert_eq!(observe(None, snapshots), restore, "the newest one");
}

#[test]
fn a_generation_that_existed_is_never_created_empty() {
    let request = Request { previous_generation: Some(generation("g1")), ..wanted() };
    let missing = Step::Refuse(Refusal::DataMissing(IDENTIFIER.to_owned()));
    assert_eq!(step(&request, None), missing);
    let failed = Observed { instance: None, snapshots: vec![snapshot(1, SnapshotStatus::Failed)] };
    assert_eq!(next_step(&request, &failed, START), missing);
}

#[test]
fn a_snapshot_of_another_generation_or_stack_is_not_restored() {
    let other_generation =
        Snapshot { generation: Some(generation("g0")), ..snapshot(1, SnapshotStatus::Available) };
    let other_owner = Snapshot { owner: None, ..snapshot(1, SnapshotStatus::Available) };
    let observed = Observed { instance: None, snapshots: vec![other_generation, other_owner] };
    assert_eq!(next_step(&wanted(), &observed, START), Step::Create(created()));
}

#[test]
fn a_new_generation_waits_until_the_earlier_one_is_gone() {
    let earlier = Instance { generation: Some(generation("g0")), ..with_status("deleting") };
    assert!(is_wait(&step(&wanted(), earlier.clone())));
    let still_there = Instance { status: Status::from("available"), ..earlier };
    assert_eq!(step(&wanted(), still_there), Step::Refuse(Refusal::EarlierGeneration(IDENTIFIER.to_owned())));
}

#[test]
fn every_wait_ends_before_cloudformation_stops_waiting() {
    let clock = Clock { elapsed: GIVE_UP_AFTER };
    for request in [wanted(), unwanted(), deleted()] {
        let gave_up = next_step(&request, &seen(with_status("modifying")), clock);
        assert_eq!(gave_up, Step::Refuse(Refusal::GaveUp(IDENTIFIER.to_owned())));
    }
    assert!(GIVE_UP_AFTER < Duration::from_mins(58), "the state machine's timeout in template.yaml");
}
