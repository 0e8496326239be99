//! Every setting of a created database can be changed, within RDS's rules.

use local::LocalAws;
use serde_json::{Value, json};

use crate::world::{
    eventually, follow, instance, micro, query, save, save_and_follow, secret, settings, shown, stage_path,
    world,
};

fn with(mut settings: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings
}

fn refused(local: &LocalAws, settings: &Value, status: u16) -> String {
    let answer = local.api("PUT", &stage_path("dev", "/database"), Some(settings)).unwrap();
    assert_eq!(answer.status, status, "{}", answer.text);
    answer.body["detail"].as_str().unwrap().to_owned()
}

#[test]
fn standby_backups_maximum_storage_and_version_can_be_changed_without_losing_data() {
    let local = world();
    let first =
        with(micro(), &json!({"engineVersion": "16.8", "backupRetentionDays": 3, "maxStorageGiB": 50}));
    save_and_follow(&local, "dev", &first);
    query(&secret(&local, "dev"), "create table kept (row text); insert into kept values ('written before')");
    let made = instance(&local, "dev").unwrap();
    assert_eq!(
        (&made["EngineVersion"], &made["BackupRetentionPeriod"], &made["MaxAllocatedStorage"]),
        (&json!("16.8"), &json!(3), &json!(50))
    );

    let second =
        json!({"multiAz": true, "backupRetentionDays": 14, "maxStorageGiB": 100, "engineVersion": "16.9"});
    save_and_follow(&local, "dev", &with(micro(), &second));
    let changed = instance(&local, "dev").unwrap();
    assert_eq!(changed["MultiAZ"], true);
    assert_eq!(changed["BackupRetentionPeriod"], 14);
    assert_eq!(changed["MaxAllocatedStorage"], 100);
    assert_eq!(changed["EngineVersion"], "16.9");
    save(&local, "dev", &micro(), 200);

    // A setting that's left out stays as it is. Null turns autoscaling off.
    save_and_follow(&local, "dev", &with(micro(), &json!({"maxStorageGiB": null})));
    let max_storage = instance(&local, "dev").unwrap()["MaxAllocatedStorage"].clone();
    assert!(max_storage.is_null() || max_storage == 20, "{max_storage}");

    // A new major version has to be confirmed, and a snapshot is taken before it.
    let upgrade = with(micro(), &json!({"engineVersion": "17"}));
    let words = refused(&local, &upgrade, 422);
    assert_eq!(
        words,
        "/confirm must be test-django2-dev-postgres, because you can't undo the upgrade from major version 16 to 17."
    );
    save_and_follow(&local, "dev", &with(upgrade, &json!({"confirm": "test-django2-dev-postgres"})));
    assert_eq!(instance(&local, "dev").unwrap()["EngineVersion"], "17.5", "the newest of it");
    assert_eq!(query(&secret(&local, "dev"), "select row from kept"), "written before");
    let snapshots = local.api("GET", &stage_path("dev", "/snapshots"), None).unwrap().body;
    let [before] = snapshots["snapshots"].as_array().unwrap().as_slice() else { panic!("{snapshots}") };
    assert_eq!((&before["engineVersion"], &before["status"]), (&json!("16.9"), &json!("available")));
    assert!(before["identifier"].as_str().unwrap().contains("-before-17-5-"), "{before}");
    let back = refused(&local, &with(micro(), &json!({"engineVersion": "16.9"})), 422);
    assert_eq!(back, "/engineVersion can't be downgraded. It's 17.5 now.");
}

#[test]
fn a_change_that_interrupts_waits_for_the_maintenance_window_if_the_user_chooses_that() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let later = with(settings("db.t4g.large", 20), &json!({"apply": "maintenance-window"}));
    save_and_follow(&local, "dev", &later);
    assert_eq!(instance(&local, "dev").unwrap()["DBInstanceClass"], "db.t4g.micro", "not yet");
    let database = shown(&local, "dev");
    assert_eq!(database["live"]["pending"]["instanceClass"], "db.t4g.large");
    assert_eq!(database["live"]["maintenanceWindow"], "sun:05:00-sun:06:00");
    save(&local, "dev", &later, 200);

    let window = "/_local/rds/instances/test-django2-dev-postgres/maintenance";
    local.control("POST", window, None).unwrap();
    eventually("the window has come", || {
        instance(&local, "dev").unwrap()["DBInstanceClass"] == "db.t4g.large"
    });
    eventually("it is available", || shown(&local, "dev")["state"] == "available");

    // In the maintenance window again, and then now after all.
    save_and_follow(
        &local,
        "dev",
        &with(settings("db.t4g.medium", 20), &json!({"apply": "maintenance-window"})),
    );
    save_and_follow(&local, "dev", &with(settings("db.t4g.medium", 20), &json!({"apply": "now"})));
    assert_eq!(instance(&local, "dev").unwrap()["DBInstanceClass"], "db.t4g.medium");
    assert_eq!(shown(&local, "dev")["live"]["pending"], Value::Null);
}

#[test]
fn storage_cannot_change_again_for_a_while_and_autoscaled_storage_is_a_minimum() {
    let local = world();
    save_and_follow(&local, "dev", &with(micro(), &json!({"maxStorageGiB": 100})));
    let grow = json!({"allocated_storage": 33});
    local.control("PUT", "/_local/rds/instances/test-django2-dev-postgres", Some(&grow)).unwrap();
    eventually("it has grown", || {
        let database = shown(&local, "dev");
        database["live"]["storageGiB"] == 33 && database["state"] == "available"
    });

    let database = shown(&local, "dev");
    assert_eq!(database["changeable"]["storage"], false);
    let earliest = database["changeable"]["storageEarliest"].as_str().unwrap().to_owned();
    let words = refused(&local, &settings("db.t4g.micro", 60), 409);
    // The message rounds up to the next minute, which can be in the next hour.
    let hour = earliest.get(..13).unwrap();
    let is_rounded_up = earliest.get(14..16) == Some("59");
    assert!(
        words.starts_with(
            "The storage of test-django2-dev-postgres was changed less than six hours ago. RDS doesn't accept another storage \
             change before 20"
        ),
        "{words}"
    );
    assert!(words.contains(hour) || is_rounded_up, "{words} isn't about {earliest}");
    assert_eq!(
        refused(&local, &settings("db.t4g.micro", 30), 422),
        "/storageGiB can't be decreased. It's 33 GiB now."
    );

    // The class can be changed in the meantime, with the storage in the settings.
    save_and_follow(&local, "dev", &settings("db.t4g.small", 20));
    let changed = instance(&local, "dev").unwrap();
    assert_eq!(
        (&changed["DBInstanceClass"], &changed["AllocatedStorage"]),
        (&json!("db.t4g.small"), &json!(33))
    );
}

#[test]
fn a_failure_that_rds_explains_is_reported_in_its_words_with_a_next_step() {
    let local = world();
    let failing = json!({"test-django2-dev-postgres": {
        "status": "incompatible-network", "event": "The DB instance can't be created: no free addresses in subnet-1.",
    }});
    local.control("PUT", "/_local/rds/next-creations", Some(&failing)).unwrap();
    save(&local, "dev", &micro(), 202);
    assert_eq!(follow(&local, "dev").0.phase, "rolled-back");
    let rebuild = local.api("GET", &stage_path("dev", "/rebuild"), None).unwrap().body;
    let reason = rebuild["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("The DB instance test-django2-dev-postgres has the status incompatible-network."),
        "{reason}"
    );
    assert!(
        reason.ends_with("RDS says: The DB instance can't be created: no free addresses in subnet-1."),
        "{reason}"
    );
    assert_eq!(rebuild["nextStep"], "Free up IP addresses in the stage's subnets, then save again.");
    let raw = rebuild["raw"][0].as_str().unwrap();
    assert!(raw.starts_with("Database UPDATE_FAILED: Received response status [FAILED]"), "{raw}");
    assert_eq!(instance(&local, "dev"), None, "nothing unfinished is left");

    // One call retries it.
    save_and_follow(&local, "dev", &micro());
    assert_eq!(query(&secret(&local, "dev"), "select 1"), "1");
}

#[test]
fn the_classes_that_can_be_ordered_are_listed_with_their_size() {
    let local = world();
    let listed = local.api("GET", "/api/instance-classes", None).unwrap().body;
    assert_eq!(listed["engineVersion"], "17");
    let classes = listed["instanceClasses"].as_array().unwrap();
    let micro = classes.iter().find(|class| class["name"] == "db.t4g.micro").unwrap();
    assert_eq!(
        *micro,
        json!({
            "name": "db.t4g.micro", "vcpus": 2, "memoryMiB": 1024, "minStorageGiB": 20, "maxStorageGiB": 65536,
            "multiAz": true, "storageAutoscaling": true,
        })
    );
    let sizes: Vec<_> = classes.iter().map(|class| class["memoryMiB"].as_u64().unwrap()).collect();
    assert!(sizes.is_sorted(), "{sizes:?}");
}
