//! The plans of histories that once failed can be read and now pass, and files that can't be read are reported clearly.

#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::{fs, path::PathBuf};

use model::{
    Action, Fault, Kind, Pause, Plan, Step, Weather,
    kept::{self, read_plan, read_seeds},
    run,
};

/// Writes a file that no other test uses.
fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).expect("the file can be written");
    path
}

/// The error for a file with this content, without its directory.
fn said_of_plan(name: &str, content: &str) -> String {
    let path = file(name, content);
    let error = read_plan(&path).expect_err("it isn't a plan").to_string();
    let (_, words) = error.split_once(name).expect("the file is named");
    words.to_owned()
}

fn kept_text() -> String {
    serde_json::to_string_pretty(&Plan::of(7)).expect("a plan is JSON")
}

#[test]
fn every_kept_plan_can_be_read_and_is_named_after_its_seed() {
    let files = kept::files().expect("the directory is there");
    assert!(!files.is_empty(), "there are plans");
    for file in files {
        let plan = read_plan(&file).unwrap_or_else(|error| panic!("{error}"));
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        assert_eq!(name.split('-').next(), Some(plan.seed.to_string().as_str()), "{}", file.display());
    }
}

#[test]
fn every_kept_plan_holds() {
    let mut failed = Vec::new();
    for file in kept::files().expect("the directory is there") {
        let plan = read_plan(&file).unwrap_or_else(|error| panic!("{error}"));
        if let Some(violation) = run(&plan, None, false).violations.first() {
            let file = kept::shown(&file);
            failed.push(format!("{violation}\n  replay: cargo histories --plan {file}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_plan_that_is_written_reads_the_same() {
    for seed in 0..200 {
        let plan = Plan::of(seed);
        let text = serde_json::to_string(&plan).expect("a plan is JSON");
        assert_eq!(read_plan(&file("same.json", &text)), Ok(plan));
    }
}

#[test]
fn a_plan_is_kept_once_and_beside_another_of_its_seed() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kept");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).expect("it can be created");
    let mut plan = Plan::of(7);
    let kept = |plan: &Plan| kept::keep(plan, &directory).expect("it can be saved");
    assert_eq!(kept(&plan), directory.join("7.json"));
    assert_eq!(kept(&plan), directory.join("7.json"));
    plan.steps.clear();
    assert_eq!(kept(&plan), directory.join("7-2.json"));
    assert_eq!(read_plan(&directory.join("7-2.json")), Ok(plan));
}

#[test]
fn a_truncated_plan_is_reported() {
    let text = kept_text();
    let half = text.split_at(text.len() / 2).0;
    let said = said_of_plan("cut.json", half);
    assert!(said.contains("EOF while parsing"), "{said}");
    let lines = half.lines().count();
    assert!(said.starts_with(&format!(":{lines}:")), "{said}");
    assert!(said.ends_with("(`cargo histories --seed N --keep` writes plans)"), "{said}");
}

#[test]
fn an_unknown_field_is_reported() {
    let said = said_of_plan("field.json", "{\n  \"seed\": 7,\n  \"colour\": 1\n}");
    let expected = ":3:10: unknown field `colour`, expected one of `seed`, `registered`, `steps`, `faults`, `weather` (`cargo histories \
                    --seed N --keep` writes plans)";
    assert_eq!(said, expected);
}

#[test]
fn an_unknown_action_is_reported() {
    let text = r#"{"seed": 7, "steps": [{"after": "AtRest", "stage": 0, "action": "Dance"}]}"#;
    let said = said_of_plan("action.json", text);
    assert!(said.starts_with(":1:71: unknown variant `Dance`, expected one of `Register`, `Save`"), "{said}");
}

#[test]
fn an_unknown_field_of_an_action_is_reported() {
    let text = r#"{"seed": 7, "steps": [{"after": "AtRest", "stage": 0, "action": {"Deploy": {"keeps": true, "fast": 1}}}]}"#;
    let said = said_of_plan("inside.json", text);
    assert!(said.contains("unknown field `fast`, expected one of `keeps`, `worker`, `broken`"), "{said}");
}

#[test]
fn a_wrong_type_is_reported() {
    let said = said_of_plan("type.json", "{\n  \"seed\": \"seven\"\n}");
    let expected = ":2:17: invalid type: string \"seven\", expected u64 (`cargo histories --seed N --keep` writes plans)";
    assert_eq!(said, expected);
}

#[test]
fn a_stage_that_no_history_has_is_reported() {
    let mut plan = Plan::of(7);
    if let Some(step) = plan.steps.first_mut() {
        step.stage = 2;
    }
    let said = said_of_plan("stage.json", &serde_json::to_string(&plan).expect("a plan is JSON"));
    assert!(said.starts_with(": steps[0]: stage 2 doesn't exist; use 0 or 1"), "{said}");
}

#[test]
fn a_missing_file_is_reported() {
    let said = read_plan(&kept::directory().join("none.json")).expect_err("it doesn't exist").to_string();
    assert!(said.starts_with("model/plans/none.json: cannot read it: No such file"), "{said}");
}

#[test]
fn a_list_of_seeds_is_read() {
    let path = file("seeds.txt", "# failed on Monday\n807\n\n  42 # again\n18446744073709551615\n");
    assert_eq!(read_seeds(&path), Ok(vec![807, 42, u64::MAX]));
}

#[test]
fn an_invalid_seed_is_reported() {
    for line in ["12x", "-1", "+1", "1 2", "18446744073709551616", "0x10"] {
        let path = file("bad-seeds.txt", &format!("1\n# two\n{line}\n"));
        let said = read_seeds(&path).expect_err("it isn't a seed").to_string();
        let expected = format!(
            "bad-seeds.txt:3: `{line}` isn't a seed: each line is a decimal number from 0 to 18446744073709551615 or a \
             comment after #"
        );
        assert!(said.ends_with(&expected), "{said}");
    }
}

#[test]
fn a_fault_reads_as_it_is_written() {
    for seed in 0..200 {
        for fault in Plan::of(seed).faults {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
    }
}

#[test]
fn a_fault_at_no_call_is_reported() {
    for (text, expected) in [
        (
            "DatabaseProgress DescribeDBInstance 3 Fails 1",
            "DatabaseProgress doesn't call `DescribeDBInstance`; it calls ",
        ),
        ("Database DescribeDBInstances 3 Fails 1", "unknown function `Database`"),
        ("DatabaseProgress DescribeDBInstances 0 Fails 1", "NTH starts from 1"),
        (
            "DatabaseProgress DescribeDBInstances 3 Breaks 1",
            "unknown kind of fault `Breaks`; use one of [Fails, ",
        ),
        ("DatabaseProgress DescribeDBInstances 3 Fails 256", "`256` isn't a number of tries from 0 to 255"),
        ("3 Fails", "write a fault as `FUNCTION OPERATION NTH KIND TRIES` or `CALL KIND TRIES`"),
    ] {
        let said = text.parse::<Fault>().expect_err(text);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn a_fault_in_a_plan_is_either_at_a_call_or_at_an_operation() {
    let both = r#"{"seed": 7, "steps": [], "faults": [{"call": 3, "nth": 1, "tries": 1, "kind": "Fails"}]}"#;
    let said = said_of_plan("both.json", both);
    assert!(said.contains("a fault has either `call`, or `function`, `operation`, and `nth`"), "{said}");
}

/// How many calls to AWS the API and publish-variables make for a save, in a world with this many stages. How often
/// database-progress looks depends on how long RDS takes.
///
/// A look that meets another event, or a user who looks at the stages in the end, makes more. The fewest are the save's own.
fn calls_of_a_save(stages: u8, before: &[Action]) -> u64 {
    (0..16).map(|seed| calls_with(seed, stages, before)).min().expect("there are seeds")
}

fn calls_with(seed: u64, stages: u8, before: &[Action]) -> u64 {
    let last = stages - 1;
    let on = |action: &Action| Step { after: Pause::AtRest, stage: last, action: *action, beside: false };
    let calls = |steps: Vec<Step>| {
        let plan = Plan { seed, registered: true, steps, faults: Vec::new(), weather: Weather::default() };
        let outcome = run(&plan, None, false);
        assert_eq!(outcome.violations, [], "{plan}");
        let of = |kind: Kind| outcome.figures.calls_of.get(&kind).copied().unwrap_or_default();
        of(Kind::SettingsApi) + of(Kind::PublishVariables)
    };
    let prepared: Vec<_> = before.iter().map(on).collect();
    let save = Action::Save { class: 0, storage: 20, more: 0 };
    let mut whole = prepared.clone();
    whole.push(Step { after: Pause::Seconds(3600), ..on(&save) });
    calls(whole) - if before.is_empty() { 0 } else { calls(prepared) }
}

#[test]
fn a_save_makes_as_many_calls_with_other_stages_as_without_and_more_only_for_its_own_services() {
    let alone = calls_of_a_save(1, &[]);
    assert_eq!(calls_of_a_save(2, &[]), alone);
    let with_worker = calls_of_a_save(1, &[Action::Services(1)]);
    assert!(with_worker > alone, "{with_worker}");
    assert_eq!(calls_of_a_save(2, &[Action::Services(1)]), with_worker);
}
