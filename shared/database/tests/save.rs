//! The rules for a save, one test each: what is refused, and what each change does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use database::{
    Apply, Change, CreatedSettings, Effect, Endpoint, EngineVersion, Instance, Objection, Orderable, Pending,
    Situation, Snapshot, SnapshotId, SnapshotStatus, Status, check_change, check_creation, check_restoration,
    creation,
};
use support::{settings, shown};
use time::{Duration, OffsetDateTime, macros::datetime};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const ANYTHING: Orderable =
    Orderable { min_storage_gib: 20, max_storage_gib: 65_536, has_multi_az: true, has_autoscaling: true };

fn version(text: &str) -> EngineVersion {
    text.to_owned().try_into().unwrap()
}

fn current() -> CreatedSettings {
    settings()
}

fn with(change: impl FnOnce(&mut CreatedSettings)) -> CreatedSettings {
    let mut settings = current();
    change(&mut settings);
    settings
}

fn live() -> Instance {
    Instance {
        status: Status::from("available"),
        owner: None,
        generation: None,
        instance_class: "db.t4g.micro".to_owned(),
        storage_gib: 20,
        pending: Pending::default(),
        endpoint: Some(Endpoint { host: "db.example".to_owned(), port: 5432 }),
        database_name: Some("app".to_owned()),
        deletion_protection: true,
        security_groups: Vec::new(),
        was_available: true,
        max_storage_gib: None,
        iops: None,
        shown: shown(&settings()),
        engine_version: Some(version("17.5")),
        credentials: None,
        password_changed_at: None,
        downtime: None,
        maintenance_window: None,
    }
}

/// The outcome of a change of [`current`] where RDS shows `live`.
fn change(
    desired: &CreatedSettings,
    live: Option<&Instance>,
    change: impl FnOnce(&mut Situation<'_>),
) -> Result<Vec<Change>, Vec<Objection>> {
    let upgrades = [version("17.6"), version("18.1")];
    let mut situation = Situation {
        identifier: "shop-dev-postgres",
        live,
        storage_changed_at: None,
        now: NOW,
        orderable: Some(ANYTHING),
        upgrades: &upgrades,
        confirm: None,
    };
    change(&mut situation);
    check_change(&current(), desired, situation)
}

fn words(objections: &[Objection]) -> Vec<String> {
    let line = |o: &Objection| format!("{} {}", o.pointer.unwrap_or("-"), o.detail);
    objections.iter().map(line).collect()
}

/// The only objection to a change.
fn objection(outcome: Result<Vec<Change>, Vec<Objection>>) -> String {
    let objections = words(&outcome.unwrap_err());
    let [one] = objections.as_slice() else { panic!("not one: {objections:?}") };
    one.clone()
}

#[test]
fn storage_increases_by_a_tenth_or_more_and_never_decreases() {
    let grown = |gib: i64| with(|s| s.storage = gib.try_into().unwrap());
    let on = |live: u32| Instance { storage_gib: live, ..live_with_max_storage() };
    assert_eq!(
        objection(change(&grown(21), Some(&live()), |_| ())),
        "/storageGiB must increase by at least 10%, to 22 GiB or more. It's 20 GiB now"
    );
    assert_eq!(
        objection(change(&grown(30), Some(&on(40)), |_| ())),
        "/storageGiB can't be decreased. It's 40 GiB now"
    );
    for (gib, on) in [(22, on(20)), (40, on(40)), (20, on(40))] {
        assert!(change(&grown(gib), Some(&on), |_| ()).is_ok(), "{gib}: the chosen size is a floor");
    }
}

fn live_with_max_storage() -> Instance {
    Instance { max_storage_gib: Some(100), ..live() }
}

#[test]
fn storage_cannot_change_for_six_hours_after_its_last_change_and_the_response_names_the_time() {
    let grow = with(|s| s.storage = 40.try_into().unwrap());
    let changed = |ago: Duration| change(&grow, Some(&live()), |s| s.storage_changed_at = Some(NOW - ago));
    let words = objection(changed(Duration::hours(1) + Duration::seconds(1)));
    assert!(
        words.contains("RDS doesn't accept another storage change before 2026-11-22T17:00:00Z"),
        "{words}"
    );
    let words = objection(changed(Duration::hours(6) - Duration::seconds(1)));
    assert!(words.contains("2026-11-22T12:01:00Z"), "rounded up to the minute: {words}");
    assert!(changed(Duration::hours(6)).is_ok());
    // Other settings can be changed at any time.
    let class = with(|s| s.instance_class = "db.t4g.small".to_owned().try_into().unwrap());
    assert!(change(&class, Some(&live()), |s| s.storage_changed_at = Some(NOW)).is_ok());
    let optimizing = Instance { status: Status::from("storage-optimization"), ..live() };
    assert!(objection(change(&grow, Some(&optimizing), |_| ())).contains("still optimizing the storage"));
    assert!(change(&class, Some(&optimizing), |_| ()).is_ok());
}

#[test]
fn only_a_database_that_is_available_can_be_changed() {
    let class = with(|s| s.instance_class = "db.t4g.small".to_owned().try_into().unwrap());
    for status in ["stopped", "modifying", "failed", "creating", "a-status-of-next-year"] {
        let live = Instance { status: Status::from(status), ..live() };
        let words = objection(change(&class, Some(&live), |_| ()));
        assert!(
            words.starts_with(&format!("- The DB instance shop-dev-postgres has the status {status}.")),
            "{words}"
        );
    }
    assert!(
        objection(change(&class, None, |_| ()))
            .starts_with("- The DB instance shop-dev-postgres was deleted")
    );
}

#[test]
fn a_class_that_cannot_be_ordered_is_refused_with_the_field() {
    let wanted = with(|s| {
        s.instance_class = "db.t3.micro".to_owned().try_into().unwrap();
        s.storage = 100.try_into().unwrap();
        s.multi_az = true;
        s.max_storage = Some(200.try_into().unwrap());
    });
    let small = Orderable { max_storage_gib: 50, has_multi_az: false, has_autoscaling: false, ..ANYTHING };
    let all = [
        "/storageGiB must be 20 to 50 GiB for the class db.t3.micro",
        "/multiAz must be false for the class db.t3.micro",
        "/maxStorageGiB must be null for the class db.t3.micro",
    ];
    assert_eq!(words(&change(&wanted, Some(&live()), |s| s.orderable = Some(small)).unwrap_err()), all);
    assert_eq!(words(&check_creation(&wanted, Some(small))), all);
    let low = Orderable { max_storage_gib: 150, ..ANYTHING };
    assert_eq!(
        objection(change(&wanted, Some(&live()), |s| s.orderable = Some(low))),
        "/maxStorageGiB must be at most 150 GiB for the class db.t3.micro"
    );
    let none = "/instanceClass must be a DB instance class that RDS offers in this Region for PostgreSQL 17.5 with gp3 \
                storage";
    assert_eq!(objection(change(&wanted, Some(&live()), |s| s.orderable = None)), none);
    // A class that doesn't change may no longer be orderable.
    let days = with(|s| s.backup_retention = 14.try_into().unwrap());
    assert!(change(&days, Some(&live()), |s| s.orderable = None).is_ok());
}

#[test]
fn the_maximum_storage_is_a_tenth_above_the_storage_or_none() {
    let max_storage = |gib: i64| with(|s| s.max_storage = Some(gib.try_into().unwrap()));
    let low = "/maxStorageGiB must be at least 22 GiB, 10% above the storage of 20 GiB, or null to turn storage autoscaling \
               off";
    assert_eq!(objection(change(&max_storage(21), Some(&live()), |_| ())), low);
    assert_eq!(words(&check_creation(&max_storage(21), Some(ANYTHING))), [low]);
    assert!(change(&max_storage(22), Some(&live()), |_| ()).is_ok());
    let grown = Instance { storage_gib: 100, ..live() };
    assert!(objection(change(&max_storage(100), Some(&grown), |_| ())).contains("at least 110 GiB"));
}

#[test]
fn a_version_is_raised_to_what_rds_offers_and_a_major_one_is_confirmed() {
    let wanted = |text: &str| with(|s| s.engine_version = version(text));
    let try_version = |text: &str| change(&wanted(text), Some(&live()), |_| ());
    assert_eq!(objection(try_version("16")), "/engineVersion can't be downgraded. It's 17.5 now");
    assert_eq!(objection(try_version("17.4")), "/engineVersion can't be downgraded. It's 17.5 now");
    assert_eq!(
        objection(try_version("17.7")),
        "/engineVersion must be a version that RDS can upgrade 17.5 to: 17.6, 18.1"
    );
    for same in ["17", "17.5", "17.6"] {
        assert!(try_version(same).is_ok(), "{same}");
    }
    for major in ["18", "18.1"] {
        let words = objection(try_version(major));
        assert!(words.starts_with("/confirm must be shop-dev-postgres, because you can't undo"), "{words}");
        let confirmed = |s: &mut Situation<'_>| s.confirm = Some("shop-dev-postgres");
        let changes = change(&wanted(major), Some(&live()), confirmed).unwrap();
        let [upgrade] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!((upgrade.effect, upgrade.can_be_undone), (Effect::Interruption, false));
        assert!(change(&wanted(major), Some(&live()), |s| s.confirm = Some("shop-prod-postgres")).is_err());
    }
    let none = change(&wanted("18"), Some(&live()), |s| s.upgrades = &[]);
    assert_eq!(objection(none), "/engineVersion must be a version that RDS can upgrade 17.5 to: none");
}

#[test]
fn each_change_says_what_it_does_and_when() {
    let desired = with(|s| {
        s.instance_class = "db.t4g.small".to_owned().try_into().unwrap();
        s.storage = 40.try_into().unwrap();
        s.max_storage = Some(100.try_into().unwrap());
        s.multi_az = true;
        s.backup_retention = 3.try_into().unwrap();
        s.engine_version = version("17.6");
        s.apply = Apply::MaintenanceWindow;
    });
    let changes = change(&desired, Some(&live()), |_| ()).unwrap();
    let summary: Vec<_> = changes
        .iter()
        .map(|c| (c.field, c.before.as_deref().unwrap(), c.after.as_str(), c.effect, c.can_be_undone, c.when))
        .collect();
    let window = Apply::MaintenanceWindow;
    assert_eq!(
        summary,
        [
            ("instanceClass", "db.t4g.micro", "db.t4g.small", Effect::Interruption, true, window),
            ("storageGiB", "20", "40", Effect::InPlace, false, window),
            ("maxStorageGiB", "none", "100", Effect::InPlace, true, Apply::Now),
            ("multiAz", "false", "true", Effect::InPlace, true, window),
            ("backupRetentionDays", "7", "3", Effect::InPlace, false, Apply::Now),
            ("engineVersion", "17.5", "17.6", Effect::Interruption, false, window),
            ("apply", "now", "maintenance-window", Effect::InPlace, true, Apply::Now),
        ]
    );
    let with_standby = Instance { shown: shown(&with(|s| s.multi_az = true)), ..live() };
    let class = with(|s| {
        s.instance_class = "db.t4g.small".to_owned().try_into().unwrap();
        s.multi_az = true;
    });
    let changes = change(&class, Some(&with_standby), |_| ()).unwrap();
    assert!(changes.iter().any(|c| c.detail.contains("one to two minutes")), "{changes:?}");
    assert_eq!(change(&current(), Some(&live()), |_| ()), Ok(vec![]));
}

#[test]
fn the_name_and_the_origin_of_a_database_cannot_be_changed() {
    let named = with(|s| s.database_name = "other".to_owned().try_into().unwrap());
    assert_eq!(
        objection(change(&named, Some(&live()), |_| ())),
        "/databaseName can't be changed. The database was created as app"
    );
    let restored = with(|s| s.from_snapshot = Some("some-snapshot".to_owned().try_into().unwrap()));
    assert!(
        objection(change(&restored, Some(&live()), |_| ()))
            .starts_with("/fromSnapshot is only for a stage without")
    );
}

#[test]
fn a_new_database_does_not_wait_for_a_window_and_its_preview_names_every_setting() {
    let later = with(|s| s.apply = Apply::MaintenanceWindow);
    assert_eq!(words(&check_creation(&later, Some(ANYTHING))), ["/apply must be now for a new database"]);
    assert_eq!(check_creation(&current(), Some(ANYTHING)), []);
    let restored = with(|s| s.from_snapshot = Some("some-snapshot".to_owned().try_into().unwrap()));
    let all: Vec<_> = CreatedSettings::ALL.iter().map(|setting| setting.name).collect();
    let without =
        |names: &[&str]| all.iter().copied().filter(|name| !names.contains(name)).collect::<Vec<_>>();
    let fields = |settings| creation(settings).iter().map(|change| change.field).collect::<Vec<_>>();
    assert_eq!(fields(&restored), without(&["apply"]));
    assert_eq!(fields(&current()), without(&["apply", "fromSnapshot"]));
    assert!(creation(&restored).iter().all(|change| change.effect == Effect::New && change.before.is_none()));
}

#[test]
fn a_restored_database_is_checked_against_its_snapshot() {
    let snapshot = Snapshot {
        id: SnapshotId::try_from("shop-dev-postgres-g1-1".to_owned()).unwrap(),
        status: SnapshotStatus::Available,
        owner: None,
        generation: None,
        stage: None,
        credentials: None,
        database_name: Some("app".to_owned().try_into().unwrap()),
        created_at: None,
        storage_gib: 30,
        engine_version: Some(version("17.5")),
    };
    let check = |snapshot: &Snapshot, change: &dyn Fn(&mut CreatedSettings)| {
        let desired = with(|s| {
            s.storage = 30.try_into().unwrap();
            s.engine_version = version("17.5");
            change(s);
        });
        words(&check_restoration(&desired, snapshot))
    };
    assert_eq!(check(&snapshot, &|_| ()), Vec::<String>::new());
    assert_eq!(check(&snapshot, &|s| s.storage = 33.try_into().unwrap()), Vec::<String>::new());
    assert_eq!(check(&snapshot, &|s| s.engine_version = version("17")), Vec::<String>::new());
    let size = "/storageGiB must be 30 GiB, as in the snapshot, or at least 33 GiB";
    for gib in [20_i64, 29, 31, 32] {
        assert_eq!(check(&snapshot, &|s| s.storage = gib.try_into().unwrap()), [size], "{gib}");
    }
    let named = check(&snapshot, &|s| s.database_name = "other".to_owned().try_into().unwrap());
    assert_eq!(named, ["/databaseName must be app, as in the snapshot"]);
    for other in ["16", "16.9", "17.6", "18"] {
        let words = check(&snapshot, &|s| s.engine_version = version(other));
        assert_eq!(words.len(), 1, "{other}: {words:?}");
        assert!(
            words.iter().all(|w| w.starts_with("/engineVersion must be 17.5, as in the snapshot")),
            "{words:?}"
        );
    }
    let creating = Snapshot { status: SnapshotStatus::Creating, ..snapshot.clone() };
    assert!(
        check(&creating, &|_| ())
            .iter()
            .all(|w| w.starts_with("- The snapshot shop-dev-postgres-g1-1 is still"))
    );
    let failed = Snapshot { status: SnapshotStatus::Failed, ..snapshot };
    assert_eq!(check(&failed, &|_| ()), ["/fromSnapshot must be an available snapshot. This one failed"]);
}

#[test]
fn a_pending_upgrade_is_not_made_with_another_change_without_a_confirmation() {
    let pending = Pending { engine_version: Some(version("18.1")), ..Pending::default() };
    let waiting = Instance { pending, ..live() };
    let days = with(|s| s.backup_retention = 14.try_into().unwrap());
    let words = objection(change(&days, Some(&waiting), |_| ()));
    assert!(
        words.starts_with(
            "/confirm must be shop-dev-postgres, because this save also starts the upgrade to 18.1"
        ),
        "{words}"
    );
    assert!(change(&days, Some(&waiting), |s| s.confirm = Some("shop-dev-postgres")).is_ok());
    let later = with(|s| {
        s.backup_retention = 14.try_into().unwrap();
        s.apply = Apply::MaintenanceWindow;
    });
    assert!(change(&later, Some(&waiting), |_| ()).is_ok());
}

#[test]
fn orderable_classes_are_looked_up_only_for_a_change_that_needs_them() {
    let nothing = |desired: &CreatedSettings| change(desired, Some(&live()), |s| s.orderable = None);
    for desired in [
        with(|s| s.instance_class = "db.t4g.small".to_owned().try_into().unwrap()),
        with(|s| s.storage = 40.try_into().unwrap()),
        with(|s| s.multi_az = true),
        with(|s| s.max_storage = Some(100.try_into().unwrap())),
        with(|s| s.engine_version = version("17.6")),
    ] {
        assert!(objection(nothing(&desired)).starts_with("/instanceClass must be"), "{desired:?}");
    }
    for desired in [current(), with(|s| s.backup_retention = 14.try_into().unwrap())] {
        assert!(nothing(&desired).is_ok(), "{desired:?}");
    }
    // Removing a standby needs no capacity.
    let before = with(|s| s.multi_az = true);
    let live = Instance { shown: shown(&with(|s| s.multi_az = true)), ..live() };
    let situation = Situation { orderable: None, ..situation(&live, &[]) };
    assert!(check_change(&before, &current(), situation).is_ok());
}

fn situation<'a>(live: &'a Instance, upgrades: &'a [EngineVersion]) -> Situation<'a> {
    Situation {
        identifier: "shop-dev-postgres",
        live: Some(live),
        storage_changed_at: None,
        now: NOW,
        orderable: Some(ANYTHING),
        upgrades,
        confirm: None,
    }
}

#[test]
fn the_snapshot_that_a_database_started_from_can_be_sent_again() {
    let began = |id: &str| with(|s| s.from_snapshot = Some(SnapshotId::try_from(id.to_owned()).unwrap()));
    let live = live();
    assert!(check_change(&began("one"), &began("one"), situation(&live, &[])).is_ok());
    assert!(check_change(&began("one"), &current(), situation(&live, &[])).is_ok());
    let words = objection(check_change(&began("one"), &began("two"), situation(&live, &[])));
    assert!(words.starts_with("/fromSnapshot is only for"), "{words}");
}

#[test]
fn storage_does_not_increase_beyond_its_maximum_and_the_maximum_can_be_all_that_changes() {
    let low = |gib: i64| {
        with(|s| {
            s.max_storage = Some(30.try_into().unwrap());
            s.storage = gib.try_into().unwrap();
        })
    };
    let live = Instance { max_storage_gib: Some(30), ..live() };
    let words = objection(check_change(&low(20), &low(28), situation(&live, &[])));
    assert!(words.starts_with("/maxStorageGiB must be at least 31 GiB"), "{words}");
    // A limit that is already too low doesn't matter until the limit or the storage changes.
    let grown = Instance { storage_gib: 28, ..live.clone() };
    assert!(check_change(&low(20), &low(20), situation(&grown, &[])).is_ok());

    let highest = with(|s| s.max_storage = Some(100.try_into().unwrap()));
    let to = |max| Orderable { max_storage_gib: max, ..ANYTHING };
    let limited = |max| Situation { orderable: Some(to(max)), ..situation(&live, &[]) };
    assert!(check_change(&current(), &highest, limited(100)).is_ok());
    assert!(objection(check_change(&current(), &highest, limited(99))).contains("at most 99 GiB"));
}

#[test]
fn a_major_version_alone_is_any_of_its_minor_ones() {
    let live = live();
    let to = |wanted: &str, offered: &[EngineVersion]| {
        let desired = with(|s| s.engine_version = version(wanted));
        let confirm = Some("shop-dev-postgres");
        check_change(&current(), &desired, Situation { confirm, ..situation(&live, offered) })
    };
    assert!(to("18", &[version("18.1")]).is_ok());
    assert!(objection(to("18", &[version("17.6"), version("19.1")])).starts_with("/engineVersion must be"));
    assert!(objection(to("18.2", &[version("18.1")])).starts_with("/engineVersion must be"));
}

#[test]
fn an_upgrade_says_whether_it_is_a_minor_or_a_major_one() {
    let live = live();
    for (wanted, expected) in
        [("17.6", "restarts with the new version"), ("18", "stagedb takes a snapshot first")]
    {
        let offered = [version("17.6"), version("18.1")];
        let desired = with(|s| s.engine_version = version(wanted));
        let situation = Situation { confirm: Some("shop-dev-postgres"), ..situation(&live, &offered) };
        let changes = check_change(&current(), &desired, situation).unwrap();
        let [change] = changes.as_slice() else { panic!("not one: {changes:?}") };
        assert!(change.detail.contains(expected), "{change:?}");
    }
}

#[test]
fn only_a_major_upgrade_that_waits_is_canceled_or_confirmed() {
    let waiting = |for_what: &str| {
        let pending = Pending { engine_version: Some(version(for_what)), ..Pending::default() };
        Instance { pending, ..live() }
    };
    let before = with(|s| s.engine_version = version("18"));
    let live = waiting("18.1");
    let changes = check_change(&before, &current(), situation(&live, &[])).unwrap();
    let cancelled = changes.iter().find(|change| change.field == "engineVersion").unwrap();
    assert_eq!((cancelled.before.as_deref(), cancelled.after.as_str()), (Some("18.1"), "17.5"));
    let still = with(|s| {
        s.engine_version = version("18");
        s.backup_retention = 14.try_into().unwrap();
        s.apply = Apply::MaintenanceWindow;
    });
    let fields = |changes: &[Change]| changes.iter().map(|change| change.field).collect::<Vec<_>>();
    let changes =
        check_change(&before, &still, Situation { confirm: None, ..situation(&live, &[]) }).unwrap();
    assert!(!changes.iter().any(|change| change.detail.contains("cancels")), "{changes:?}");

    // A pending minor upgrade is made with the next change, without a confirmation.
    let live = waiting("17.6");
    let minor = with(|s| s.engine_version = version("17.6"));
    let changes = check_change(&minor, &current(), situation(&live, &[])).unwrap();
    assert_eq!(fields(&changes), Vec::<&str>::new());
    let class = with(|s| s.instance_class = "db.t4g.small".to_owned().try_into().unwrap());
    assert_eq!(fields(&check_change(&current(), &class, situation(&live, &[])).unwrap()), ["instanceClass"]);
}

#[test]
fn a_time_of_parts_of_a_second_is_rounded_up_to_the_minute() {
    let grow = with(|s| s.storage = 40.try_into().unwrap());
    let changed = NOW - Duration::hours(1) - Duration::milliseconds(500);
    let words = objection(change(&grow, Some(&live()), |s| s.storage_changed_at = Some(changed)));
    assert!(words.contains("before 2026-11-22T17:00:00Z"), "{words}");
}
