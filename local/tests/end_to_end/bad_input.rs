//! Invalid input is refused, and the stage stays as it was.

use serde_json::{Value, json};

use crate::world::{container, instance, micro, save, save_and_follow, settings, stage_path, world};

#[test]
fn an_impossible_change_is_refused_with_a_reason_before_anything_changes() {
    let local = world();
    let stack =
        || local.aws(&["cloudformation", "describe-stacks", "--stack-name", "test-django2-dev"]).unwrap();
    let detail = |answer: Value| answer["detail"].as_str().unwrap().to_owned();
    let before = (stack(), container(&local, "dev"));

    let class = detail(save(&local, "dev", &settings("db.t4g.gigantic", 20), 422));
    let expected =
        "must be a DB instance class that RDS offers in this Region for PostgreSQL 17 with gp3 storage.";
    assert_eq!(class, format!("/instanceClass {expected}"));
    assert_eq!(
        detail(save(&local, "dev", &settings("db.t4g.micro", 5), 422)),
        "/storageGiB must be 20 to 65536 GiB, not 5."
    );
    let unknown = local.api("PUT", "/api/stacks/nobody/stages/dev/database", Some(&micro())).unwrap();
    assert_eq!(unknown.status, 404);
    let words = "The stage nobody/dev isn't registered. Register it with PUT /api/stacks/nobody/stages/dev.";
    assert_eq!(detail(unknown.body), words);
    let huge = json!({"source": "x".repeat(100_000)});
    assert_eq!(save(&local, "dev", &huge, 413)["title"], "The body can't be read");
    assert_eq!((stack(), container(&local, "dev")), before);
    assert_eq!(instance(&local, "dev"), None);

    save_and_follow(&local, "dev", &settings("db.t4g.micro", 100));
    let before = stack();
    let shrunk = detail(save(&local, "dev", &settings("db.t4g.micro", 50), 422));
    assert_eq!(shrunk, "/storageGiB can't be decreased. It's 100 GiB now.");
    let little = detail(save(&local, "dev", &settings("db.t4g.micro", 105), 422));
    assert_eq!(little, "/storageGiB must increase by at least 10%, to 110 GiB or more. It's 100 GiB now.");
    let mut renamed = settings("db.t4g.micro", 100);
    renamed["databaseName"] = json!("other");
    assert_eq!(
        detail(save(&local, "dev", &renamed, 422)),
        "/databaseName can't be changed. The database was created as app."
    );
    assert_eq!(stack(), before);
}

#[test]
fn during_a_rebuild_another_save_is_refused_with_a_link_to_the_rebuild() {
    let local = world();
    save(&local, "dev", &micro(), 202);
    let answer =
        local.api("PUT", &stage_path("dev", "/database"), Some(&settings("db.t4g.small", 20))).unwrap();
    assert_eq!(answer.status, 409, "{}", answer.text);
    assert_eq!(answer.body["rebuild"], stage_path("dev", "/rebuild"));
    assert_eq!(answer.header("location"), Some(stage_path("dev", "/rebuild").as_str()));
}

#[test]
fn a_stage_is_registered_once_and_only_with_services_that_can_have_a_database() {
    let local = world();
    let register = |path: &str, services: &[(&str, &str)]| {
        let service = |(name, container): &(&str, &str)| json!({"cluster": "demo", "name": name, "container": container});
        let services: Vec<_> = services.iter().map(service).collect();
        let answer = local.api("PUT", path, Some(&json!({"services": services}))).unwrap();
        (answer.status, answer.body["detail"].as_str().unwrap_or_default().to_owned())
    };
    let prod = "/api/stacks/test-django2/stages/prod";
    let (web, shop) = (("test-django2-prod", "web"), "/api/stacks/shop/stages/dev");
    assert_eq!(register(prod, &[web]), (200, String::new()), "a repeat changes nothing");
    for (services, expected) in [
        (
            &[("nobody", "web")][..],
            "/services/0/name must be the name of an active ECS service in the cluster. The cluster demo has no active service \
             nobody.",
        ),
        (
            &[web, web],
            "/services/1/name lists the service test-django2-prod in the cluster demo a second time. List it once.",
        ),
        (
            &[("test-django2-dev", "nobody")],
            "/services/0/container must be a container in the task definition of test-django2-dev: web.",
        ),
        (
            &[("test-django2-dev", "web")],
            "/services/0/name must be a service that no other stage uses. test-django2-dev belongs to the stage \
             test-django2/dev.",
        ),
        (&[], "/services must have 1 to 20 services, not 0."),
    ] {
        assert_eq!(register(shop, services), (422, expected.to_owned()));
    }
    let (status, detail) = register("/api/stacks/test/stages/django2-dev", &[("test-django2-dev", "web")]);
    assert_eq!(status, 409);
    assert!(
        detail.starts_with(
            "The stage test-django2/dev already uses the CloudFormation stack name test-django2-dev"
        ),
        "{detail}"
    );
    let missing = local.api("GET", "/api/stacks/shop/stages/dev", None).unwrap();
    assert_eq!(missing.status, 404, "nothing was started");
}

#[test]
fn a_job_is_registered_only_with_a_family_and_a_container_that_exist() {
    let local = world();
    let register = |family: &str, container: &str| {
        let services = json!([{"cluster": "demo", "name": "test-django2-prod", "container": "web"}]);
        let body = json!({"services": services, "jobs": [{"family": family, "container": container}]});
        let answer = local.api("PUT", &stage_path("prod", ""), Some(&body)).unwrap();
        (answer.status, answer.body["detail"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(
        register("nobody", "web"),
        (
            422,
            "/jobs/0/family must be a family of task definitions with an active revision. nobody has none."
                .to_owned()
        )
    );
    assert_eq!(
        register("test-django2-dev-migrate", "web"),
        (422, "/jobs/0/container must be a container in the task definition of test-django2-dev-migrate: migrate.".to_owned())
    );
}
