//! The app login: containers log in as a user of their own, which owns the database's objects and nothing else, and its password is
//! rotated without a failed login.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use local::{LocalAws, Timings};
use serde_json::{Value, json};

use crate::created::{invoke, the_examples_connect};
use crate::faults::{killed, processes};
use crate::world::{
    PASSWORD, STACK, container, ecs, eventually, follow, jq, micro, psql, query, save, save_and_follow,
    secret, service, stage_path, world,
};

pub(crate) fn with_login(is_on: bool) -> Value {
    let mut settings = micro();
    settings["appLogin"] = json!(is_on);
    settings
}

/// The user that the page shows, and whether it's the only one.
pub(crate) fn login(local: &LocalAws) -> Value {
    local.api("GET", &stage_path("dev", "/database"), None).unwrap().body["login"].clone()
}

pub(crate) fn settles(local: &LocalAws, user: &str) {
    eventually("the logins are settled", || login(local)["isSettled"] == true);
    assert_eq!(login(local)["user"], user);
}

/// The master user's credentials, with where the database is.
pub(crate) fn master(local: &LocalAws) -> Value {
    let name = format!("stagedb/dev-{STACK}/master-user");
    let stacks =
        local.aws(&["cloudformation", "describe-stacks", "--stack-name", "test-django2-dev"]).unwrap();
    let [generation] =
        jq(".Stacks[0].Parameters[] | select(.ParameterKey == \"Generation\").ParameterValue", &stacks)
            .try_into()
            .unwrap();
    let generation = generation.as_str().unwrap();
    let body = json!({"SecretId": name, "VersionStage": format!("generation-{generation}")});
    let answer = local.post_json("secretsmanager.GetSecretValue", &body).unwrap();
    let credentials: Value = serde_json::from_str(answer["SecretString"].as_str().unwrap()).unwrap();
    let mut secret = secret(local, "dev");
    secret["username"] = credentials["username"].clone();
    secret[PASSWORD] = credentials[PASSWORD].clone();
    secret
}

/// What Postgres says to credentials that are refused.
pub(crate) fn refusal(secret: &Value, sql: &str) -> String {
    let output = psql(secret, secret[PASSWORD].as_str().unwrap(), sql);
    assert!(!output.status.success(), "{sql}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

pub(crate) fn logs_in(secret: &Value) -> bool {
    psql(secret, secret[PASSWORD].as_str().unwrap(), "select 1").status.success()
}

/// Asks for a rotation, and expects this status. Returns the body.
fn ask_to_rotate(local: &LocalAws, status: u16) -> String {
    let answer = local.api("POST", &stage_path("dev", "/database/rotation"), None).unwrap();
    assert_eq!(answer.status, status, "{}", answer.text);
    answer.text
}

pub(crate) fn rotate(local: &LocalAws) {
    ask_to_rotate(local, 202);
    let (rebuild, _) = follow(local, "dev");
    assert_eq!(rebuild.phase, "complete", "{rebuild:?}");
}

/// Turns off the app login, which is refused until the master user has the password that is due.
fn switch_back(local: &LocalAws) {
    eventually("the change back to the master user is accepted", || {
        let answer = local.api("PUT", &stage_path("dev", "/database"), Some(&with_login(false))).unwrap();
        let is_refused = answer.status == 409 && answer.text.contains("password is being rotated");
        assert!(is_refused || answer.status == 202, "{}", answer.text);
        answer.status == 202
    });
}

/// Tasks that are replaced keep running, as with a load balancer that drains connections for long.
pub(crate) fn earlier_tasks_keep_running(local: &LocalAws) {
    drain_for(local, 600.0);
}

/// Ends them, also those that have been draining.
pub(crate) fn earlier_tasks_end(local: &LocalAws) {
    drain_for(local, 0.5);
}

fn drain_for(local: &LocalAws, seconds: f64) {
    local.control("PUT", "/_local/timings", Some(&json!({"ecs_drain_seconds": seconds}))).unwrap();
}

/// Each client of this family is killed.
pub(crate) fn clients_are_killed(local: &LocalAws, family: &str) {
    let plan = json!({family: {"behavior": "killed", "times": null}});
    local.control("PUT", "/_local/ecs/next-tasks", Some(&plan)).unwrap();
}

pub(crate) fn clients_run_again(local: &LocalAws) {
    local.control("PUT", "/_local/ecs/next-tasks", Some(&json!({}))).unwrap();
}

/// The logins that can log in.
pub(crate) fn enabled(local: &LocalAws) -> String {
    let sql = "select string_agg(rolname, ',' order by rolname) from pg_roles where rolcanlogin and rolname like 'app%'";
    as_master(local, sql)
}

/// What a query of the master user prints, whose password may be changing right now.
pub(crate) fn as_master(local: &LocalAws, sql: &str) -> String {
    let mut printed = String::new();
    eventually("the master user logs in", || {
        let master = master(local);
        let output = psql(&master, master[PASSWORD].as_str().unwrap(), sql);
        printed = String::from_utf8(output.stdout).unwrap();
        output.status.success()
    });
    printed.trim().to_owned()
}

#[test]
fn with_the_app_login_containers_own_their_objects_and_nothing_else() {
    let local = world();
    save_and_follow(&local, "dev", &with_login(true));
    let steps = local.api("GET", &stage_path("dev", "/rebuild"), None).unwrap().body["steps"].clone();
    let step = steps.as_array().unwrap().iter().find(|step| step["name"] == "login").unwrap();
    assert_eq!(step["status"], "complete", "{steps}");
    settles(&local, "app_1");

    let app = secret(&local, "dev");
    assert_eq!(app["username"], "app_1");
    let mut keys: Vec<_> = app.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["dbInstanceIdentifier", "dbname", "engine", "host", PASSWORD, "port", "username"]);
    assert_eq!(query(&app, "select session_user || ' acts as ' || current_user"), "app_1 acts as app");
    query(&app, "create extension pgcrypto; create schema sales; create table sales.orders (id int)");
    assert_eq!(query(&app, "select tableowner from pg_tables where tablename = 'orders'"), "app");
    for (sql, reason) in [
        ("create role other", "permission denied to create role"),
        ("reset role; create role other", "permission denied to create role"),
        ("create database other", "permission denied to create database"),
        ("set role postgres", "permission denied to set role \"postgres\""),
        ("select pg_read_file('/etc/passwd')", "permission denied for function pg_read_file"),
    ] {
        assert!(refusal(&app, sql).contains(reason), "{sql}");
    }
    let mut elsewhere = app.clone();
    elsewhere["dbname"] = json!("postgres");
    assert!(refusal(&elsewhere, "select 1").contains("permission denied for database \"postgres\""));
    the_examples_connect(&local, "dev", "connected to app as app");

    the_master_users_secret_is_out_of_reach(&local);
    no_password_is_in_a_log_an_event_or_a_parameter(&local, &[&app, &master(&local)]);
}

fn the_master_users_secret_is_out_of_reach(local: &LocalAws) {
    assert_eq!(as_master(local, "select current_user"), "postgres");
    let filters = ["--filters", "Key=tag-key,Values=aws:cloudformation:stack-name"];
    let listed = local.aws(&[&["secretsmanager", "list-secrets"][..], &filters].concat()).unwrap();
    assert!(listed.to_string().contains(&format!("dev-{STACK}-postgres")), "{listed}");
    assert!(!listed.to_string().contains("master-user"), "{listed}");
    let name = format!("dev-{STACK}-postgres");
    let versions = local.aws(&[
        "secretsmanager",
        "list-secret-version-ids",
        "--include-deprecated",
        "--secret-id",
        &name,
    ]);
    for version in versions.unwrap()["Versions"].as_array().unwrap() {
        let body = json!({"SecretId": name, "VersionId": version["VersionId"]});
        let answer = local.post_json("secretsmanager.GetSecretValue", &body).unwrap();
        let master = master(local)[PASSWORD].as_str().unwrap().to_owned();
        assert!(!answer["SecretString"].as_str().unwrap().contains(&master), "{version}");
    }
}

fn no_password_is_in_a_log_an_event_or_a_parameter(local: &LocalAws, secrets: &[&Value]) {
    let seen = [
        local.function_logs().unwrap(),
        local.aws(&["cloudformation", "describe-stacks"]).unwrap().to_string(),
        local
            .aws(&["cloudformation", "describe-stack-events", "--stack-name", "test-django2-dev"])
            .unwrap()
            .to_string(),
        local.control("GET", "/_local/ecs/tasks", None).unwrap().to_string(),
    ];
    for secret in secrets {
        let password = secret[PASSWORD].as_str().unwrap();
        assert!(seen.iter().all(|text| !text.contains(password)), "the password of {}", secret["username"]);
    }
    assert!(seen.iter().all(|text| !text.contains("SCRAM-SHA-256$4096")), "a verifier");
}

#[test]
fn a_database_switches_to_the_app_login_and_back_with_everything_in_it_while_containers_keep_working() {
    let local = world();
    save_and_follow(&local, "dev", &with_login(false));
    assert_eq!(login(&local), Value::Null);
    let before = secret(&local, "dev");
    query(
        &before,
        "create extension pgcrypto; create schema sales; create table sales.orders (id int); insert into sales.orders values (7); \
         create function sales.total() returns int language sql as 'select 7'; create table items (id int)",
    );

    let preview =
        local.api("POST", &stage_path("dev", "/database/preview"), Some(&with_login(true))).unwrap();
    let change = &preview.body["changes"][0];
    assert_eq!(
        (&change["field"], &change["before"], &change["after"]),
        (&json!("appLogin"), &json!("false"), &json!("true"))
    );
    assert!(change["detail"].as_str().unwrap().contains("log in as app_1 or app_2"), "{change}");

    // A container from before the save reconnects all the time, also until it's replaced.
    earlier_tasks_keep_running(&local);
    save_and_follow(&local, "dev", &with_login(true));
    let app = secret(&local, "dev");
    assert_eq!((&login(&local)["user"], &login(&local)["isSettled"]), (&json!("app_1"), &json!(false)));
    assert_eq!(
        query(&before, "insert into sales.orders values (8); select count(*) from sales.orders")
            .lines()
            .last(),
        Some("2")
    );
    query(&before, "create table made_before_it_was_replaced (id int)");
    earlier_tasks_end(&local);
    settles(&local, "app_1");
    let owners =
        "select string_agg(distinct tableowner, ',') from pg_tables where schemaname in ('sales', 'public')";
    assert_eq!(query(&app, owners), "app");
    assert_eq!(
        query(
            &app,
            "alter table items add name text; drop function sales.total(); select sum(id) from sales.orders"
        )
        .lines()
        .last(),
        Some("15")
    );

    earlier_tasks_keep_running(&local);
    switch_back(&local);
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "complete", "{rebuild:?}");
    let master = secret(&local, "dev");
    assert_eq!(master["username"], "postgres");
    assert_eq!(
        query(&app, "insert into sales.orders values (9); select 1").lines().last(),
        Some("1"),
        "until it's replaced"
    );
    let refused = local.api("PUT", &stage_path("dev", "/database"), Some(&with_login(true))).unwrap();
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert!(refused.text.contains("are still running"), "{}", refused.text);
    earlier_tasks_end(&local);
    settles(&local, "postgres");
    assert_eq!(query(&master, owners), "postgres");
    assert_eq!(
        query(&master, "alter table sales.orders add note text; select sum(id) from sales.orders")
            .lines()
            .last(),
        Some("24")
    );
    assert!(refusal(&app, "select 1").contains("password authentication failed"));
}

#[test]
fn roles_and_databases_of_a_team_stay_as_they_are() {
    let local = world();
    save_and_follow(&local, "dev", &with_login(false));
    let master = secret(&local, "dev");
    for sql in [
        "create role app login password 'theirs-and-no-one-elses'",
        "create role reporter login password 'theirs-and-no-one-elses'",
        "create database closed",
        "revoke all on database closed from public",
        "create database open",
    ] {
        query(&master, sql);
    }
    let refused = |reason: &str| {
        save(&local, "dev", &with_login(true), 202);
        let (rebuild, _) = follow(&local, "dev");
        assert_eq!(rebuild.phase, "rolled-back", "{rebuild:?}");
        assert!(rebuild.reason.as_ref().unwrap().contains(reason), "{rebuild:?}");
        eventually("nothing is left", || {
            let answer =
                local.api("POST", &stage_path("dev", "/database/preview"), Some(&with_login(true))).unwrap();
            answer.status == 200
        });
    };
    let connects = |user: &str, database: &str| {
        let mut secret = master.clone();
        secret["username"] = json!(user);
        secret["dbname"] = json!(database);
        psql(&secret, "theirs-and-no-one-elses", "select 1").status.success()
    };
    refused("a role app, app_1, or app_2 already exists");
    assert!(connects("app", "app"));
    query(&master, "alter role app rename to their_app");
    query(&master, "create schema app");
    refused("a schema app already exists");
    query(&master, "drop schema app");

    save_and_follow(&local, "dev", &with_login(true));
    settles(&local, "app_1");
    assert!(!connects("reporter", "closed") && connects("reporter", "open"));
    let mut app = secret(&local, "dev");
    for database in ["closed", "open"] {
        app["dbname"] = json!(database);
        assert!(refusal(&app, "select 1").contains("permission denied for database"));
    }
}

#[test]
fn a_rotation_publishes_the_other_login_and_disables_the_first_when_its_last_task_is_gone() {
    let local = world();
    save_and_follow(&local, "dev", &with_login(true));
    settles(&local, "app_1");
    let first = secret(&local, "dev");
    query(&first, "create table kept (row text)");
    // As connection pools do that reset everything.
    query(&first, "set role none; create table made_by_the_login (row text)");

    earlier_tasks_keep_running(&local);
    rotate(&local);
    let second = secret(&local, "dev");
    assert_eq!(second["username"], "app_2");
    assert_ne!(second[PASSWORD], first[PASSWORD]);
    query(&second, "alter table kept add other text; alter table made_by_the_login add other text");
    assert!(logs_in(&first), "a task from before is still running");
    assert_eq!(enabled(&local), "app_1,app_2");
    ask_to_rotate(&local, 409);
    another_execution_waits_for_tasks_that_outlast_the_first(&local);
    earlier_tasks_end(&local);
    settles(&local, "app_2");
    assert_eq!(enabled(&local), "app_2");
    assert!(refusal(&first, "select 1").contains("password authentication failed"));
    assert!(logs_in(&second));
    let containers = local.container_environment(STACK, "dev").unwrap();
    assert_eq!(containers["PG_USER"], "app_2");
    assert_eq!(containers["PG_CREDENTIALS_SECRET"], second[PASSWORD].as_str().unwrap());
}

fn another_execution_waits_for_tasks_that_outlast_the_first(local: &LocalAws) {
    let stacks =
        local.aws(&["cloudformation", "describe-stacks", "--stack-name", "test-django2-dev"]).unwrap();
    let function = "stagedb-client-progress";
    let event = json!({
        "function": format!("arn:aws:lambda:us-east-1:000000000000:function:{function}"),
        "settle": {"stackId": stacks["Stacks"][0]["StackId"], "end": "a day ago", "round": 0},
        "result": {"progress": {
            "done": false, "seconds": 300, "startedAt": null, "attempts": [], "openedAt": null, "isClosing": false,
            "leftSince": "2026-11-22T12:00:00Z",
        }},
    });
    invoke(local, function, &event);
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:stagedb-database";
    let listed = local.aws(&["stepfunctions", "list-executions", "--state-machine-arn", machine]).unwrap();
    let names = jq(".executions[].name", &listed);
    assert!(
        names
            .iter()
            .any(|name| name.as_str().unwrap().ends_with("-1")
                && name.as_str().unwrap().starts_with("settle-")),
        "{names:?}"
    );
}

#[test]
fn a_rotation_that_fails_changes_nothing_and_leaves_no_login_behind() {
    let local = world();
    save_and_follow(&local, "dev", &with_login(true));
    settles(&local, "app_1");
    let first = secret(&local, "dev");
    let before = (service(&local, "dev")["taskDefinition"].clone(), container(&local, "dev"));

    for (family, reason) in [
        (format!("stagedb-{STACK}-dev-logins"), "The app login couldn't be set up"),
        (format!("stagedb-{STACK}-dev"), "The connection test failed"),
    ] {
        clients_are_killed(&local, &family);
        ask_to_rotate(&local, 202);
        let (rebuild, _) = follow(&local, "dev");
        assert_eq!(rebuild.phase, "rolled-back", "{rebuild:?}");
        let said = rebuild.reason.unwrap();
        assert!(said.starts_with(reason) && said.contains("was killed"), "{said}");
        clients_run_again(&local);
        settles(&local, "app_1");
        assert_eq!(secret(&local, "dev"), first);
        assert_eq!(enabled(&local), "app_1");
        assert_eq!((service(&local, "dev")["taskDefinition"].clone(), container(&local, "dev")), before);
    }
    rotate(&local);
    settles(&local, "app_2");
}

#[test]
fn a_switch_back_to_the_master_user_that_fails_is_rolled_back_and_can_be_repeated() {
    let local = world();
    save_and_follow(&local, "dev", &with_login(true));
    settles(&local, "app_1");
    let first = secret(&local, "dev");

    clients_are_killed(&local, &format!("stagedb-{STACK}-dev"));
    switch_back(&local);
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "rolled-back", "{rebuild:?}");
    clients_run_again(&local);
    settles(&local, "app_1");
    assert_eq!(secret(&local, "dev"), first);
    query(&first, "create table kept (row text)");

    switch_back(&local);
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "complete", "{rebuild:?}");
    settles(&local, "postgres");
    query(&secret(&local, "dev"), "drop table kept");
}

#[test]
fn only_a_created_database_with_the_app_login_is_rotated() {
    let local = world();
    let refused = |reason: &str| {
        let said = ask_to_rotate(&local, 409);
        assert!(said.contains(reason), "{said}");
    };
    refused("has no database");
    save(&local, "dev", &with_login(false), 202);
    follow(&local, "dev");
    refused("Turn on the app login first");
}

/// How many rotations the clients go through.
const ROTATIONS: usize = 20;
/// Connects 50 times per second with what running containers were given, in turn. Reads the credentials of all of them, a JSON list a
/// line, and prints how often it logged in and, a line each, why it didn't. A container that has stopped meanwhile doesn't count.
const CLIENTS: &str = r#"
import json, sys, threading, time
import psycopg2
held, version, over = [], 0, False
def read():
    global held, version, over
    for line in sys.stdin:
        held, version = json.loads(line), version + 1
    over = True
threading.Thread(target=read, daemon=True).start()
logins, failures, turn = 0, [], 0
while not over:
    began = time.monotonic()
    if held:
        turn += 1
        one = held[turn % len(held)]
        try:
            psycopg2.connect(host=one["host"], port=one["port"], dbname=one["dbname"], user=one["username"],
                             password=one["password"], sslmode="require", connect_timeout=10).close()
            logins += 1
        except psycopg2.OperationalError as error:
            seen = version
            while version < seen + 2 and not over:
                time.sleep(0.01)
            if one in held:
                failures.append(str(error).strip())
    time.sleep(max(0, 0.02 - (time.monotonic() - began)))
print(logins)
print("\n".join(failures))
"#;

/// What the running containers of the stage's service were given when they started.
fn held(local: &LocalAws, published: &mut Vec<(f64, Value)>) -> Vec<Value> {
    let body = json!({"SecretId": format!("dev-{STACK}-postgres")});
    let answer = local.post_json("secretsmanager.GetSecretValue", &body).unwrap();
    let value: Value = serde_json::from_str(answer["SecretString"].as_str().unwrap()).unwrap();
    if published.last().is_none_or(|(_, last)| *last != value) {
        published.push((answer["CreatedDate"].as_f64().unwrap(), value));
    }
    let service = service(local, "dev");
    let (cluster, name) = (&service["clusterArn"], &service["serviceName"]);
    let mut held: Vec<Value> = Vec::new();
    for status in ["RUNNING", "STOPPED"] {
        let filter = json!({"cluster": cluster, "serviceName": name, "desiredStatus": status});
        let listed = ecs(local, "ListTasks", &filter)["taskArns"].clone();
        if listed.as_array().unwrap().is_empty() {
            continue;
        }
        let described = ecs(local, "DescribeTasks", &json!({"cluster": cluster, "tasks": listed}));
        for task in
            described["tasks"].as_array().unwrap().iter().filter(|task| task["lastStatus"] != "STOPPED")
        {
            let created = task["createdAt"].as_f64().unwrap();
            let given = published.iter().rev().find(|(at, _)| *at <= created);
            held.extend(given.map(|(_, value)| value.clone()).filter(|value| !held.contains(value)));
        }
    }
    held
}

/// Ends the other threads, also if a check fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn containers_that_reconnect_all_the_time_see_no_failed_login_over_many_rotations_even_if_functions_are_killed()
 {
    let local = world();
    local.set_timings(&Timings { ecs_steady_seconds: Some(0.5), ..Timings::default() }).unwrap();
    save_and_follow(&local, "dev", &with_login(true));
    settles(&local, "app_1");
    let mut clients = Command::new(local.workspace().path(".local/venv/bin/python"));
    clients.args(["-c", CLIENTS]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut clients = clients.spawn().unwrap();
    let mut credentials = clients.stdin.take().unwrap();
    let is_over = AtomicBool::new(false);
    let (begun, deaths) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut published = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                writeln!(credentials, "{}", json!(held(&local, &mut published))).unwrap();
                thread::sleep(Duration::from_millis(100));
            }
            drop(credentials);
        });
        scope.spawn(|| {
            // Each rotation loses one function, up to twice: Lambda makes three attempts.
            let of_rotations = ["client-progress", "credentials-resource", "publish-variables"];
            let (mut of, mut left) = (0, 2);
            while !is_over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(500));
                let rotation = begun.load(Ordering::Relaxed);
                if rotation != of {
                    (of, left) = (rotation, 2);
                }
                let name = format!("AWS_LAMBDA_FUNCTION_NAME=stagedb-{} ", of_rotations[rotation % 3]);
                let found = processes(&local).into_iter().find(|(_, started)| started.contains(&name));
                if left > 0 && found.is_some_and(|(pid, _)| killed(pid)) {
                    left -= 1;
                    deaths.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let _ends = Ends(&is_over);
        for rotation in 0..ROTATIONS {
            begun.store(rotation, Ordering::Relaxed);
            rotate(&local);
            settles(&local, if rotation % 2 == 0 { "app_2" } else { "app_1" });
        }
    });
    let output = clients.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let (logins, failures) = printed.split_once('\n').unwrap();
    assert_eq!(failures.trim(), "", "after {logins} logins");
    assert!(logins.parse::<usize>().unwrap() > ROTATIONS * 100, "{logins} logins");
    assert!(deaths.load(Ordering::Relaxed) > ROTATIONS / 2, "{deaths:?} functions were killed");
    assert_eq!(enabled(&local), "app_1");
}

#[test]
fn the_migrations_of_django_run_as_the_app_login() {
    let local = world();
    save_and_follow(&local, "dev", &with_login(true));
    let project = local.workspace().path("local/tests/end_to_end/django");
    let project = project.to_str().unwrap();
    let manage = |command: &[&str]| {
        let django = ["python3", "-m", "django"];
        let options = ["--pythonpath", project, "--settings", "settings"];
        let command = [&django[..], command, &options].concat();
        let output = local.run_in_container(STACK, "dev", &command).unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
    };
    manage(&["migrate"]);
    manage(&["migrate", "shop", "0001"]);
    manage(&["migrate"]);
    manage(&["makemigrations", "--check"]);
    let app = secret(&local, "dev");
    assert_eq!(
        query(&app, "select string_agg(distinct tableowner, ',') from pg_tables where schemaname = 'public'"),
        "app"
    );
    assert_eq!(query(&app, "select extname from pg_extension where extname = 'pgcrypto'"), "pgcrypto");
}

#[test]
fn the_migrations_of_prisma_run_as_the_app_login() {
    let local = world();
    save_and_follow(&local, "dev", &with_login(true));
    let script = local.workspace().path("local/tests/end_to_end/prisma/check.mjs");
    let output = local.run_in_container(STACK, "dev", &["node", script.to_str().unwrap()]).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!(
        printed,
        json!({
            "login": "app_1 acts as app",
            "owners": ["app"],
            "migrations": ["0001_shop", "0002_cancellation"],
            "extensions": ["pgcrypto"],
            "isNothingLeftToApply": true,
            "orders": [{"status": "CANCELED", "note": "a duplicate"}],
        })
    );
}
