//! Who can do what, over HTTP with the tokens of real users.

use std::fmt::Write as _;

use local::{LocalAws, Timings, User};
use serde_json::{Value, json};

use crate::world::{STACK, follow, micro, save, save_and_follow, settings, stage_path, world};

/// Every operation of the API: its ID, its method, and its path on the stage `dev`.
fn operations() -> Vec<(String, String, String)> {
    let openapi: Value = serde_json::from_str(include_str!("../../../openapi.json")).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            let path = path.replace("{stack}", STACK).replace("{stage}", "dev");
            operations.push((id, method.to_uppercase(), path));
        }
    }
    operations.sort();
    operations
}

/// Sends a request that changes nothing even if the role is enough: its body isn't valid, or its condition doesn't hold.
fn attempt(local: &LocalAws, user: &User, method: &str, path: &str) -> (u16, Value) {
    let authorization = format!("Bearer {}", user.token);
    let mut headers = vec![("Authorization", authorization.as_str()), ("If-Match", "\"other\"")];
    let mut body = Vec::new();
    if method != "GET" {
        headers.push(("Content-Type", "application/json"));
        body = b"{}".to_vec();
    }
    let answer = local.api_raw(method, path, &headers, body).unwrap();
    (answer.status, answer.body)
}

pub(crate) fn protect(local: &LocalAws, token: &str, stage: &str, protected: bool) -> u16 {
    let body = json!({"protected": protected});
    local.api_as(Some(token), "PUT", &stage_path(stage, "/protection"), Some(&body)).unwrap().status
}

#[test]
fn every_operation_is_allowed_or_denied_by_role_and_protection() {
    let local = world();
    let user = |name: &str, groups: &[&str]| local.user(&format!("{name}@example.com"), groups).unwrap();
    let users = [
        ("none", user("none", &["developers"])),
        ("viewer", user("viewer", &["stagedb-viewer"])),
        ("editor", user("editor", &["stagedb-editor"])),
        ("admin", user("admin", &["stagedb-admin"])),
    ];
    let mut table = format!("{:22}", "");
    for protection in ["", "protected "] {
        for (name, _) in &users {
            write!(table, "{:18}", format!("{protection}{name}")).unwrap();
        }
    }
    let mut lines: Vec<String> = operations().iter().map(|(id, _, _)| format!("{id:22}")).collect();
    for protected in [false, true] {
        assert_eq!(protect(&local, local.token(), "dev", protected), 200);
        for (_, user) in &users {
            for (line, (id, method, path)) in lines.iter_mut().zip(operations()) {
                let (status, body) = attempt(&local, user, &method, &path);
                // Nothing is started, whatever the role is.
                assert_ne!(status, 202, "{id}");
                assert!(status != 500 && status != 503 && status != 401, "{id}: {status} {body}");
                let is_forbidden = body["type"] == "urn:stagedb:problem:forbidden";
                assert_eq!(status == 403, is_forbidden, "{id}: {status} {body}");
                write!(line, "{:18}", if is_forbidden { "-" } else { "allowed" }).unwrap();
            }
        }
    }
    let lines = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(format!("{}\n{lines}", table.trim_end()));
}

#[test]
fn a_role_on_one_stack_is_none_on_a_stack_with_a_similar_name_and_names_are_compared_exactly() {
    let local = world();
    let path = stage_path("dev", "/database");
    let role_of = |user: &User| {
        let query = format!("/api/me?stack={STACK}&stage=dev");
        let me = local.api_as(Some(&user.token), "GET", &query, None).unwrap();
        assert_eq!(me.status, 200, "{}", me.text);
        me.body["stage"]["role"].clone()
    };
    let mut number = 0;
    let mut user = |group: &str| {
        number += 1;
        local.user(&format!("user{number}@example.com"), &[group]).unwrap()
    };
    let of_stack = user(&format!("stagedb-editor:{STACK}"));
    assert_eq!(role_of(&of_stack), "editor");
    assert_eq!(attempt(&local, &of_stack, "PUT", &path).0, 422, "the role is enough");
    assert_eq!(attempt(&local, &of_stack, "DELETE", &path).0, 403);
    let listed = local.api_as(Some(&of_stack.token), "GET", "/api/stacks", None).unwrap();
    assert_eq!(listed.body["stacks"][0]["name"], STACK);
    for group in [
        "stagedb-admin:test-django",
        "stagedb-admin:test-django2-b",
        "stagedb-admin:Test-django2",
        "stagedb-Admin",
        "stagedb-\u{430}dmin",
        "stagedb\u{2010}admin",
        "stagedb-admins",
        "xstagedb-admin",
        "stagedb-admin:*",
        "[stagedb-admin]",
        "\"stagedb-admin\"",
        "x,stagedb-admin",
    ] {
        let other = user(group);
        assert_eq!(role_of(&other), Value::Null, "{group}");
        assert_eq!(attempt(&local, &other, "GET", &path).0, 403, "{group}");
        let listed = local.api_as(Some(&other.token), "GET", "/api/stacks", None).unwrap();
        let sees_nothing = listed.status == 403 || listed.body["stacks"].as_array().unwrap().is_empty();
        assert!(sees_nothing, "{group}: {}", listed.text);
    }
}

#[test]
fn claims_that_are_unusual_grant_nothing() {
    let local = world();
    let user = local.user("user@example.com", &["stagedb-viewer"]).unwrap();
    let status = |claims: &Value, method: &str| {
        let token = local.token_with(&user.token, claims).unwrap();
        let user = User { token, ..user.clone() };
        attempt(&local, &user, method, &stage_path("dev", "/database")).0
    };
    let groups = |groups: Value| json!({"cognito:groups": groups});
    assert_eq!(status(&groups(json!(["stagedb-editor"])), "PUT"), 422, "the role is enough");
    assert_eq!(status(&groups(json!("stagedb-editor")), "PUT"), 422, "one group as text");
    for unusual in [
        json!(null),
        json!([]),
        json!(""),
        json!(["stagedb-editor", 7]),
        json!([["stagedb-editor"]]),
        json!({"stagedb-editor": true}),
        json!(7),
        json!(true),
        json!(["x stagedb-editor"]),
        json!(["stagedb-editor "]),
        json!(["stagedb-editor\n"]),
        json!(["STAGEDB-EDITOR"]),
        json!("x stagedb-editor"),
        json!("[stagedb-editor"),
    ] {
        assert_eq!(status(&groups(unusual.clone()), "GET"), 403, "{unusual}");
    }
    for without in ["sub", "jti"] {
        assert_ne!(status(&json!({without: null}), "GET"), 200, "without {without}");
    }
    let (head, _) = user.token.rsplit_once('.').unwrap();
    let (header, _) = head.split_once('.').unwrap();
    let other = local.token_with(&user.token, &groups(json!(["stagedb-admin"]))).unwrap();
    let payload = other.split('.').nth(1).unwrap();
    let signature = user.token.rsplit('.').next().unwrap();
    let forged = User { token: format!("{header}.{payload}.{signature}"), ..user.clone() };
    assert_eq!(attempt(&local, &forged, "GET", "/api/stacks").0, 401, "the signature is of other claims");
}

#[test]
fn what_is_running_finishes_and_the_next_request_follows_the_new_rule() {
    let local = world();
    local.set_timings(&Timings { rds_create_seconds: Some(3.0), ..Timings::default() }).unwrap();
    let editor = local.user("editor@example.com", &["stagedb-editor"]).unwrap();
    let path = stage_path("dev", "/database");
    let put = |token: &str, class: &str| {
        local.api_as(Some(token), "PUT", &path, Some(&settings(class, 20))).unwrap()
    };
    assert_eq!(put(&editor.token, "db.t4g.micro").status, 202);
    assert_eq!(protect(&local, local.token(), "dev", true), 200, "while the stage is being rebuilt");
    let denied = put(&editor.token, "db.t4g.small");
    assert_eq!(denied.status, 403);
    let detail = denied.body["detail"].as_str().unwrap();
    assert!(detail.contains("protected") && detail.contains("stagedb-admin"), "{detail}");
    assert_eq!(follow(&local, "dev").0.phase, "complete", "the rebuild isn't disturbed");

    assert_eq!(protect(&local, local.token(), "dev", false), 200);
    assert_eq!(put(&editor.token, "db.t4g.small").status, 202);
    let pool = &local.running().user_pool_id;
    let group = ["--user-pool-id", pool, "--username", &editor.email, "--group-name", "stagedb-editor"];
    local.aws(&[&["cognito-idp", "admin-remove-user-from-group"][..], &group].concat()).unwrap();
    assert_eq!(follow(&local, "dev").0.phase, "complete", "the rebuild isn't disturbed");
    let token = local.sign_in(&editor).unwrap();
    assert_eq!(put(&token, "db.t4g.micro").status, 403);
}

#[test]
fn a_deleted_stage_is_not_protected_when_it_is_registered_again() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    assert_eq!(protect(&local, local.token(), "prod", true), 200);
    let registration = local.api("GET", &stage_path("prod", ""), None).unwrap().body;
    assert_eq!(registration["protected"], true);
    assert_eq!(local.api("DELETE", &stage_path("prod", ""), None).unwrap().status, 202);
    crate::world::eventually("the stage is deleted", || {
        local.api("GET", &stage_path("prod", ""), None).unwrap().status == 404
    });
    let query = format!("/api/me?stack={STACK}&stage=prod");
    crate::world::eventually("it isn't protected", || {
        local.api("GET", &query, None).unwrap().body["stage"]["protected"] == false
    });
    save(&local, "dev", &micro(), 200);
}

#[test]
fn signing_out_everywhere_ends_the_sessions_of_one_user() {
    let local = world();
    let user = local.user("user@example.com", &["stagedb-viewer"]).unwrap();
    let (pool, client) = (&local.running().user_pool_id, &local.running().user_pool_client_id);
    let sign_in = |user: &User| {
        let parameters = format!("USERNAME={},PASSWORD={}", user.email, user.password);
        let start = ["cognito-idp", "admin-initiate-auth", "--user-pool-id", pool, "--client-id", client];
        let flow = ["--auth-flow", "ADMIN_USER_PASSWORD_AUTH", "--auth-parameters", &parameters];
        let answer = local.aws(&[&start[..], &flow].concat()).unwrap();
        answer["AuthenticationResult"]["RefreshToken"].as_str().unwrap().to_owned()
    };
    let renew = |refresh: &str| {
        let parameters = format!("REFRESH_TOKEN={refresh}");
        let start = ["cognito-idp", "admin-initiate-auth", "--user-pool-id", pool, "--client-id", client];
        let flow = ["--auth-flow", "REFRESH_TOKEN_AUTH", "--auth-parameters", &parameters];
        local.aws(&[&start[..], &flow].concat()).is_ok()
    };
    let other = local.user("other@example.com", &["stagedb-viewer"]).unwrap();
    let (mine, theirs) = (sign_in(&user), sign_in(&other));
    assert!(renew(&mine));
    let answer = local.api_as(Some(&user.token), "POST", "/api/me/sign-out", None).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(!renew(&mine), "the session has ended");
    assert!(renew(&theirs), "someone else's hasn't");
}
