//! Every refusal, verbatim. What would fail or lose data is refused before anything starts, by a save and by its
//! preview alike.

use std::fmt::Write as _;

use local::LocalAws;
use serde_json::{Value, json};

use crate::world::{
    THEIR_PASSWORD, eventually, follow, instance, micro, remove, save, save_and_follow, settings, shown,
    stage_path, their_instance, their_network, world,
};

/// The refusals, one or more lines each.
struct Table<'a> {
    local: &'a LocalAws,
    text: String,
    cases: usize,
}

impl Table<'_> {
    /// Checks that a save and its preview are refused with the same message.
    fn save(&mut self, what: &str, body: &Value) {
        let put = self.call(what, "PUT", &stage_path("dev", "/database"), &[], body);
        let preview =
            self.local.api_with("POST", &stage_path("dev", "/database/preview"), &[], Some(body)).unwrap();
        assert_eq!(without_id(&preview.body), put, "{what}: the preview says the same");
    }

    /// Checks a save of a valid body with one field replaced.
    fn field(&mut self, field: &str, value: Value) {
        let mut body = micro();
        let what = format!("{field} = {}", shortened(&value));
        body[field] = value;
        self.save(&what, &body);
    }

    fn call(
        &mut self,
        what: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Value {
        let answer = self.local.api_with(method, path, headers, (!body.is_null()).then_some(body)).unwrap();
        assert!((400..500).contains(&answer.status), "{what}: {} {}", answer.status, answer.text);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        let kind = answer.body["type"].as_str().unwrap().trim_start_matches("urn:stagedb:problem:");
        writeln!(
            self.text,
            "{what}\n  {} {kind}: {}",
            answer.status,
            answer.body["detail"].as_str().unwrap()
        )
        .unwrap();
        let errors = answer.body["errors"].as_array().into_iter().flatten();
        for error in errors.filter(|_| answer.body["detail"] == "Several fields aren't valid.") {
            let (pointer, detail) = (error["pointer"].as_str().unwrap(), error["detail"].as_str().unwrap());
            writeln!(self.text, "    {pointer} {detail}").unwrap();
        }
        self.cases += 1;
        without_id(&answer.body)
    }

    fn heading(&mut self, what: &str) {
        writeln!(self.text, "\n# {what}\n").unwrap();
    }
}

fn without_id(body: &Value) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().remove("requestId");
    body
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 { text.chars().take(57).collect::<String>() + "..." } else { text }
}

/// The number of stack events, and the DB instances. A refusal must change neither.
fn world_as_it_is(local: &LocalAws) -> (usize, Value) {
    let events =
        local.aws(&["cloudformation", "describe-stack-events", "--stack-name", "test-django2-dev"]).unwrap();
    (events["StackEvents"].as_array().unwrap().len(), local.aws(&["rds", "describe-db-instances"]).unwrap())
}

#[test]
fn every_refusal_has_a_reason_and_changes_nothing() {
    let local = world();
    let group = their_network(&local);
    their_instance(&local, "orders", &group);
    let mut table = Table { local: &local, text: String::new(), cases: 0 };
    let before = world_as_it_is(&local);

    names_and_addresses(&mut table);
    values_of_a_new_database(&mut table);
    attachments(&mut table);
    conditions_and_confirmations(&mut table);
    assert_eq!(world_as_it_is(&local), before, "the refusals have changed nothing");

    a_created_database(&mut table, &local);
    a_removed_database(&mut table, &local);
    an_attached_database(&mut table, &local);

    assert!(table.cases >= 40, "{}", table.cases);
    let logs = local.function_logs().unwrap();
    for secret in ["hunter2", THEIR_PASSWORD, "drop table", "$(reboot)"] {
        assert!(!logs.contains(secret), "{secret} of a body is in a log");
    }
    insta::assert_snapshot!("refusals", table.text);
}

fn names_and_addresses(table: &mut Table<'_>) {
    table.heading("Names and addresses");
    for path in [
        "/api/stacks/test-django2/stages/staging/database",
        "/api/stacks/another/stages/dev/database",
        "/api/stacks/Test/stages/dev/database",
        "/api/stacks/test--django2/stages/dev/database",
        "/api/stacks/test-django2/stages/a-stage-that-is-too-long/database",
        "/api/stacks/test-django2/stages/d%C3%A9v/database",
        "/api/stacks/%24%28reboot%29/stages/dev/database",
        "/api/nothing",
        "/api/databases?stack=test-django2",
        "/api/databases?nextToken=i%3Cnonsense%3E",
        "/api/instance-classes?engineVersion=latest",
    ] {
        table.call(&format!("GET {path}"), "GET", path, &[], &Value::Null);
    }
    let path = stage_path("dev", "/database/preview");
    table.call("GET a preview", "GET", &path, &[], &Value::Null);
}

fn values_of_a_new_database(table: &mut Table<'_>) {
    table.heading("A new database");
    table.save("nothing at all", &json!({}));
    table.save("only the source", &json!({"source": "created"}));
    for (field, value) in [
        ("source", json!("restored")),
        ("instanceClass", json!("t4g.micro")),
        ("instanceClass", json!("db.z9.huge")),
        ("instanceClass", json!("$(reboot)")),
        ("instanceClass", json!(4)),
        ("storageGiB", json!(19)),
        ("storageGiB", json!(65_537)),
        ("storageGiB", json!("20")),
        ("storageGiB", json!(20.5)),
        ("maxStorageGiB", json!(21)),
        ("maxStorageGiB", json!(true)),
        ("multiAz", json!("yes")),
        ("backupRetentionDays", json!(0)),
        ("backupRetentionDays", json!(36)),
        ("engineVersion", json!("latest")),
        ("engineVersion", json!("9")),
        ("apply", json!("tomorrow")),
        ("apply", json!("maintenance-window")),
        ("databaseName", json!("App")),
        ("databaseName", json!("a'; drop table users; --")),
        ("databaseName", json!("数据库")),
        ("databaseName", json!("select")),
        ("fromSnapshot", json!("no/snapshot")),
        ("fromSnapshot", json!("somebody-elses-snapshot")),
        ("confirm", json!("")),
        ("password", json!("hunter2")),
    ] {
        table.field(field, value);
    }
}

fn attachments(table: &mut Table<'_>) {
    table.heading("An existing database");
    let typed = json!({"username": "clerk", "password": THEIR_PASSWORD});
    let attach = |identifier: &str, credentials: &Value| json!({"source": "attached", "identifier": identifier, "databaseName": "orders", "credentials": credentials});
    table.save(
        "without credentials",
        &json!({"source": "attached", "identifier": "orders", "databaseName": "orders"}),
    );
    table.save("nothing but the source", &json!({"source": "attached"}));
    table.save("one that doesn't exist", &attach("bills", &typed));
    table.save("an identifier that isn't valid", &attach("Orders;", &typed));
    let mut body = attach("orders", &typed);
    body["kind"] = json!("table");
    table.save("an unknown kind", &body);
    body["kind"] = json!("cluster");
    table.save("a cluster with that identifier", &body);
    body = attach("orders", &typed);
    body["databaseName"] = json!("a b");
    table.save("a name that needs quotes", &body);
    body["instanceClass"] = json!("db.t4g.micro");
    table.save("an instance class", &body);
    for (what, credentials) in [
        ("a secret that isn't an ARN", json!({"secretArn": "orders"})),
        (
            "a secret that doesn't exist",
            json!({"secretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:nothing-AbCdEf"}),
        ),
        (
            "another account's secret",
            json!({"secretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders-AbCdEf"}),
        ),
        (
            "another Region's secret",
            json!({"secretArn": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:orders-AbCdEf"}),
        ),
        ("a password without a user", json!({"password": "hunter2"})),
        ("a user of 99 characters", json!({"username": "x".repeat(99), "password": "hunter2"})),
        ("an empty password", json!({"username": "clerk", "password": ""})),
        ("a password with a line break", json!({"username": "clerk", "password": "hunter2\n"})),
        ("an unknown key", json!({"username": "clerk", "password": "hunter2", "token": "hunter2"})),
        (
            "a secret and a password",
            json!({
                "secretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:nothing-AbCdEf", "password": "hunter2",
            }),
        ),
        ("credentials that aren't an object", json!("hunter2")),
    ] {
        table.save(what, &attach("orders", &credentials));
    }
    let local = table.local;
    let secret = |name: &str, value: &str| {
        let token = format!("the-first-version-of-{name:0>20}");
        let tags = json!([{"Key": "stagedb:attachable", "Value": (name != "untagged").to_string()}]);
        let body = json!({"Name": name, "SecretString": value, "ClientRequestToken": token, "Tags": tags});
        let made = local.post_json("secretsmanager.CreateSecret", &body).unwrap();
        json!({"secretArn": made["ARN"]})
    };
    let theirs = json!({"username": "clerk", "password": "theirs"}).to_string();
    table.save("a secret without the tag", &attach("orders", &secret("untagged", &theirs)));
    table.save("a secret that isn't JSON", &attach("orders", &secret("plain", "hunter2")));
    table.save("a secret without a password", &attach("orders", &secret("half", "{\"username\":\"clerk\"}")));
    table.save(
        "a secret with a number",
        &attach("orders", &secret("number", "{\"username\":\"clerk\",\"password\":1}")),
    );
    let own =
        local.api("GET", &stage_path("dev", "/runtime-variables"), None).unwrap().body["secretArn"].clone();
    table.save("its own secret", &attach("orders", &json!({"secretArn": own})));
}

fn conditions_and_confirmations(table: &mut Table<'_>) {
    table.heading("Conditions and confirmations");
    let path = stage_path("dev", "/database");
    table.call(
        "a stale If-Match",
        "PUT",
        &path,
        &[("If-Match", "\"0123456789abcdef0123456789abcdef\"")],
        &micro(),
    );
    table.call("a key that is too long", "PUT", &path, &[("Idempotency-Key", &"k".repeat(129))], &micro());
    table.call("a key that can be guessed", "PUT", &path, &[("Idempotency-Key", "1")], &micro());
    table.call(
        "a key with a space",
        "POST",
        &stage_path("dev", "/rebuild"),
        &[("Idempotency-Key", "a key with a space in it")],
        &Value::Null,
    );
    table.call(
        "a removal of nothing",
        "DELETE",
        &path,
        &[],
        &json!({"confirm": "test-django2-dev-postgres"}),
    );
    table.call("a removal without a confirmation", "DELETE", &path, &[], &json!({}));
    table.call("a list as the body", "PUT", &path, &[], &json!([]));
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let long = "x".repeat(10_000_000);
    for (what, content_type, body) in [
        ("a body that is too deep", "application/json", deep.as_str()),
        ("a body of 10 MB", "application/json", long.as_str()),
        ("a body that isn't JSON", "application/json", "hunter2"),
        ("a form", "application/x-www-form-urlencoded", "source=created"),
    ] {
        let token = format!("Bearer {}", table.local.token());
        let headers = [("Authorization", token.as_str()), ("Content-Type", content_type)];
        let answer = table.local.api_raw("PUT", &path, &headers, body.as_bytes().to_vec()).unwrap();
        assert!((400..500).contains(&answer.status), "{what}: {}", answer.status);
        let detail = answer.body["detail"].as_str().unwrap_or("(API Gateway's own answer)");
        writeln!(table.text, "{what}\n  {} {detail}", answer.status).unwrap();
        table.cases += 1;
    }
}

fn a_created_database(table: &mut Table<'_>, local: &LocalAws) {
    table.heading("A database that stagedb created");
    save(local, "dev", &micro(), 202);
    table.save("while a rebuild runs", &settings("db.t4g.small", 20));
    table.call("a rebuild while one runs", "POST", &stage_path("dev", "/rebuild"), &[], &Value::Null);
    assert_eq!(follow(local, "dev").0.phase, "complete");
    for (field, value) in [
        ("databaseName", json!("other")),
        ("storageGiB", json!(21)),
        ("maxStorageGiB", json!(21)),
        ("instanceClass", json!("db.z9.huge")),
        ("engineVersion", json!("16")),
        ("engineVersion", json!("17.99")),
        ("engineVersion", json!("18")),
        ("fromSnapshot", json!("test-django2-dev-postgres-20200101-000000-1")),
    ] {
        table.field(field, value);
    }
    let mut body = micro();
    body["storageGiB"] = json!(21);
    body["databaseName"] = json!("other");
    table.save("two things at once", &body);
    let typed = json!({"username": "clerk", "password": THEIR_PASSWORD});
    let attach =
        json!({"source": "attached", "identifier": "orders", "databaseName": "orders", "credentials": typed});
    table.save("attaching another database directly", &attach);
    table.call("deleting its stage", "DELETE", &stage_path("dev", ""), &[], &Value::Null);
    table.call(
        "a removal with another confirmation",
        "DELETE",
        &stage_path("dev", "/database"),
        &[],
        &json!({"confirm": "test-django2-prod-postgres"}),
    );
    let grown = json!({"allocated_storage": 30, "status": "available"});
    local.control("PUT", "/_local/rds/instances/test-django2-dev-postgres", Some(&grown)).unwrap();
    eventually("it has grown", || shown(local, "dev")["live"]["storageGiB"] == 30);
    eventually("it is available", || shown(local, "dev")["state"] == "available");
    table.field("storageGiB", json!(25));
    for status in ["stopped", "incompatible-parameters", "backing-up"] {
        local
            .control(
                "PUT",
                "/_local/rds/instances/test-django2-dev-postgres",
                Some(&json!({"status": status})),
            )
            .unwrap();
        table.save(&format!("a change while it is {status}"), &settings("db.t4g.small", 20));
    }
    let back = json!({"status": "available"});
    local.control("PUT", "/_local/rds/instances/test-django2-dev-postgres", Some(&back)).unwrap();
}

fn a_removed_database(table: &mut Table<'_>, local: &LocalAws) {
    table.heading("A snapshot of 30 GiB, version 17.5, with the database app");
    remove(local, "dev", "test-django2-dev-postgres");
    eventually("it is gone", || instance(local, "dev").is_none());
    let snapshots = local.api("GET", &stage_path("dev", "/snapshots"), None).unwrap().body;
    let id = snapshots["snapshots"][0]["identifier"].as_str().unwrap().to_owned();
    let restore =
        json!({"source": "created", "instanceClass": "db.t4g.micro", "storageGiB": 30, "fromSnapshot": id});
    for (field, value) in [
        ("storageGiB", json!(20)),
        ("storageGiB", json!(31)),
        ("databaseName", json!("other")),
        ("engineVersion", json!("16")),
        ("engineVersion", json!("18")),
    ] {
        let mut body = restore.clone();
        let what = format!("restored with {field} = {value}");
        body[field] = value;
        table.save(&what, &body);
    }
    let of_another = stage_path("prod", "/database");
    table.call("another stage's snapshot", "PUT", &of_another, &[], &{
        let mut body = restore.clone();
        body["fromSnapshot"] = json!("test-django2-dev-postgres-x");
        body
    });
}

fn an_attached_database(table: &mut Table<'_>, local: &LocalAws) {
    table.heading("An attached database");
    let typed = json!({"username": "clerk", "password": THEIR_PASSWORD});
    let attach =
        json!({"source": "attached", "identifier": "orders", "databaseName": "orders", "credentials": typed});
    save_and_follow(local, "dev", &attach);
    table.save("creating a database directly", &micro());
    table.save(
        "another one without its credentials",
        &json!({"source": "attached", "identifier": "test-django2-dev-postgres", "databaseName": "orders"}),
    );
    let confirm = json!({"confirm": "test-django2-dev-postgres"});
    table.call(
        "a removal with another confirmation",
        "DELETE",
        &stage_path("dev", "/database"),
        &[],
        &confirm,
    );
    remove(local, "dev", "orders");

    save_and_follow(local, "prod", &micro());
    let mut of_prod = attach.clone();
    of_prod["identifier"] = json!("test-django2-prod-postgres");
    table.save("one that stagedb created for another stage", &of_prod);
    local.control("PUT", "/_local/rds/instances/orders", Some(&json!({"status": "stopped"}))).unwrap();
    table.save("one that is stopped", &attach);
}
