//! Restoring a removed database, and what no stage uses.

use serde_json::{Value, json};

use crate::world::{
    PASSWORD, eventually, instance, micro, psql, query, remove, save, save_and_follow, secret, shown,
    stage_path, world,
};

#[test]
fn a_removed_database_is_restored_with_its_data_and_credentials_that_work() {
    let local = world();
    let snapshots = || {
        let answer = local.api("GET", &stage_path("dev", "/snapshots"), None).unwrap();
        answer.body["snapshots"].as_array().unwrap().clone()
    };
    save_and_follow(&local, "dev", &micro());
    let before = secret(&local, "dev");
    query(&before, "create table kept (row text); insert into kept values ('written before')");
    remove(&local, "dev", "test-django2-dev-postgres");
    let state = shown(&local, "dev")["state"].clone();
    assert!(state == "removing" || state == "none", "{state}");
    eventually("the removal is done", || shown(&local, "dev")["state"] == "none");
    let [snapshot] = snapshots().try_into().unwrap();
    let snapshot: Value = snapshot;
    assert_eq!((&snapshot["status"], &snapshot["storageGiB"]), (&json!("available"), &json!(20)));
    assert!(snapshot["createdAt"].as_str().unwrap().ends_with('Z'));

    // Another database was created and removed in the meantime. The restored data isn't its data.
    save_and_follow(&local, "dev", &micro());
    remove(&local, "dev", "test-django2-dev-postgres");
    eventually("the second one is gone", || instance(&local, "dev").is_none() && snapshots().len() == 2);

    let restore = json!({
        "source": "created", "instanceClass": "db.t4g.small", "storageGiB": 20,
        "fromSnapshot": snapshot["identifier"],
    });
    save_and_follow(&local, "dev", &restore);
    let after = secret(&local, "dev");
    assert_ne!(after[PASSWORD], before[PASSWORD], "the credentials are new");
    assert_eq!(query(&after, "select row from kept"), "written before");
    let old = psql(&after, before[PASSWORD].as_str().unwrap(), "select 1");
    assert!(!old.status.success(), "the old ones are no longer valid");
    let restored = instance(&local, "dev").unwrap();
    assert_eq!(
        (&restored["DBInstanceClass"], &restored["DeletionProtection"]),
        (&json!("db.t4g.small"), &json!(true))
    );
    assert_eq!(shown(&local, "dev")["settings"]["fromSnapshot"], snapshot["identifier"]);
    save(&local, "dev", &restore, 200);

    // It works like any other database: it can be changed, and removed with its own snapshot.
    save_and_follow(&local, "dev", &micro());
    query(&after, "insert into kept values ('written after')");
    remove(&local, "dev", "test-django2-dev-postgres");
    eventually("it is gone", || instance(&local, "dev").is_none() && snapshots().len() == 3);
    let newest = snapshots()[0]["identifier"].clone();
    let again = json!({"source": "created", "instanceClass": "db.t4g.micro", "storageGiB": 20, "fromSnapshot": newest});
    save_and_follow(&local, "dev", &again);
    assert_eq!(query(&secret(&local, "dev"), "select count(*) from kept"), "2");
}

#[test]
fn resources_that_no_stage_uses_are_shown_and_a_stage_registered_again_finds_its_snapshots() {
    let local = world();
    save_and_follow(&local, "prod", &micro());
    query(
        &secret(&local, "prod"),
        "create table kept (row text); insert into kept values ('written before')",
    );
    let leftovers = || {
        let mut found = (Vec::<Value>::new(), Vec::<Value>::new());
        let mut path = "/api/leftovers".to_owned();
        loop {
            let page = local.api("GET", &path, None).unwrap();
            assert_eq!(page.status, 200, "{}", page.text);
            found.0.extend(page.body["instances"].as_array().unwrap().iter().cloned());
            found.1.extend(page.body["snapshots"].as_array().unwrap().iter().cloned());
            match page.body["nextToken"].as_str() {
                Some(token) => path = format!("/api/leftovers?nextToken={token}"),
                None => return found,
            }
        }
    };
    assert_eq!(leftovers(), (vec![], vec![]), "what a stage uses isn't a leftover");
    remove(&local, "prod", "test-django2-prod-postgres");
    eventually("the removal is done", || instance(&local, "prod").is_none());
    assert_eq!(leftovers(), (vec![], vec![]), "its stage can restore it");

    assert_eq!(local.api("DELETE", &stage_path("prod", ""), None).unwrap().status, 202);
    eventually("the stage is deleted", || {
        local.api("GET", &stage_path("prod", "/rebuild"), None).unwrap().status == 404
    });
    let (instances, snapshots) = leftovers();
    assert_eq!(instances, Vec::<Value>::new());
    let [left] = snapshots.as_slice() else { panic!("{snapshots:?}") };
    assert_eq!(left["stage"], "test-django2/prod");

    // An instance with stagedb's tags whose stage doesn't exist.
    let tags = ["stack=test-django2", "stage=gone", "logical-id=Database", "generation=20200101-000000"];
    let mut create =
        vec!["rds", "create-db-instance", "--db-instance-identifier", "test-django2-gone-postgres"];
    create.extend([
        "--engine",
        "postgres",
        "--db-instance-class",
        "db.t4g.micro",
        "--allocated-storage",
        "20",
    ]);
    create.extend([
        "--master-username",
        "postgres",
        "--master-user-password",
        "forgotten-password",
        "--tags",
    ]);
    let pair = |(key, value): (&str, &str)| format!("Key=stagedb:{key},Value={value}");
    let mut all: Vec<_> = tags.iter().filter_map(|tag| tag.split_once('=')).map(pair).collect();
    all.push(pair((
        "stage-stack-id",
        "arn:aws:cloudformation:us-east-1:000000000000:stack/test-django2-gone/1",
    )));
    create.extend(all.iter().map(String::as_str));
    local.aws(&create).unwrap();
    let (instances, _) = leftovers();
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert_eq!(instances[0]["identifier"], "test-django2-gone-postgres");

    let body = json!({"services": [{"cluster": "demo", "name": "test-django2-prod", "container": "web"}]});
    assert_eq!(local.api("PUT", &stage_path("prod", ""), Some(&body)).unwrap().status, 202);
    assert_eq!(crate::world::follow(&local, "prod").0.phase, "complete");
    let restore = json!({
        "source": "created", "instanceClass": "db.t4g.micro", "storageGiB": 20, "databaseName": "app",
        "fromSnapshot": left["identifier"],
    });
    save_and_follow(&local, "prod", &restore);
    assert_eq!(query(&secret(&local, "prod"), "select row from kept"), "written before");
}
