//! For how long connections fail while a change interrupts the database: a client measures it, the rebuild says it, and so does the
//! next preview of such a change.

use local::{LocalAws, Timings};
use serde_json::{Value, json};

use crate::world::{eventually, micro, save_and_follow, stage_path, world};

fn rebuild(local: &LocalAws) -> Value {
    local.api("GET", &stage_path("dev", "/rebuild"), None).unwrap().body
}

#[test]
fn a_rebuild_says_for_how_long_connections_failed_and_the_next_preview_repeats_it() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    assert_eq!(rebuild(&local)["downtime"], Value::Null, "nothing was interrupted");
    // Long enough for a client to start.
    let slow =
        Timings { rds_modify_seconds: Some(4.0), rds_interruption_seconds: Some(4.0), ..Timings::default() };
    local.set_timings(&slow).unwrap();

    let mut bigger = micro();
    bigger["instanceClass"] = json!("db.t4g.small");
    save_and_follow(&local, "dev", &bigger);
    eventually("the measurement is there", || rebuild(&local)["downtime"] != Value::Null);
    let rebuilt = rebuild(&local);
    let downtime = &rebuilt["downtime"];
    let seconds = downtime["seconds"].as_u64().unwrap();
    assert!((3..=12).contains(&seconds), "{downtime}");
    assert_eq!(downtime["fields"], json!(["instanceClass"]));
    let of = |name: &str| rebuilt["steps"][1][name].as_str().unwrap().to_owned();
    assert_eq!(rebuilt["steps"][1]["name"], "database");
    let from = downtime["from"].as_str().unwrap().to_owned();
    assert!(of("startedAt") <= from && from <= of("endedAt"), "{rebuilt}");

    let preview = local.api("POST", &stage_path("dev", "/database/preview"), Some(&micro())).unwrap();
    assert_eq!(preview.body["changes"][0]["lastDowntime"], *downtime);
    assert!(preview.body["changes"][0]["detail"].as_str().unwrap().contains("several minutes"));

    let mut standby = bigger.clone();
    standby["multiAz"] = json!(true);
    save_and_follow(&local, "dev", &standby);
    eventually("no connection failed", || rebuild(&local)["downtime"]["seconds"] == 0);
    assert_eq!(rebuild(&local)["downtime"]["fields"], json!(["multiAz"]));
}

#[test]
fn a_change_is_made_also_if_its_downtime_cannot_be_measured() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    for behavior in ["image", "never-starts", "killed", "never-stops"] {
        let plan = json!({"stagedb-test-django2-dev-downtime": {"behavior": behavior, "times": null}});
        local.control("PUT", "/_local/ecs/next-tasks", Some(&plan)).unwrap();
        let mut settings = micro();
        let is_bigger = ["image", "killed"].contains(&behavior);
        settings["instanceClass"] = json!(if is_bigger { "db.t4g.small" } else { "db.t4g.micro" });
        save_and_follow(&local, "dev", &settings);
        assert_eq!(rebuild(&local)["phase"], "complete", "{behavior}");
        assert_eq!(rebuild(&local)["downtime"], Value::Null, "{behavior}");
    }
}
