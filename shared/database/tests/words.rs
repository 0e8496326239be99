//! The names, words, and numbers that AWS, the stage stack, and users rely on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use database::{
    Apply, AttachedKind, AttachedSettings, AttachmentTarget, Clock, ContainerVariables, Containers, Desired,
    EngineVersion, Generation, InstanceClass, Observed, Operation, Owner, Phase, Publication, Request,
    SecretReference, Service, ServiceContainers, Settings, Snapshot, SnapshotId, SnapshotStatus, StackEvent,
    StackObservation, StackStatus, Stage, Status, Step, StepStatus, StorageGiB, Target, capacity, next_step,
    publication, rebuild, runtime_variables,
};
use support::{settings, shown};
use time::{OffsetDateTime, macros::datetime};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

fn stage() -> Stage {
    Stage { stack: "shop".try_into().unwrap(), stage: "dev".try_into().unwrap() }
}

fn of(containers: &Containers) -> [ServiceContainers; 1] {
    let text = |text: &str| text.to_owned().try_into().unwrap();
    let cluster = "demo".to_owned().try_into().unwrap();
    let service = Service { cluster, name: text("web"), container: text("app") };
    [ServiceContainers { service, containers: containers.clone() }]
}

fn generation(text: &str) -> Generation {
    text.to_owned().try_into().unwrap()
}

#[test]
fn names_are_derived_from_the_stage() {
    assert_eq!(stage().stage_stack_name(), "shop-dev");
    assert_eq!(stage().identifier(), "shop-dev-postgres");
    assert_eq!(stage().secret_name(), "dev-shop-postgres");
    assert_eq!(stage().resource_id("Custom::PostgresDatabase"), "PostgresDatabase/shop-dev-postgres");
}

#[test]
fn a_generation_is_a_time_and_the_label_of_its_credentials() {
    let generation = Generation::at(datetime!(2026-11-22 13:55:01 +2), "1a2b3c4d").unwrap();
    assert_eq!(String::from(generation.clone()), "20261122-115501-1a2b3c4d", "in UTC");
    assert_eq!(generation.staging_label(), "generation-20261122-115501-1a2b3c4d");
    let other = Generation::at(datetime!(2026-11-22 13:55:01 +2), "00000000").unwrap();
    assert_ne!(other, generation, "two users in the same second");
    assert!(Generation::at(datetime!(2026-11-22 13:55:01 +2), "no request").is_err());
}

#[test]
fn a_generation_has_32_characters_at_most() {
    assert!(Generation::try_from("a".repeat(32)).is_ok());
    assert!(Generation::try_from("a".repeat(33)).is_err());
}

#[test]
fn a_snapshots_identifier_is_as_rds_takes_it() {
    for good in ["a", "shop-dev-postgres-20261122-115501-1", &format!("a{}", "b".repeat(254))] {
        assert_eq!(String::from(SnapshotId::try_from(good.to_owned()).unwrap()), good);
    }
    for bad in ["", "1a", "-a", "a-", "a--b", "a_b", "a b", "ä", "rds:shop-dev", &"a".repeat(256)] {
        assert!(SnapshotId::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}

#[test]
fn every_instance_class_size_has_its_vcpus_and_memory() {
    for (class, vcpus, gib) in [
        ("db.t4g.micro", 2, 1),
        ("db.t4g.small", 2, 2),
        ("db.t4g.medium", 2, 4),
        ("db.t4g.large", 2, 8),
        ("db.t4g.xlarge", 4, 16),
        ("db.t3.2xlarge", 8, 32),
        ("db.c7g.large", 2, 4),
        ("db.r8g.medium", 1, 8),
        ("db.m8g.xlarge", 4, 16),
        ("db.m8g.48xlarge", 192, 768),
    ] {
        let found = capacity(&InstanceClass::try_from(class.to_owned()).unwrap()).unwrap();
        assert_eq!((found.vcpus, found.memory_mib), (vcpus, gib * 1024), "{class}");
    }
}

#[test]
fn an_rds_status_is_read_and_shown_in_its_own_word() {
    for (word, expected) in [
        ("available", Status::Usable { optimizing: false }),
        ("storage-optimization", Status::Usable { optimizing: true }),
        ("creating", Status::Creating),
        ("deleting", Status::Deleting),
        ("stopped", Status::Stopped),
        ("failed", Status::Failed("failed".to_owned())),
        ("incompatible-network", Status::Failed("incompatible-network".to_owned())),
        (
            "inaccessible-encryption-credentials",
            Status::Failed("inaccessible-encryption-credentials".to_owned()),
        ),
        ("rebooting", Status::InProgress("rebooting".to_owned())),
    ] {
        assert_eq!(Status::from(word), expected);
        assert_eq!(expected.to_string(), word);
    }
}

#[test]
fn a_status_of_cloudformation_says_what_can_be_done() {
    for (word, expected, is_busy) in [
        ("CREATE_COMPLETE", StackStatus::Complete, false),
        ("UPDATE_IN_PROGRESS", StackStatus::InProgress, true),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", StackStatus::InProgress, true),
        ("UPDATE_ROLLBACK_IN_PROGRESS", StackStatus::RollingBack, true),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", StackStatus::RollingBack, true),
        ("UPDATE_ROLLBACK_COMPLETE", StackStatus::RolledBack, false),
        ("UPDATE_ROLLBACK_FAILED", StackStatus::RollbackFailed, false),
        ("ROLLBACK_COMPLETE", StackStatus::CreationFailed, false),
        ("DELETE_IN_PROGRESS", StackStatus::InProgress, true),
        ("DELETE_FAILED", StackStatus::DeletionFailed, false),
        ("DELETE_COMPLETE", StackStatus::Deleted, false),
    ] {
        assert_eq!(StackStatus::from(word), expected, "{word}");
        assert_eq!(expected.is_busy(), is_busy, "{word}");
    }
}

#[test]
fn the_parameters_of_the_stage_stack_are_read_in_the_words_they_are_written_in() {
    assert_eq!(Settings::None.source(), "none");
    for kind in [AttachedKind::Instance, AttachedKind::Cluster] {
        assert_eq!(AttachedKind::try_from(kind.as_str().to_owned()), Ok(kind));
        let attached = Settings::Attached(AttachedSettings {
            target: AttachmentTarget {
                kind,
                identifier: "orders".to_owned().try_into().unwrap(),
                database_name: "orders".to_owned().try_into().unwrap(),
            },
            secret_arn: None,
        });
        assert_eq!(attached.source(), "attached");
    }
    assert_eq!(AttachedKind::Instance.as_str(), "instance");
    assert!(AttachedKind::try_from("proxy".to_owned()).is_err());
    for (word, expected) in [("now", Apply::Now), ("maintenance-window", Apply::MaintenanceWindow)] {
        assert_eq!(Apply::try_from(word.to_owned()), Ok(expected));
        assert_eq!(expected.as_str(), word);
    }
    assert!(Apply::try_from("later".to_owned()).is_err());
    assert_eq!(StorageGiB::try_from(400).unwrap().to_string(), "400 GiB");
    assert_eq!(String::from(EngineVersion::try_from("17.5".to_owned()).unwrap()), "17.5");
}

#[test]
fn a_wait_is_a_fourth_of_the_time_that_has_passed_and_from_1_to_15_seconds_long() {
    let request = Request {
        operation: Operation::Delete,
        stage: stage(),
        owner: Owner { stage_stack_id: "stack".to_owned(), logical_id: "Database".to_owned() },
        desired: Desired::None,
        previous: database::Previous::default(),
        token: "0a1b2c3d".to_owned(),
    };
    let mut instance = instance();
    instance.status = Status::Deleting;
    let observed = Observed { instance: Some(instance), ..Observed::default() };
    for (elapsed, millis) in [(0, 1000), (4, 1000), (10, 2500), (60, 15_000), (3000, 15_000)] {
        let step = next_step(&request, &observed, Clock { elapsed: Duration::from_secs(elapsed) });
        let Step::Wait(pause) = step else { panic!("{step:?}") };
        assert_eq!(pause, Duration::from_millis(millis), "after {elapsed} s");
    }
}

fn instance() -> database::Instance {
    database::Instance {
        status: Status::Usable { optimizing: false },
        owner: Some(Owner { stage_stack_id: "stack".to_owned(), logical_id: "Database".to_owned() }),
        generation: Some(generation("g1")),
        instance_class: "db.t4g.micro".to_owned(),
        storage_gib: 20,
        pending: database::Pending::default(),
        endpoint: None,
        database_name: None,
        deletion_protection: false,
        security_groups: Vec::new(),
        was_available: true,
        max_storage_gib: None,
        iops: None,
        shown: shown(&settings()),
        engine_version: None,
        credentials: None,
        password_changed_at: None,
        downtime: None,
        maintenance_window: None,
    }
}

#[test]
fn the_end_of_a_request_is_reported_even_after_its_deadline() {
    // The instance is deleted and its snapshot exists, so there is nothing left to start.
    let request = Request {
        operation: Operation::Delete,
        stage: stage(),
        owner: Owner { stage_stack_id: "stack".to_owned(), logical_id: "Database".to_owned() },
        desired: Desired::None,
        previous: database::Previous::default(),
        token: "0a1b2c3d".to_owned(),
    };
    let snapshot = Snapshot {
        id: SnapshotId::final_of("shop-dev-postgres", &generation("g1"), 1),
        status: SnapshotStatus::Available,
        owner: Some(Owner { stage_stack_id: "stack".to_owned(), logical_id: "Database".to_owned() }),
        generation: Some(generation("g1")),
        stage: Some(stage()),
        credentials: None,
        database_name: None,
        created_at: None,
        storage_gib: 20,
        engine_version: None,
    };
    let observed = Observed { snapshots: Some(vec![snapshot]), ..Observed::default() };
    let late = Clock { elapsed: database::GIVE_UP_AFTER };
    assert!(matches!(next_step(&request, &observed, late), Step::Finish(_)));
}

fn event(logical_id: &str, status: &str, reason: Option<&str>, second: i64) -> StackEvent {
    StackEvent {
        logical_id: logical_id.to_owned(),
        is_stack: logical_id == "shop-dev",
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        at: NOW + time::Duration::seconds(second),
        token: None,
        properties: std::collections::BTreeMap::new(),
    }
}

/// An update that completed 9 seconds after it started.
fn complete() -> StackObservation {
    let events = vec![
        event("shop-dev", "UPDATE_COMPLETE", None, 9),
        event("Database", "UPDATE_COMPLETE", None, 8),
        event("Database", "UPDATE_IN_PROGRESS", None, 1),
        event("shop-dev", "UPDATE_IN_PROGRESS", Some("User Initiated"), 0),
    ];
    StackObservation { status: StackStatus::Complete, has_app_login: false, events }
}

#[test]
fn the_containers_step_has_the_times_of_their_deployment() {
    let ended = NOW + time::Duration::seconds(9);
    let since = NOW + time::Duration::seconds(30);
    for (containers, status, started_at, ended_at) in [
        (Containers::Waiting, StepStatus::Running, Some(ended), None),
        (Containers::Redeploying { since }, StepStatus::Running, Some(since), None),
        (Containers::Complete { since: Some(since) }, StepStatus::Complete, Some(ended), Some(since)),
        (Containers::Failed("no".to_owned()), StepStatus::Failed, Some(ended), None),
    ] {
        let rebuild = rebuild(&complete(), &of(&containers), ended);
        let step = rebuild.steps.last().unwrap();
        assert_eq!((step.name, step.status), ("containers", status), "{containers:?}");
        assert_eq!(step.service.as_deref(), Some("demo/web"));
        assert_eq!((step.started_at, step.ended_at), (started_at, ended_at), "{containers:?}");
    }
}

#[test]
fn a_step_runs_until_its_resource_is_complete_and_the_stack_is_no_resource() {
    let mut stack = complete();
    stack.events.drain(..2);
    stack.status = StackStatus::InProgress;
    // A stack can have the same name as a resource.
    let namesake = StackEvent { is_stack: true, ..event("Credentials", "UPDATE_COMPLETE", None, 2) };
    stack.events.insert(0, namesake);
    let rebuild = rebuild(&stack, &of(&Containers::Waiting), NOW);
    let status = |name: &str| rebuild.steps.iter().find(|step| step.name == name).unwrap().status;
    assert_eq!(status("database"), StepStatus::Running);
    assert_eq!(status("credentials"), StepStatus::Pending);
}

#[test]
fn the_first_cause_is_that_of_a_resource_not_of_the_stack() {
    let events = vec![
        event("shop-dev", "UPDATE_ROLLBACK_COMPLETE", None, 5),
        event("Database", "UPDATE_FAILED", Some("no capacity"), 3),
        event("shop-dev", "UPDATE_FAILED", Some("the following resource(s) failed: [Database]"), 2),
        event("Database", "UPDATE_IN_PROGRESS", Some("begun"), 1),
        event("shop-dev", "UPDATE_IN_PROGRESS", Some("User Initiated"), 0),
    ];
    let stack = StackObservation { status: StackStatus::RolledBack, has_app_login: false, events };
    let rebuild = rebuild(&stack, &of(&Containers::Waiting), NOW);
    assert_eq!((rebuild.phase, rebuild.reason.as_deref()), (Phase::RolledBack, Some("no capacity")));
}

#[test]
fn a_container_has_only_the_variables_of_the_secret_of_its_stage() {
    let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:dev-shop-postgres-AbCdEf";
    let container = |name: &str, from: String| ContainerVariables {
        environment: Vec::new(),
        secrets: vec![SecretReference { name: name.to_owned(), value_from: from }],
    };
    let names = |container: &ContainerVariables| -> Vec<&str> {
        runtime_variables(container, "dev-shop-postgres").iter().map(|variable| variable.name).collect()
    };
    assert_eq!(names(&container("PG_HOST", format!("{arn}:host::"))), ["PG_HOST"]);
    for (name, from) in [
        ("PG_HOST", format!("{arn}:port::")),
        ("PG_PORT", format!("{arn}:host::")),
        ("HOST", format!("{arn}:host::")),
        ("PG_HOST", format!("{arn}x:host::")),
        ("PG_HOST", format!("{}:host::", arn.replace("-AbCdEf", "-2-AbCdE"))),
        ("PG_HOST", format!("{}:host::", arn.replace("-AbCdEf", "-A-CdEf"))),
        ("PG_HOST", format!("{}:host::", arn.replace(":secret:", ":parameter:"))),
    ] {
        assert!(names(&container(name, from.clone())).is_empty(), "{name} {from}");
    }
}

#[test]
fn containers_have_twenty_minutes_to_get_their_variables() {
    let ended = NOW + time::Duration::seconds(9);
    let phase = |after: time::Duration| rebuild(&complete(), &of(&Containers::Waiting), ended + after).phase;
    assert_eq!(phase(time::Duration::minutes(20)), Phase::Redeploying);
    assert_eq!(phase(time::Duration::minutes(20) + time::Duration::SECOND), Phase::Failed);
}

#[test]
fn a_variable_of_another_name_that_a_user_set_from_the_secret_stays() {
    let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:dev-shop-postgres-AbCdEf";
    let theirs = SecretReference { name: "LEGACY_HOST".to_owned(), value_from: format!("{arn}:host::") };
    let container = ContainerVariables { environment: Vec::new(), secrets: vec![theirs.clone()] };
    assert_eq!(publication(&container, "dev-shop-postgres", &Target::Removed), Publication::UpToDate);
    let target = Target::Published { secret_arn: arn.to_owned() };
    let Publication::Change(secrets) = publication(&container, "dev-shop-postgres", &target) else {
        panic!("nothing is published")
    };
    assert_eq!(secrets.len(), 6);
    assert!(secrets.contains(&theirs));
}
