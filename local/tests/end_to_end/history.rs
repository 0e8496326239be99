//! Who changed what: the history, over HTTP, with its records in CloudWatch Logs.

use std::{thread, time::Duration};

use local::{LocalAws, Timings, User};
use serde_json::{Value, json};

use crate::deployments::deploy;
use crate::removal::update_stage_stack;
use crate::roles::protect;
use crate::world::{
    PASSWORD, STACK, eventually, follow, instance, micro, output, save, save_and_follow, settings,
    stage_path, their_instance, their_network, world,
};

/// All records of a stage, newest first, page by page.
fn history(local: &LocalAws, stage: &str, query: &str, limit: u32) -> Vec<Value> {
    let (mut records, mut token) = (Vec::new(), String::new());
    loop {
        let path = stage_path(stage, &format!("/history?limit={limit}{query}{token}"));
        let answer = local.api("GET", &path, None).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        records.extend(answer.body["records"].as_array().unwrap().clone());
        match answer.body["nextToken"].as_str() {
            Some(next) => token = format!("&nextToken={next}"),
            None => return records,
        }
    }
}

/// A record on one line, without what differs between two runs.
fn shown(record: &Value) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
    let mut words = vec![text("kind"), text("operation")];
    words.push(record["who"]["email"].as_str().unwrap_or("-").to_owned());
    words.push(record["who"]["address"].as_str().unwrap_or("-").to_owned());
    words.push(text("outcome"));
    for change in record["changes"].as_array().unwrap() {
        let side = |name: &str| change[name].as_str().unwrap_or("none").to_owned();
        words.push(format!(
            "{}: {} -> {}",
            change["setting"].as_str().unwrap(),
            side("before"),
            side("after")
        ));
    }
    words.extend(record["detail"].as_str().map(str::to_owned));
    words.join(" | ")
}

fn shown_all(records: &[Value]) -> String {
    records.iter().map(shown).collect::<Vec<_>>().join("\n")
}

/// Every line of the log group.
fn lines(local: &LocalAws) -> Vec<String> {
    let name = output(local, "HistoryLogGroup");
    let events = local.aws(&["logs", "filter-log-events", "--log-group-name", &name]).unwrap();
    let events = events["events"].as_array().unwrap().clone();
    events.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_history_says_who_changed_what_and_how_it_ended() {
    let local = world();
    let user = |name: &str, group: &str| local.user(&format!("{name}@example.com"), &[group]).unwrap();
    let (ann, bob) = (user("ann", "stagedb-editor"), user("bob", "stagedb-viewer"));
    let database = stage_path("dev", "/database");
    let put = |user: &User, body: &Value| {
        local.api_as(Some(&user.token), "PUT", &database, Some(body)).unwrap().status
    };
    assert_eq!(put(&ann, &micro()), 202);
    assert_eq!(put(&ann, &settings("db.t4g.small", 20)), 409, "a rebuild is running");
    follow(&local, "dev");
    assert_eq!(put(&bob, &settings("db.t4g.small", 20)), 403);
    assert_eq!(put(&ann, &settings("db.t4g.small", 20)), 202);
    follow(&local, "dev");
    assert_eq!(protect(&local, local.token(), "dev", true), 200);
    assert_eq!(
        protect(&local, local.token(), "dev", true),
        200,
        "it's protected already, so nothing changes"
    );
    assert_eq!(put(&ann, &micro()), 403);
    let all = history(&local, "dev", "", 100);
    insta::assert_snapshot!(shown_all(&all));
    for limit in [1, 2, 3] {
        let ids = |records: &[Value]| records.iter().map(|record| record["id"].clone()).collect::<Vec<_>>();
        assert_eq!(ids(&history(&local, "dev", "", limit)), ids(&all), "{limit} per page");
    }
    assert_eq!(history(&local, "dev", "&kind=denied", 2).len(), 2);
    assert_eq!(history(&local, "dev", "&who=Ann@example.com&operation=putDatabase", 2).len(), 3);
    for query in ["kind=other", "limit=0", "limit=101", "nextToken=garbage"] {
        let answer = local.api("GET", &stage_path("dev", &format!("/history?{query}")), None).unwrap();
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
    }
}

#[test]
fn without_a_record_nothing_starts() {
    let local = world();
    let before =
        local.api("GET", &stage_path("dev", "/database"), None).unwrap().header("etag").map(str::to_owned);
    for (operation, code) in
        [("PutLogEvents", "ServiceUnavailableException"), ("PutLogEvents", "AccessDeniedException")]
    {
        let fault =
            json!([{"service": "logs", "operation": operation, "code": code, "status": 400, "times": null}]);
        local.set_faults(&fault).unwrap();
        let refused = save(&local, "dev", &micro(), 503);
        assert_eq!(refused["type"], "urn:stagedb:problem:history-unavailable");
        assert_eq!(protect(&local, local.token(), "dev", true), 503);
        local.clear_faults().unwrap();
    }
    let answer = local.api("GET", &stage_path("dev", "/database"), None).unwrap();
    assert_eq!(answer.header("etag").map(str::to_owned), before, "the stack is as it was");
    let me = local.api("GET", &format!("/api/me?stack={STACK}&stage=dev"), None).unwrap();
    assert_eq!(me.body["stage"]["protected"], false);
    // A reply that's lost is repeated, which writes the line twice.
    let lost =
        json!([{"service": "logs", "operation": "PutLogEvents", "code": "x", "status": 500, "after": true}]);
    local.set_faults(&lost).unwrap();
    save_and_follow(&local, "dev", &micro());
    let saves = history(&local, "dev", "&operation=putDatabase", 100);
    assert_eq!(saves.len(), 1, "{saves:#?}");
    assert_eq!(lines(&local).iter().filter(|line| line.contains("putDatabase")).count(), 2);
}

#[test]
fn changes_made_outside_of_stagedb_show_up_as_such() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    assert_eq!(
        history(&local, "dev", "&kind=outside", 100),
        Vec::<Value>::new(),
        "not what stagedb does itself"
    );
    let outside = |words: &str| {
        let all = || history(&local, "dev", "&kind=outside", 100);
        let has = || all().iter().filter(|record| shown(record).contains(words)).count();
        eventually(words, || has() > 0);
        assert_eq!(has(), 1, "{}", shown_all(&all()));
    };
    let identifier = format!("{STACK}-dev-postgres");
    let modify =
        ["rds", "modify-db-instance", "--apply-immediately", "--db-instance-identifier", &identifier];
    local.aws(&[&modify[..], &["--db-instance-class", "db.m7g.large"]].concat()).unwrap();
    outside("instanceClass: db.t4g.micro -> db.m7g.large");

    deploy(&local, "test-django2-dev", "web:2");
    outside("The service demo/test-django2-dev was deployed with test-django2-dev:");

    update_stage_stack(&local, &[("Rebuild", "by-hand")]);
    outside("The stage stack was changed with CloudFormation.");

    // A moment after an operation, RDS's events can still be about it.
    thread::sleep(Duration::from_secs(16));
    local.aws(&[&modify[..], &["--no-deletion-protection"]].concat()).unwrap();
    eventually("it isn't protected", || instance(&local, "dev").unwrap()["DeletionProtection"] == false);
    let delete =
        ["rds", "delete-db-instance", "--skip-final-snapshot", "--db-instance-identifier", &identifier];
    local.aws(&delete).unwrap();
    outside("DB instance deleted.");
}

#[test]
fn no_secret_and_no_control_character_reaches_the_history() {
    let local = world();
    their_instance(&local, "orders", &their_network(&local));
    let mut typed = json!({
        "source": "attached", "identifier": "orders", "databaseName": "app",
        "credentials": {"username": "theirs", "password": "wRong\n\u{1b}[31mSeCrEt-0815"},
    });
    let answer = local.api("PUT", &stage_path("dev", "/database"), Some(&typed)).unwrap();
    assert!([202, 422].contains(&answer.status), "{}", answer.text);
    typed["credentials"]["password"] = json!(PASSWORD);
    typed["databaseName"] = json!("a\nb\u{202e}");
    let answer = local.api("PUT", &stage_path("dev", "/database"), Some(&typed)).unwrap();
    assert!([202, 409, 422].contains(&answer.status), "{}", answer.text);
    let all = lines(&local);
    assert!(!all.is_empty());
    for line in all {
        assert!(!line.contains("SeCrEt-0815") && !line.contains('\u{1b}') && !line.contains('\n'), "{line}");
        assert!(!line.contains("eyJ"), "no token: {line}");
    }
    let logs = local.function_logs().unwrap();
    assert!(!logs.contains("SeCrEt-0815") && !logs.contains("eyJ"), "nor any log");
}

#[test]
fn twenty_users_at_once_are_all_in_the_history_once() {
    let local = world();
    local.set_timings(&Timings { rds_create_seconds: Some(0.1), ..Timings::default() }).unwrap();
    let viewer = local.user("viewer@example.com", &["stagedb-viewer"]).unwrap();
    let fault = json!([{
        "service": "logs", "operation": "PutLogEvents", "code": "x", "status": 500, "times": 20, "after": true,
    }]);
    local.set_faults(&fault).unwrap();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let send = |user: usize| {
            let (local, viewer) = (&local, &viewer);
            move || {
                let one = |number: usize| {
                    let path = stage_path("dev", "/protection");
                    let token = if user.is_multiple_of(2) { local.token() } else { &viewer.token };
                    let body = json!({"protected": number.is_multiple_of(2)});
                    local.api_as(Some(token), "PUT", &path, Some(&body)).unwrap().status
                };
                (0..10_usize).map(one).collect::<Vec<_>>()
            }
        };
        let users: Vec<_> = (0..20_usize).map(|user| scope.spawn(send(user))).collect();
        users.into_iter().flat_map(|user| user.join().unwrap()).collect()
    });
    let denied = history(&local, "dev", "&kind=denied", 30);
    assert_eq!(denied.len(), statuses.iter().filter(|status| **status == 403).count());
    let changes = history(&local, "dev", "&operation=putProtection&kind=change", 30);
    let name = format!("/stagedb-protection/{STACK}/dev");
    let versions = local.aws(&["ssm", "get-parameter-history", "--name", &name]).unwrap();
    let versions = versions["Parameters"].as_array().unwrap().len();
    let complete = changes.iter().filter(|record| record["outcome"] == "complete").count();
    assert_eq!(complete, versions.min(100), "{statuses:?}");
}
