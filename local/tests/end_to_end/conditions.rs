//! Two users at once, and one request twice.

use std::thread;

use local::LocalAws;
use serde_json::{Value, json};

use crate::world::{follow, micro, save_and_follow, settings, shown, stage_path, world};

/// How many operations users have started on the stage stack of `dev`.
fn operations(local: &LocalAws) -> usize {
    let events =
        local.aws(&["cloudformation", "describe-stack-events", "--stack-name", "test-django2-dev"]).unwrap();
    let began = |event: &&Value| {
        event["ResourceType"] == "AWS::CloudFormation::Stack"
            && (event["ResourceStatus"] == "UPDATE_IN_PROGRESS"
                || event["ResourceStatus"] == "CREATE_IN_PROGRESS")
    };
    events["StackEvents"].as_array().unwrap().iter().filter(began).count()
}

#[test]
fn of_two_users_who_save_at_once_one_is_refused_and_nothing_is_half_done() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let before = operations(&local);
    let path = stage_path("dev", "/database");
    let read = local.api("GET", &path, None).unwrap();
    let tag = read.header("etag").unwrap().to_owned();
    let save = |class: &str| {
        local.api_with("PUT", &path, &[("If-Match", &tag)], Some(&settings(class, 20))).unwrap()
    };
    let mut answers = thread::scope(|scope| {
        let both = ["db.t4g.small", "db.t4g.medium"].map(|class| scope.spawn(move || (class, save(class))));
        both.map(|one| one.join().unwrap())
    });
    answers.sort_by_key(|(_, answer)| answer.status);
    let [(won, first), (_, second)] = &answers;
    assert_eq!(first.status, 202, "{}", first.text);
    assert!([409, 412].contains(&second.status), "{}", second.text);
    assert_eq!(follow(&local, "dev").0.phase, "complete");
    assert_eq!(shown(&local, "dev")["live"]["instanceClass"], *won);
    assert_eq!(operations(&local), before + 1);

    let late = save("db.t4g.large");
    assert_eq!(
        (late.status, late.body["type"].as_str()),
        (412, Some("urn:stagedb:problem:changed-meanwhile"))
    );
    let delete =
        local.api_with("DELETE", &path, &[("If-Match", &tag)], Some(&json!({"confirm": "x"}))).unwrap();
    assert_eq!(delete.status, 412, "{}", delete.text);
    let tag = local.api("GET", &path, None).unwrap().header("etag").unwrap().to_owned();
    let read_again = local.api_with("PUT", &path, &[("If-Match", &tag)], Some(&settings(won, 20))).unwrap();
    assert_eq!(read_again.status, 200, "{}", read_again.text);
}

#[test]
fn the_same_idempotency_key_twice_is_one_rebuild() {
    let local = world();
    let before = operations(&local);
    let path = stage_path("dev", "/database");
    let key = ("Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324");
    let save = |settings: &Value| local.api_with("PUT", &path, &[key], Some(settings)).unwrap();
    let both: Vec<_> = thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| save(&micro())));
        both.map(|one| one.join().unwrap()).into()
    });
    for answer in &both {
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert_eq!(answer.header("location"), Some(stage_path("dev", "/rebuild").as_str()));
    }
    assert_eq!(save(&micro()).status, 202, "also while it runs");
    assert_eq!(follow(&local, "dev").0.phase, "complete");
    assert_eq!(save(&micro()).status, 202, "also afterwards");
    assert_eq!(operations(&local), before + 1, "one rebuild");

    let other = save(&settings("db.t4g.small", 20));
    assert_eq!((other.status, other.body["type"].as_str()), (422, Some("urn:stagedb:problem:reused-key")));
    assert_eq!(operations(&local), before + 1);

    let rebuild = stage_path("dev", "/rebuild");
    for _ in 0..2 {
        assert_eq!(
            local
                .api_with("POST", &rebuild, &[("Idempotency-Key", "once-and-not-again")], None)
                .unwrap()
                .status,
            202
        );
        follow(&local, "dev");
    }
    assert_eq!(operations(&local), before + 2);
}
