//! Least privilege, shown on every decision that the tests lead to (`local/permissions.jsonl`): a second evaluator agrees
//! with each, and every permission that is taken away or widened changes one.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a panic is a failed test")]

mod evaluator;
mod policies;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use evaluator::Role;
use local::{
    Workspace,
    permissions::{ASKED_FOR, Decision, Keys, remembered},
};
use policies::{Policies, list};
use serde_json::{Value, json};

/// What no test uses, and why it's there nevertheless.
const UNUSED: &[(&str, &str)] = &[(
    "DatabaseStateMachineRole DeliverLogs without logs:DeleteLogDelivery",
    "Step Functions stops the delivery when a state machine is deleted",
)];

fn workspace() -> Workspace {
    Workspace::find().unwrap()
}

fn policies() -> Policies {
    let template = fs::read_to_string(workspace().path("template.yaml")).unwrap();
    let given = local::permissions::parameters();
    policies::of(&template, &given)
}

fn roles(policies: &Policies) -> BTreeMap<&str, Role> {
    policies.iter().map(|(role, statements)| (role.as_str(), Role::new(statements))).collect()
}

#[test]
fn a_second_evaluator_agrees_with_every_decision_of_the_local_aws() {
    let policies = policies();
    let roles = roles(&policies);
    let decisions = remembered(&workspace()).unwrap();
    assert!(decisions.len() > 200, "{}", decisions.len());
    let differs =
        |decision: &&Decision| roles[decision.role.as_str()].allows(decision) != decision.is_allowed();
    let different: Vec<_> = decisions.iter().filter(differs).map(ToString::to_string).collect();
    assert!(different.is_empty(), "{different:#?}");
}

#[test]
fn the_decisions_have_every_condition_key_that_a_policy_asks_for() {
    let policies = policies();
    let conditions = policies.values().flatten().filter_map(|statement| statement["Condition"].as_object());
    let keys = conditions.flat_map(|condition| condition.values()).filter_map(Value::as_object).flatten();
    let asked: BTreeSet<_> = keys.map(|(key, _)| key.to_lowercase()).collect();
    assert_eq!(asked, ASKED_FOR.iter().map(|key| (*key).to_owned()).collect());
}

#[test]
fn aws_authorizes_these_actions_on_these_resources_with_these_condition_keys() {
    let workspace = workspace();
    let mut node = Command::new("node");
    node.current_dir(workspace.path("local/snippets")).args(["reference.mjs", "../permissions.jsonl"]);
    let output = node.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "", "cargo local test installs what this needs");
}

/// Calls that are like an allowed one, but about something else.
fn neighbors(call: &Decision) -> Vec<(String, Decision)> {
    let with_resource = |resource: String| Decision { resource, ..call.clone() };
    let mut all = Vec::new();
    if call.resource.contains(":us-east-1:") {
        let elsewhere = call.resource.replacen(":us-east-1:", ":eu-west-1:", 1);
        all.push(("in another Region".to_owned(), with_resource(elsewhere)));
    }
    if call.resource.contains(":000000000000:") {
        let elsewhere = call.resource.replacen(":000000000000:", ":111111111111:", 1);
        all.push(("in another account".to_owned(), with_resource(elsewhere)));
        let end = call.resource.rfind([':', '/']).unwrap() + 1;
        let (kind, _) = call.resource.split_at(end);
        all.push(("with another name".to_owned(), with_resource(format!("{kind}someone-elses"))));
    }
    for (key, value) in &call.context {
        let mut without = call.clone();
        without.context.remove(key);
        all.push((format!("without {key}"), without));
        let mut other = call.clone();
        let changed = match value {
            Keys::One(_) => Keys::One("other".to_owned()),
            Keys::Many(all) => Keys::Many(all.iter().map(|_| "other".to_owned()).collect()),
        };
        other.context.insert(key.clone(), changed);
        all.push((format!("with another {key}"), other));
    }
    all
}

#[test]
fn what_is_allowed_beside_the_calls_of_the_tests_is_known() {
    let policies = policies();
    let roles = roles(&policies);
    let mut allowed = BTreeSet::new();
    for call in remembered(&workspace()).unwrap().iter().filter(|call| call.is_allowed()) {
        for (kind, neighbor) in neighbors(call) {
            if roles[neighbor.role.as_str()].allows(&neighbor) {
                allowed.insert(format!("{} {} {kind}", call.role, call.action));
            }
        }
    }
    insta::assert_snapshot!("neighbors", allowed.into_iter().collect::<Vec<_>>().join("\n"));
}

/// Every policy with one permission less or more, and what was changed.
fn mutations(policies: &Policies) -> Vec<(String, &str, Vec<Value>)> {
    let mut all = Vec::new();
    for (role, statements) in policies {
        let ours = statements
            .iter()
            .enumerate()
            .filter(|(_, statement)| !policies::MANAGED.iter().any(|sid| statement["Sid"] == **sid));
        for (index, statement) in ours {
            let name = format!("{role} {}", statement["Sid"].as_str().unwrap_or("without a Sid"));
            let mut change = |what: String, changed: Option<Value>| {
                let mut statements = statements.clone();
                match changed {
                    Some(changed) => statements[index] = changed,
                    None => drop(statements.remove(index)),
                }
                all.push((format!("{name} {what}"), role.as_str(), statements));
            };
            let with = |member: &str, values: Vec<String>| {
                let mut changed = statement.clone();
                changed[member] = json!(values);
                (!values.is_empty()).then_some(changed)
            };
            let (actions, resources) = (list(statement, "Action"), list(statement, "Resource"));
            for action in &actions {
                let others = actions.iter().filter(|other| *other != action).cloned().collect();
                change(format!("without {action}"), with("Action", others));
            }
            for resource in resources.iter().filter(|resource| *resource != "*") {
                let others = || resources.iter().filter(|other| *other != resource).cloned();
                change(format!("without {resource}"), with("Resource", others().collect()));
                let wider = others().chain(["*".to_owned()]).collect();
                change(format!("with * instead of {resource}"), with("Resource", wider));
            }
            for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
                for key in keys.as_object().unwrap().keys() {
                    let mut changed = statement.clone();
                    changed["Condition"][operator].as_object_mut().unwrap().remove(key);
                    change(format!("without the condition {key}"), Some(changed));
                }
            }
        }
    }
    all
}

#[test]
fn each_permission_that_is_taken_away_or_widened_changes_a_decision() {
    let policies = policies();
    let decisions = remembered(&workspace()).unwrap();
    let calls: Vec<_> = decisions
        .iter()
        .flat_map(|call| {
            let near = if call.is_allowed() { neighbors(call) } else { Vec::new() };
            near.into_iter().map(|(_, neighbor)| neighbor).chain([call.clone()])
        })
        .collect();
    let mutations = mutations(&policies);
    let survivors: Vec<_> = mutations
        .iter()
        .filter(|(_, role, changed)| {
            let (before, after) = (Role::new(&policies[*role]), Role::new(changed));
            calls
                .iter()
                .filter(|call| call.role == *role)
                .all(|call| before.allows(call) == after.allows(call))
        })
        .map(|(what, _, _)| what.as_str())
        .collect();
    println!("{} mutations of {} policies on {} calls", mutations.len(), policies.len(), calls.len());
    let unused: Vec<_> = UNUSED.iter().map(|(what, _)| *what).collect();
    assert_eq!(survivors, unused, "no test uses these");
}
