//! The contract between the project's adapters and AWS, checked with the model. The same checks run with the local AWS.

#![recursion_limit = "256"]

use model::contract::{databases, executions, in_the_model, secrets, services, stacks};

#[test]
fn a_secret_has_versions_labels_and_tokens() {
    in_the_model(async |ground| secrets(&ground).await);
}

#[test]
fn an_instance_follows_the_life_cycle_of_rds() {
    in_the_model(async |ground| databases(&ground).await);
}

#[test]
fn a_stack_is_found_and_changed() {
    in_the_model(async |ground| stacks(&ground).await);
}

#[test]
fn a_service_gets_a_new_revision() {
    in_the_model(async |ground| services(&ground).await);
}

#[test]
fn an_execution_has_a_name_that_is_used_once() {
    in_the_model(async |ground| executions(&ground).await);
}
