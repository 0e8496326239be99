//! Rotations that nobody waits for, and those that can't wait: on a schedule, after a leak, of the master user's password, and of an
//! attached database's.

use std::process::{Child, Stdio};

use local::LocalAws;
use serde_json::{Value, json};

use crate::attached::an_attached_database;
use crate::created::the_examples_connect;
use crate::logins::{
    as_master, clients_are_killed, clients_run_again, earlier_tasks_end, earlier_tasks_keep_running, enabled,
    login, logs_in, master, refusal, rotate, settles, with_login,
};
use crate::world::{
    PASSWORD, STACK, container, eventually, follow, psql_command, save_and_follow, secret, stage_path, world,
};

/// Runs the schedule as if it were another day.
fn on(local: &LocalAws, day: &str) {
    let body = json!({"time": format!("{day}T10:00:00Z")});
    let ran = local.control("PUT", "/_local/schedules/stagedb-schedule/run", Some(&body)).unwrap();
    assert_eq!(ran["error"], Value::Null, "{ran}");
}

fn user(local: &LocalAws) -> Value {
    login(local)["user"].clone()
}

#[test]
fn logins_are_rotated_every_so_many_days_by_the_schedule() {
    let local = world();
    let mut settings = with_login(true);
    settings["rotationDays"] = json!(30);
    save_and_follow(&local, "dev", &settings);
    settles(&local, "app_1");
    let shown = login(&local);
    let days = |text: &Value| text.as_str().unwrap().split('T').next().unwrap().to_owned();
    let (since, next) = (days(&shown["since"]), days(&shown["nextRotationAt"]));
    assert!(since < next, "{shown}");

    on(&local, &since);
    assert_eq!(user(&local), "app_1", "it isn't due yet");
    on(&local, "2036-01-01");
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "complete", "{rebuild:?}");
    settles(&local, "app_2");
    let records = local.api("GET", &stage_path("dev", "/history"), None).unwrap().body["records"].clone();
    let of_schedule = records.as_array().unwrap().iter().find(|record| record["operation"] == "rotateLogin");
    assert_eq!(of_schedule.unwrap()["who"]["subject"], "stagedb (schedule)", "{records}");

    on(&local, "2036-01-01");
    follow(&local, "dev");
    assert_eq!(user(&local), "app_1", "it's due again, because its password is from today");
    settles(&local, "app_1");
}

#[test]
fn a_rotation_on_a_schedule_needs_the_app_login_and_a_number_of_days_that_makes_sense() {
    let local = world();
    for (is_on, days, reason) in [
        (false, json!(30), "must be 0 without the app login"),
        (true, json!(366), "must be 0 to 365 days, not 366"),
        (true, json!(-1), "must be 0 to 365 days, not -1"),
        (true, json!("30"), "must be a whole number"),
        (true, json!(1.5), "must be a whole number"),
    ] {
        let mut settings = with_login(is_on);
        settings["rotationDays"] = days;
        let answer = local.api("PUT", &stage_path("dev", "/database"), Some(&settings)).unwrap();
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert_eq!(answer.body["errors"][0]["pointer"], "/rotationDays");
        assert!(answer.text.contains(reason), "{}", answer.text);
    }
}

#[test]
fn after_a_leak_the_login_from_before_ends_at_once_with_its_sessions() {
    let local = world();
    save_and_follow(&local, "dev", &with_login(true));
    settles(&local, "app_1");
    let leaked = secret(&local, "dev");
    let session = a_session(&local, &leaked);

    // The containers keep running, and what has leaked ends anyway.
    earlier_tasks_keep_running(&local);
    let path = stage_path("dev", "/database/rotation");
    for (body, reason) in [
        (json!({"immediately": "yes"}), "/immediately must be true or false"),
        (json!({"now": true}), "/now isn't a known field"),
        (json!([]), "must be a JSON object"),
    ] {
        let refused = local.api("POST", &path, Some(&body)).unwrap();
        assert!(refused.status >= 400 && refused.text.contains(reason), "{}", refused.text);
    }
    let answer = local.api("POST", &path, Some(&json!({"immediately": true}))).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    eventually("the leaked login is disabled", || !logs_in(&leaked));
    was_ended(session);
    assert!(refusal(&leaked, "select 1").contains("password authentication failed"));
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "complete", "{rebuild:?}");
    settles(&local, "app_2");
    assert_eq!(enabled(&local), "app_2");
    the_examples_connect(&local, "dev", "connected to app as app");

    // What leaks while it's no longer published, and is about to be used again, ends, too.
    let second = secret(&local, "dev");
    let session = a_session(&local, &second);
    rotate(&local);
    assert!(logs_in(&second), "a task from before is still running");
    let answer = local.api("POST", &path, Some(&json!({"immediately": true}))).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(follow(&local, "dev").0.phase, "complete");
    was_ended(session);
    assert!(!logs_in(&second));
    settles(&local, "app_2");
    assert_eq!(enabled(&local), "app_2");

    // The next rotation waits for containers, as ever.
    let third = secret(&local, "dev");
    rotate(&local);
    assert!(logs_in(&third));
    earlier_tasks_end(&local);
    settles(&local, "app_1");
}

/// A session that lasts until someone ends it.
fn a_session(local: &LocalAws, credentials: &Value) -> Child {
    let mut session =
        psql_command(credentials, credentials[PASSWORD].as_str().unwrap(), "select pg_sleep(600)");
    let session = session.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let user = credentials["username"].as_str().unwrap();
    let sessions = format!("select count(*) from pg_stat_activity where usename = '{user}'");
    eventually("the session has begun", || as_master(local, &sessions) == "1");
    session
}

fn was_ended(session: Child) {
    let said = String::from_utf8(session.wait_with_output().unwrap().stderr).unwrap();
    assert!(said.contains("terminating connection due to administrator command"), "{said}");
}

#[test]
fn the_master_user_gets_a_new_password_with_each_rotation_and_with_the_switch_to_the_app_login() {
    let local = world();
    save_and_follow(&local, "dev", &with_login(false));
    let published = secret(&local, "dev");
    save_and_follow(&local, "dev", &with_login(true));
    eventually("what containers had is no longer the master user's password", || !logs_in(&published));
    eventually("the new one is in the master user's secret", || logs_in(&master(&local)));
    let before = master(&local);
    rotate(&local);
    eventually("it's another one", || !logs_in(&before));
    eventually("it's in the secret", || master(&local) != before && logs_in(&master(&local)));
    settles(&local, "app_2");

    // The rotation of the master user was interrupted after RDS had changed the password.
    let next = "interrupted-Password-1";
    let value = json!({"username": "postgres", "password": next}).to_string();
    let body = json!({
        "SecretId": format!("stagedb/dev-{STACK}/master-user"), "SecretString": value, "VersionStages": ["stagedb-next"],
        "ClientRequestToken": "a-version-of-an-interrupted-rotation",
    });
    local.post_json("secretsmanager.PutSecretValue", &body).unwrap();
    let modify = ["rds", "modify-db-instance", "--db-instance-identifier", "test-django2-dev-postgres"];
    local.aws(&[&modify[..], &["--master-user-password", next]].concat()).unwrap();
    let mut interrupted = master(&local);
    interrupted[PASSWORD] = json!(next);
    eventually("RDS has changed the password", || logs_in(&interrupted));
    let refused = local.api("PUT", &stage_path("dev", "/database"), Some(&with_login(false))).unwrap();
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert!(refused.text.contains("password is being rotated"), "{}", refused.text);
    rotate(&local);
    settles(&local, "app_1");
    eventually("the rotation is complete", || logs_in(&master(&local)));
    let current = json!({"SecretId": format!("stagedb/dev-{STACK}/master-user")});
    let current = local.post_json("secretsmanager.GetSecretValue", &current).unwrap();
    eventually("what is current is right", || {
        current["SecretString"].as_str().unwrap().contains(master(&local)[PASSWORD].as_str().unwrap())
    });
    let records = local.api("GET", &stage_path("dev", "/history"), None).unwrap().text;
    assert!(!records.contains("Reset master credentials"), "it isn't a change by someone else: {records}");
}

#[test]
fn a_new_password_of_an_attached_database_is_picked_up_by_the_schedule() {
    let local = world();
    let change = an_attached_database(&local);
    let before = container(&local, "dev");
    on(&local, "2036-01-01");
    assert_eq!(container(&local, "dev"), before, "nothing has changed");
    change(&local, "rotated-Password-1");
    clients_are_killed(&local, "stagedb-test-django2-dev");
    on(&local, "2036-01-01");
    assert_eq!(follow(&local, "dev").0.phase, "rolled-back");
    assert_eq!(container(&local, "dev"), before);
    clients_run_again(&local);
    on(&local, "2036-01-01");
    assert_eq!(follow(&local, "dev").0.phase, "rolled-back", "it's tried once a day");
    on(&local, "2036-01-02");
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "complete", "{rebuild:?}");
    assert_eq!(secret(&local, "dev")[PASSWORD], "rotated-Password-1");
    the_examples_connect(&local, "dev", "connected to orders as clerk on PostgreSQL");
}
