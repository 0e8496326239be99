//! A preview says what a save would do, and changes nothing.

use serde_json::{Value, json};

use crate::world::{
    definitions, deployment, instance, micro, save_and_follow, settings, shown, stage_path, world,
};

#[test]
fn a_preview_says_what_a_save_would_do_and_changes_nothing() {
    let local = world();
    let preview = |body: &Value| {
        let answer = local.api("POST", &stage_path("dev", "/database/preview"), Some(body)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body
    };
    let events = || {
        local
            .aws(&["cloudformation", "describe-stack-events", "--stack-name", "test-django2-dev"])
            .unwrap()["StackEvents"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = (events(), deployment(&local, "dev"));
    let added = preview(&micro());
    assert_eq!(added["rebuild"], true);
    let fields: Vec<_> = added["changes"].as_array().unwrap().iter().map(|change| &change["field"]).collect();
    let definitions = definitions();
    let all: Vec<_> = definitions.iter().map(|setting| &setting["name"]).collect();
    let all: Vec<_> = all.into_iter().filter(|name| *name != "apply" && *name != "fromSnapshot").collect();
    assert_eq!(fields, all);
    let resources = added["resourceChanges"].as_array().unwrap();
    let of = |name: &str| resources.iter().find(|change| change["logicalId"] == name);
    for name in ["Credentials", "Database", "Connection"] {
        assert_eq!(of(name).unwrap()["action"], "Modify", "{added}");
        assert_eq!(of(name).unwrap()["replacement"], "False", "{added}");
    }
    assert_eq!(of("Secret"), None, "the secret stays as it is: {added}");
    assert_eq!((events(), deployment(&local, "dev")), before, "nothing has started");
    assert_eq!(instance(&local, "dev"), None);
    let sets =
        local.aws(&["cloudformation", "list-change-sets", "--stack-name", "test-django2-dev"]).unwrap();
    assert_eq!(sets["Summaries"], json!([]), "the change set is deleted");

    save_and_follow(&local, "dev", &micro());
    let changed = preview(&settings("db.t4g.large", 40));
    assert_eq!(
        changed["changes"],
        json!([
            {
                "field": "instanceClass", "before": "db.t4g.micro", "after": "db.t4g.large", "effect": "interruption",
                "canBeUndone": true, "when": "now",
                "detail": "The database restarts. Open connections are closed, and the database is unavailable, usually for \
                           several minutes.",
            },
            {
                "field": "storageGiB", "before": "20", "after": "40", "effect": "in-place", "canBeUndone": false, "when": "now",
                "detail": "You can't decrease the storage later, and RDS doesn't accept another storage change for six hours.",
            },
        ])
    );
    let nothing = preview(&micro());
    assert_eq!((&nothing["rebuild"], &nothing["changes"]), (&json!(false), &json!([])));
    assert_eq!(nothing["resourceChanges"], json!([]));
    assert_eq!(shown(&local, "dev")["live"]["instanceClass"], "db.t4g.micro");
}
