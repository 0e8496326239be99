//! For every kind of request: fails each call in each way, repeats each delivery, and kills the process after each
//! call. Then lets the world settle. Based on the idea of omicron's saga checkers.

#![recursion_limit = "256"]
#![expect(clippy::panic, reason = "a test fails by panicking")]

use model::{
    Action, At, Fault, FaultKind, Figures, Logical, Outcome, Pause, Plan, Step, Weather, prepare, run,
    run_after,
};

const ADD: Action = Action::Save { class: 0, storage: 20, more: 0 };
const CHANGE: Action = Action::Save { class: 1, storage: 40, more: 0 };
/// With the app login, and a rotation every 30 days.
const WITH_LOGIN: Action = Action::Save { class: 0, storage: 20, more: 1 << 6 };
const WITHOUT_LOGIN: Action = Action::Save { class: 0, storage: 20, more: 1 << 7 };
/// How many kinds of faults each call of a change of a login meets.
const IN_TURNS: usize = 1;
const ATTACH: Action = Action::Attach { typed: false, other: false };
const TYPED: Action = Action::Attach { typed: true, other: true };

fn plan(actions: &[Action]) -> Plan {
    let step = |action: &Action| Step { after: Pause::AtRest, stage: 0, action: *action, beside: false };
    let steps = actions.iter().map(step).collect();
    Plan { registered: false, seed: 1, steps, faults: Vec::new(), weather: Weather::default() }
}

/// No invariant is violated. `actions` says what led there.
fn holds(actions: &[Action], plan: &Plan, outcome: &Outcome) {
    if let Some(violation) = outcome.violations.first() {
        panic!("{violation}\n{actions:?}\n{plan}");
    }
}

/// The last of these actions is checked; the others prepare it, so they run only once.
fn check(actions: &[Action]) {
    check_with(actions, FaultKind::ALL.len());
}

/// The same with so many kinds of faults for each call, in turns. A change of a login makes many calls, most of which look whether
/// something is done.
fn check_with(actions: &[Action], kinds: usize) {
    let Some((last, before)) = actions.split_last() else { panic!("there is no action") };
    let (prepared, last) = (prepare(&plan(before)), plan(&[*last]));
    let run_last = |plan: &Plan| {
        let outcome = run_after(&prepared, plan);
        holds(actions, plan, &outcome);
        outcome.figures
    };
    let Figures { calls_before_rest: calls, .. } = run_last(&last);
    assert!(calls > 0, "the last action calls AWS");
    for call in 0..calls {
        let all = FaultKind::ALL
            .into_iter()
            .cycle()
            .skip(usize::try_from(call).unwrap_or_default() % FaultKind::ALL.len());
        for kind in all.take(kinds) {
            // Once, so that the SDK's next try succeeds, and for as long as anything retries.
            for tries in [1, 25] {
                let call = u32::try_from(call).unwrap_or(u32::MAX);
                run_last(&Plan { faults: vec![Fault { at: At::Call(call), tries, kind }], ..last.clone() });
            }
        }
    }
    let whole = plan(actions);
    for seed in 0..20 {
        for weather in [
            Weather { twice: 1000, ..Weather::default() },
            Weather { stale: 1000, ..Weather::default() },
            Weather { late: 1000, ..Weather::default() },
        ] {
            let plan = Plan { seed, weather, ..whole.clone() };
            holds(actions, &plan, &run(&plan, None, false));
        }
    }
}

#[test]
fn a_registration() {
    check(&[Action::Register, Action::DeleteStage, Action::Register]);
}

#[test]
fn a_creation() {
    check(&[ADD]);
}

#[test]
fn a_creation_that_is_rolled_back() {
    check(&[Action::CannotCall(Logical::Connection), ADD]);
}

#[test]
fn a_change() {
    check(&[ADD, CHANGE]);
}

#[test]
fn a_change_that_is_rolled_back() {
    check(&[ADD, Action::CannotCall(Logical::Connection), CHANGE]);
}

#[test]
fn a_removal() {
    check(&[ADD, Action::Remove]);
}

#[test]
fn a_removal_that_is_rolled_back() {
    check(&[ADD, Action::CannotCall(Logical::Connection), Action::Remove]);
}

#[test]
fn a_creation_after_a_removal() {
    check(&[ADD, Action::Remove, ADD]);
}

#[test]
fn a_restoration() {
    check(&[ADD, Action::Remove, Action::Restore]);
}

#[test]
fn a_restoration_that_is_rolled_back() {
    check(&[ADD, Action::Remove, Action::CannotCall(Logical::Connection), Action::Restore]);
}

#[test]
fn an_attachment_with_the_credentials_of_a_secret() {
    check(&[ATTACH]);
}

#[test]
fn an_attachment_with_typed_credentials() {
    check(&[TYPED]);
}

#[test]
fn an_attachment_that_is_rolled_back() {
    check(&[Action::CannotCall(Logical::Connection), TYPED]);
}

#[test]
fn other_credentials_of_an_attached_database_that_are_rolled_back() {
    check(&[ATTACH, Action::CannotCall(Logical::Connection), TYPED]);
}

#[test]
fn a_rebuild_after_a_rotation() {
    check(&[ATTACH, Action::Rotate, Action::Rebuild]);
}

#[test]
fn a_rebuild_after_a_rotation_that_is_rolled_back() {
    check(&[ATTACH, Action::CannotCall(Logical::Credentials), Action::Rotate, Action::Rebuild]);
}

#[test]
fn detaching_a_database() {
    check(&[ATTACH, Action::Remove]);
}

#[test]
fn detaching_a_database_that_is_rolled_back() {
    check(&[TYPED, Action::CannotCall(Logical::Connection), Action::Remove]);
}

#[test]
fn detaching_a_database_whose_rule_a_user_created() {
    check(&[Action::OpenRule, ATTACH, Action::Remove]);
}

#[test]
fn the_end_of_a_stack_with_an_attached_database() {
    check(&[ATTACH, Action::DeleteStack]);
}

#[test]
fn a_rebuild() {
    check(&[ADD, Action::Rebuild]);
}

#[test]
fn the_end_of_a_stage() {
    check(&[ADD, Action::Remove, Action::DeleteStage]);
}

#[test]
fn the_end_of_a_stack_with_its_database() {
    check(&[ADD, Action::DeleteStack]);
}

#[test]
fn a_deletion_by_an_id_that_was_never_given() {
    check(&[ADD, Action::StrayDelete]);
}

#[test]
fn an_update_over_an_instance_that_stagedb_does_not_manage() {
    check(&[Action::ForeignInstance, ADD]);
}

#[test]
fn a_creation_with_the_app_login() {
    check_with(&[WITH_LOGIN], IN_TURNS);
}

#[test]
fn a_switch_to_the_app_login() {
    check_with(&[ADD, WITH_LOGIN], IN_TURNS);
}

#[test]
fn a_switch_back_to_the_master_user() {
    check_with(&[WITH_LOGIN, WITHOUT_LOGIN], IN_TURNS);
}

#[test]
fn a_rotation() {
    check_with(&[WITH_LOGIN, Action::RotateLogin], IN_TURNS);
}

#[test]
fn a_rotation_that_is_rolled_back() {
    check_with(&[WITH_LOGIN, Action::CannotCall(Logical::Connection), Action::RotateLogin], IN_TURNS);
}

#[test]
fn a_rotation_after_a_leak() {
    check_with(&[WITH_LOGIN, Action::RotateNow], IN_TURNS);
}

#[test]
fn a_rebuild_by_the_schedule() {
    check(&[ATTACH, Action::Rotate, Action::Schedule]);
}

#[test]
fn a_rotation_that_is_rolled_back_at_once() {
    check_with(&[WITH_LOGIN, Action::CannotCall(Logical::Logins), Action::RotateLogin], IN_TURNS);
}

#[test]
fn a_connection_test() {
    check(&[Action::TestConnection]);
}
