//! The rules for the life of a database, one test each.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use database::{
    Apply, AttachedDatabase, AttachedKind, AttachmentTarget, Attributes, Changes, Clock, Created,
    CreatedSettings, DatabaseAttributes, Desired, Endpoint, GIVE_UP_AFTER, Instance, Observed, Operation,
    Owner, Pending, Previous, Refusal, Request, Setting, Shown, Snapshot, SnapshotId, SnapshotStatus, Stage,
    Status, Step, next_step,
};
use support::{settings, shown};

const IDENTIFIER: &str = "shop-dev-postgres";
const START: Clock = Clock { elapsed: Duration::ZERO };

fn owner() -> Owner {
    Owner { stage_stack_id: "arn:stage-stack".to_owned(), logical_id: "Database".to_owned() }
}

fn generation(text: &str) -> database::Generation {
    text.to_owned().try_into().unwrap()
}

fn version(text: &str) -> database::EngineVersion {
    text.to_owned().try_into().unwrap()
}

fn created() -> Created {
    Created {
        generation: generation("g1"),
        settings: settings(),
        subnet_group: "subnets".to_owned(),
        security_group: "sg-1".to_owned(),
    }
}

fn request(operation: Operation, desired: Desired) -> Request {
    let (previous, token) = (Previous::default(), "0a1b2c3d".to_owned());
    Request { operation, stage: stage(), owner: owner(), desired, previous, token }
}

fn stage() -> Stage {
    Stage { stack: "shop".try_into().unwrap(), stage: "dev".try_into().unwrap() }
}

/// An update to something slightly different from [`created`].
fn wanted_with(change: impl FnOnce(&mut CreatedSettings)) -> Request {
    let mut created = created();
    change(&mut created.settings);
    request(Operation::Update, Desired::Created(created))
}

/// An update from the generation `g1` to the same generation.
fn wanted_again() -> Request {
    let previous = Previous { generation: Some(generation("g1")), ..Previous::default() };
    Request { previous, ..wanted() }
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

/// The instance once everything is done.
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
        max_storage_gib: None,
        iops: Some(3000),
        shown: shown(&settings()),
        engine_version: Some(version("17.5")),
        credentials: Some(generation("g1")),
        password_changed_at: None,
        downtime: None,
        maintenance_window: None,
    }
}

fn with_status(status: &str) -> Instance {
    Instance { status: Status::from(status), ..instance() }
}

fn small(status: &str) -> Instance {
    Instance { instance_class: "db.t4g.nano".to_owned(), ..with_status(status) }
}

fn snapshot(number: u32, status: SnapshotStatus) -> Snapshot {
    Snapshot {
        id: SnapshotId::final_of(IDENTIFIER, &generation("g1"), number),
        status,
        owner: Some(owner()),
        generation: Some(generation("g1")),
        stage: Some(stage()),
        credentials: Some(generation("g1")),
        database_name: None,
        created_at: None,
        storage_gib: 20,
        engine_version: None,
    }
}

fn seen(instance: impl Into<Option<Instance>>) -> Observed {
    Observed { instance: instance.into(), snapshots: Some(Vec::new()), attached: None }
}

/// No instance, and these snapshots.
fn holding(snapshots: Vec<Snapshot>) -> Observed {
    Observed { snapshots: Some(snapshots), ..Observed::default() }
}

fn step(request: &Request, instance: impl Into<Option<Instance>>) -> Step {
    next_step(request, &seen(instance), START)
}

fn finished() -> Step {
    Step::Finish(Attributes {
        database: Some(DatabaseAttributes {
            identifier: IDENTIFIER.to_owned(),
            endpoint: Endpoint { host: "db.example".to_owned(), port: 5432 },
            database_name: "app".to_owned(),
            access_group: None,
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
    let class = created().settings.instance_class;
    assert_eq!(step(&wanted(), small.clone()), modify(|c| c.instance_class = Some(class.clone())));

    let pending = Pending { instance_class: Some("db.t4g.micro".to_owned()), ..Pending::default() };
    let accepted = Instance { pending, ..small };
    assert!(is_wait(&step(&wanted(), accepted.clone())));
    assert!(is_wait(&step(&wanted(), Instance { status: Status::from("modifying"), ..accepted.clone() })));

    let after = |seconds| {
        let clock = Clock { elapsed: Duration::from_secs(seconds) };
        next_step(&wanted(), &seen(accepted.clone()), clock)
    };
    let again = modify(|c| c.instance_class = Some(class.clone()));
    assert_eq!(after(120), again, "a change that waits for the maintenance window is requested again");
    assert!(is_wait(&after(135)), "but not at every look");
    assert_eq!(after(240), again);
}

#[test]
fn a_class_change_that_still_waits_for_its_window_is_taken_back_on_rollback() {
    let pending = Pending { instance_class: Some("db.t4g.large".to_owned()), ..Pending::default() };
    let class = created().settings.instance_class;
    assert_eq!(
        step(&wanted(), Instance { pending, ..instance() }),
        modify(|c| c.instance_class = Some(class))
    );
}

#[test]
fn storage_is_never_decreased() {
    for live in [21, 40, 65_536] {
        assert_eq!(step(&wanted(), Instance { storage_gib: live, ..instance() }), finished(), "{live}");
    }
}

#[test]
fn growth_of_less_than_a_tenth_is_raised_to_a_tenth() {
    for (live, desired, expected) in [(20, 40, 40), (20, 21, 22), (100, 101, 110)] {
        let mut created = created();
        created.settings.storage = i64::from(desired).try_into().unwrap();
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
fn a_lasting_bad_status_is_refused_with_a_reason_if_something_must_change() {
    for status in ["failed", "incompatible-network", "restore-error", "inaccessible-encryption-credentials"] {
        let Step::Refuse(refusal) = step(&wanted(), small(status)) else { panic!("{status} isn't refused") };
        assert!(refusal.to_string().contains(status), "{refusal}");
    }
    let stopped = step(&wanted(), small("stopped"));
    assert_eq!(stopped, Step::Refuse(Refusal::Stopped(IDENTIFIER.to_owned())));
}

#[test]
fn a_rollback_with_nothing_to_change_succeeds_in_every_lasting_status() {
    for status in ["stopped", "failed", "incompatible-network", "storage-full", "storage-initialization"] {
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
        let unprotect = modify(|c| {
            c.deletion_protection = Some(false);
            c.apply = Apply::MaintenanceWindow;
        });
        assert_eq!(
            step(&request, instance()),
            unprotect,
            "other changes keep waiting for the maintenance window"
        );
        let unprotected = Instance { deletion_protection: false, ..instance() };
        assert_eq!(step(&request, unprotected), delete(1));
    }
}

#[test]
fn a_second_removal_of_a_generation_takes_a_second_snapshot() {
    let unprotected = Instance { deletion_protection: false, ..instance() };
    let snapshots = vec![snapshot(1, SnapshotStatus::Available), snapshot(2, SnapshotStatus::Failed)];
    let observed = Observed { snapshots: Some(snapshots), ..seen(unprotected) };
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
    assert!(
        is_wait(&step(&unwanted(), half_made)),
        "RDS takes no final snapshot while it's creating the instance"
    );
}

#[test]
fn a_rollback_after_a_removal_brings_the_data_back() {
    let request = wanted_again();
    let observe = |instance: Option<Instance>, snapshots| {
        next_step(&request, &Observed { snapshots: Some(snapshots), ..seen(instance) }, START)
    };
    assert!(is_wait(&observe(Some(with_status("deleting")), vec![snapshot(1, SnapshotStatus::Creating)])));
    assert!(is_wait(&observe(None, vec![snapshot(1, SnapshotStatus::Creating)])));
    let snapshots = vec![snapshot(2, SnapshotStatus::Available), snapshot(1, SnapshotStatus::Available)];
    let snapshot = snapshots[0].id.clone();
    let restore = Step::Restore { created: created(), snapshot, has_credentials: true };
    assert_eq!(observe(None, snapshots), restore, "the newest one");
}

#[test]
fn a_generation_that_existed_is_never_created_empty() {
    let request = wanted_again();
    let missing = Step::Refuse(Refusal::DataMissing(IDENTIFIER.to_owned()));
    assert_eq!(step(&request, None), missing);
    let failed = holding(vec![snapshot(1, SnapshotStatus::Failed)]);
    assert_eq!(next_step(&request, &failed, START), missing);
}

#[test]
fn a_snapshot_of_another_generation_or_stack_is_not_restored() {
    let other_generation =
        Snapshot { generation: Some(generation("g0")), ..snapshot(1, SnapshotStatus::Available) };
    let other_owner = Snapshot { owner: None, ..snapshot(1, SnapshotStatus::Available) };
    assert_eq!(
        next_step(&wanted(), &holding(vec![other_generation, other_owner]), START),
        Step::Create(created())
    );
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

#[test]
fn each_setting_that_rds_can_change_is_changed_alone_or_with_others() {
    let cases: [(Request, Step); 5] = [
        (wanted_with(|c| c.multi_az = true), modify(|c| c.settings.multi_az = Some(true))),
        (
            wanted_with(|c| c.backup_retention = 14.try_into().unwrap()),
            modify(|c| c.settings.backup_retention = Some(14.try_into().unwrap())),
        ),
        (
            wanted_with(|c| c.max_storage = Some(100.try_into().unwrap())),
            modify(|c| c.max_storage_gib = Some(100)),
        ),
        (
            wanted_with(|c| c.engine_version = version("17.6")),
            modify(|c| c.engine_version = Some(version("17.6"))),
        ),
        (
            wanted_with(|c| {
                c.multi_az = true;
                c.engine_version = version("17.6");
            }),
            modify(|c| c.settings.multi_az = Some(true)),
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(step(&request, instance()), expected, "{:?}", request.desired);
    }
}

#[test]
fn storage_autoscaling_has_a_maximum_that_is_never_below_the_current_storage() {
    let grown = Instance { storage_gib: 200, max_storage_gib: Some(300), ..instance() };
    let stops_below = wanted_with(|c| c.max_storage = Some(100.try_into().unwrap()));
    assert_eq!(step(&stops_below, grown.clone()), finished(), "as in a rollback after it grew");
    assert_eq!(step(&wanted(), grown), modify(|c| c.max_storage_gib = Some(200)), "no further");
    let as_it_is = Instance { max_storage_gib: Some(20), ..instance() };
    assert_eq!(step(&wanted(), as_it_is), finished(), "RDS's way to say that it does not grow");
}

#[test]
fn storage_of_400_gib_and_more_comes_with_its_iops() {
    for (desired, live_iops, expected) in
        [(399, 3000, None), (400, 3000, Some(12_000)), (500, 20_000, Some(20_000))]
    {
        let request = wanted_with(|c| c.storage = i64::from(desired).try_into().unwrap());
        let grow = modify(|c| {
            c.storage_gib = Some(desired);
            c.iops = expected;
        });
        assert_eq!(step(&request, Instance { iops: Some(live_iops), ..instance() }), grow, "{desired}");
    }
}

#[test]
fn a_change_that_interrupts_can_wait_for_the_maintenance_window_and_the_request_does_not_wait_for_it() {
    let request = wanted_with(|c| {
        c.apply = Apply::MaintenanceWindow;
        c.instance_class = "db.t4g.large".to_owned().try_into().unwrap();
    });
    let later = modify(|c| {
        c.apply = Apply::MaintenanceWindow;
        c.instance_class = Some("db.t4g.large".to_owned().try_into().unwrap());
    });
    assert_eq!(step(&request, instance()), later);
    let pending = Pending { instance_class: Some("db.t4g.large".to_owned()), ..Pending::default() };
    let accepted = Instance { pending, ..instance() };
    assert_eq!(step(&request, accepted.clone()), finished());

    // Later, the user wants it now. The pending change doesn't start on its own.
    let mut now = wanted_with(|c| c.instance_class = "db.t4g.large".to_owned().try_into().unwrap());
    now.previous.is_deferred = true;
    let at_once = modify(|c| c.instance_class = Some("db.t4g.large".to_owned().try_into().unwrap()));
    assert_eq!(step(&now, accepted), at_once);
}

#[test]
fn a_version_is_never_lowered() {
    for newer in ["17.9", "18.1"] {
        let upgraded = Instance { engine_version: Some(version(newer)), ..instance() };
        assert_eq!(step(&wanted_with(|c| c.engine_version = version("17.5")), upgraded), finished());
    }
}

#[test]
fn before_a_major_upgrade_a_snapshot_is_taken_and_waited_for() {
    let request = wanted_with(|c| c.engine_version = version("18.1"));
    let id: SnapshotId = "shop-dev-postgres-g1-before-18-1-0a1b2c3d".to_owned().try_into().unwrap();
    assert_eq!(step(&request, instance()), Step::Snapshot(id.clone()));
    let observe = |status| {
        let before = Snapshot { id: id.clone(), ..snapshot(1, status) };
        let observed = Observed { snapshots: Some(vec![before]), ..seen(instance()) };
        next_step(&request, &observed, START)
    };
    assert!(is_wait(&observe(SnapshotStatus::Creating)));
    assert_eq!(observe(SnapshotStatus::Failed), Step::Refuse(Refusal::SnapshotFailed(id.clone())));
    assert_eq!(observe(SnapshotStatus::Available), modify(|c| c.engine_version = Some(version("18.1"))));
    let unprotected = Instance { deletion_protection: false, ..instance() };
    let before = Snapshot { id: id.clone(), ..snapshot(1, SnapshotStatus::Available) };
    let observed = Observed { snapshots: Some(vec![before]), ..seen(unprotected) };
    assert_eq!(next_step(&unwanted(), &observed, START), delete(1), "it is no final snapshot");
}

#[test]
fn a_user_can_start_from_a_snapshot_of_the_stage_and_gets_a_new_password() {
    let earlier = Snapshot {
        generation: Some(generation("g0")),
        owner: Some(Owner { stage_stack_id: "arn:before-it-was-registered-again".to_owned(), ..owner() }),
        credentials: Some(generation("g0")),
        ..snapshot(1, SnapshotStatus::Available)
    };
    let request = wanted_with(|c| c.from_snapshot = Some(earlier.id.clone()));
    let Desired::Created(created) = request.desired.clone() else { unreachable!() };
    let restore = Step::Restore { created, snapshot: earlier.id.clone(), has_credentials: false };
    assert_eq!(next_step(&request, &holding(vec![earlier.clone()]), START), restore);

    let restored = Instance { credentials: None, deletion_protection: false, ..instance() };
    assert_eq!(step(&request, restored), Step::SetPassword(generation("g1")), "before anything else");
    assert_eq!(step(&request, instance()), finished());

    let missing = Step::Refuse(Refusal::SnapshotMissing(earlier.id.clone()));
    let elsewhere = Snapshot { stage: None, ..earlier.clone() };
    let failed = Snapshot { status: SnapshotStatus::Failed, ..earlier.clone() };
    for snapshots in [vec![], vec![elsewhere], vec![failed]] {
        assert_eq!(next_step(&request, &holding(snapshots.clone()), START), missing, "{snapshots:?}");
    }
    // A rollback after its removal finds its own final snapshot, not the one it was restored from.
    let last = Snapshot { generation: Some(generation("g1")), ..snapshot(3, SnapshotStatus::Available) };
    let Step::Restore { snapshot, .. } = next_step(&request, &holding(vec![earlier, last.clone()]), START)
    else {
        panic!("it is restored")
    };
    assert_eq!(snapshot, last.id);
}

fn attached() -> Request {
    let attached = AttachmentTarget {
        kind: AttachedKind::Instance,
        identifier: "orders".to_owned().try_into().unwrap(),
        database_name: "orders".to_owned().try_into().unwrap(),
    };
    request(Operation::Update, Desired::Attached(attached))
}

#[test]
fn the_snapshots_are_looked_at_only_before_a_step_that_depends_on_them() {
    let step = |request: &Request, instance: Option<Instance>| {
        next_step(request, &Observed { instance, ..Observed::default() }, START)
    };
    let unprotected = Some(Instance { deletion_protection: false, ..instance() });
    let upgraded = wanted_with(|c| c.engine_version = version("18.1"));
    for (request, instance) in
        [(&wanted_again(), None), (&unwanted(), unprotected), (&upgraded, Some(instance()))]
    {
        assert_eq!(step(request, instance.clone()), Step::ObserveSnapshots, "{instance:?}");
    }
    assert!(is_wait(&step(&wanted_again(), Some(with_status("deleting")))));
    assert!(is_wait(&step(&unwanted(), Some(with_status("backing-up")))));
    assert_eq!(step(&wanted_again(), Some(instance())), finished());
    assert_eq!(step(&unwanted(), None), gone());
}

#[test]
fn an_attached_database_is_looked_up_and_never_touched() {
    let endpoint = Endpoint { host: "orders.example".to_owned(), port: 5433 };
    let database =
        AttachedDatabase { endpoint: Some(endpoint.clone()), security_groups: vec!["sg-9".to_owned()] };
    let observed = Observed { attached: Some(database.clone()), ..Observed::default() };
    let handed_out = Step::Finish(Attributes {
        database: Some(DatabaseAttributes {
            identifier: "orders".to_owned(),
            endpoint,
            database_name: "orders".to_owned(),
            access_group: Some("sg-9".to_owned()),
        }),
    });
    assert_eq!(next_step(&attached(), &observed, START), handed_out);
    for operation in [Operation::Update, Operation::Delete] {
        let leave = Request { operation, desired: Desired::None, ..attached() };
        assert_eq!(next_step(&leave, &observed, START), gone());
    }
    for missing in [None, Some(AttachedDatabase { endpoint: None, ..database })] {
        let observed = Observed { attached: missing, ..Observed::default() };
        let Step::Refuse(refusal) = next_step(&attached(), &observed, START) else {
            panic!("it doesn't exist, but it isn't refused")
        };
        assert!(refusal.to_string().starts_with("There is no DB instance orders"), "{refusal}");
    }
}

#[test]
fn a_source_cannot_become_another_without_a_removal_in_between() {
    let remove_first = Step::Refuse(Refusal::RemoveFirst(IDENTIFIER.to_owned()));
    assert_eq!(step(&attached(), instance()), remove_first);
    assert!(matches!(
        step(&attached(), with_status("deleting")),
        Step::Refuse(Refusal::AttachedMissing { .. })
    ));
    let mut from_attached = wanted();
    from_attached.previous.is_attached = true;
    assert_eq!(step(&from_attached, None), Step::Refuse(Refusal::DetachFirst));
}

#[test]
fn an_upgrade_that_waits_for_its_window_and_is_no_longer_wanted_is_canceled() {
    let pending = Pending { engine_version: Some(version("18.1")), ..Pending::default() };
    let waiting = Instance { pending, ..instance() };
    assert_eq!(step(&wanted(), waiting.clone()), modify(|c| c.engine_version = Some(version("17.5"))));
    let still = wanted_with(|c| {
        c.engine_version = version("18.1");
        c.apply = Apply::MaintenanceWindow;
    });
    assert_eq!(step(&still, waiting), finished());
}

#[test]
fn a_database_is_not_handed_out_before_its_new_password_works() {
    let pending = Pending { password: true, ..Pending::default() };
    assert!(is_wait(&step(&wanted(), Instance { pending, ..instance() })));
}

#[test]
fn an_instance_without_the_credentials_tag_does_not_block_a_rollback() {
    for status in ["stopped", "incompatible-network"] {
        assert_eq!(step(&wanted(), Instance { credentials: None, ..with_status(status) }), finished());
    }
}

#[test]
fn maximum_storage_is_not_set_below_the_pending_storage() {
    let pending = Pending { storage_gib: Some(40), ..Pending::default() };
    let growing = Instance { pending, max_storage_gib: Some(40), ..instance() };
    let request = wanted_with(|c| c.storage = 40.try_into().unwrap());
    assert!(is_wait(&step(&request, growing)));
}

fn to_come(setting: &Setting, value: impl Into<serde_json::Value>) -> Pending {
    Pending { shown: Shown::default().with(setting, Some(value)), ..Pending::default() }
}

#[test]
fn a_change_in_progress_is_not_requested_again() {
    let with_pending = |pending: Pending| Instance { pending, ..instance() };
    for (wanted, pending) in [
        (wanted_with(|c| c.multi_az = true), to_come(&CreatedSettings::multi_az, true)),
        (
            wanted_with(|c| c.backup_retention = 14.try_into().unwrap()),
            to_come(&CreatedSettings::backup_retention, 14),
        ),
    ] {
        assert!(is_wait(&step(&wanted, with_pending(pending.clone()))), "{pending:?}");
    }
    for (wanted, pending) in [
        (wanted_with(|c| c.multi_az = true), to_come(&CreatedSettings::multi_az, false)),
        (
            wanted_with(|c| c.backup_retention = 14.try_into().unwrap()),
            to_come(&CreatedSettings::backup_retention, 3),
        ),
    ] {
        let step = step(&wanted, with_pending(pending.clone()));
        assert!(matches!(step, Step::Modify(_)), "{pending:?}: {step:?}");
    }
}

#[test]
fn a_pending_minor_upgrade_that_nobody_requested_stays() {
    let pending = Pending { engine_version: Some(version("17.6")), ..Pending::default() };
    assert_eq!(step(&wanted(), Instance { pending, ..instance() }), finished());
}

#[test]
fn an_upgrade_waits_for_the_maintenance_window_if_it_may() {
    let wanted = wanted_with(|c| {
        c.engine_version = version("17.6");
        c.apply = Apply::MaintenanceWindow;
    });
    let expected = modify(|c| {
        c.engine_version = Some(version("17.6"));
        c.apply = Apply::MaintenanceWindow;
    });
    assert_eq!(step(&wanted, instance()), expected);
}

#[test]
fn maximum_storage_that_is_already_set_is_not_set_again() {
    let wanted = wanted_with(|c| c.max_storage = Some(100.try_into().unwrap()));
    assert_eq!(step(&wanted, Instance { max_storage_gib: Some(100), ..instance() }), finished());
}
