//! Removes everything that a run makes, also what an interrupted run has left.
//!
//! Everything is found by its name or its tag, and never by what this run remembers.

use std::time::Duration;

use serde_json::Value;

use super::{
    account::Account,
    names::{APP, NAME, STACK, THEIRS},
};

const LIMIT: Duration = Duration::from_mins(45);

/// What is there, in words. Empty if nothing is.
pub(super) fn leftovers(account: &Account) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for stack in stacks(account)? {
        found.push(format!("the stack {stack}"));
    }
    for instance in instances(account)? {
        found.push(format!("the DB instance {instance}"));
    }
    for snapshot in snapshots(account)? {
        found.push(format!("the snapshot {snapshot}"));
    }
    for pool in pools(account)? {
        found.push(format!("the user pool {pool}"));
    }
    for group in histories(account)? {
        found.push(format!("the log group {group}"));
    }
    if account.aws(&["s3api", "head-bucket", "--bucket", &account.bucket()?]).is_ok() {
        found.push(format!("the bucket {}", account.bucket()?));
    }
    Ok(found)
}

/// Removes everything. What can't be removed is in the result, and nothing holds up the rest.
pub(super) fn clean_up(account: &Account) -> anyhow::Result<Vec<String>> {
    account.note("---- clean up")?;
    // The stages need the functions for their deletion, and use the network.
    delete_stage_stacks(account)?;
    for instance in instances(account)? {
        let id = ["--db-instance-identifier", &instance];
        let unprotect = ["rds", "modify-db-instance", "--no-deletion-protection", "--apply-immediately"];
        let _ = account.aws(&[&unprotect[..], &id].concat());
        let delete = ["rds", "delete-db-instance", "--skip-final-snapshot", "--delete-automated-backups"];
        let _ = account.aws(&[&delete[..], &id].concat());
    }
    let _ = account
        .until("the instances are deleted", LIMIT, || Ok(instances(account)?.is_empty().then_some(())));
    delete_stage_stacks(account)?;
    for snapshot in snapshots(account)? {
        let _ = account.aws(&["rds", "delete-db-snapshot", "--db-snapshot-identifier", &snapshot]);
    }
    let _ = delete_stack(account, NAME);
    let _ = delete_stack(account, APP);
    for pool in pools(account)? {
        let id = ["--user-pool-id", &pool];
        let unprotect = ["cognito-idp", "update-user-pool", "--deletion-protection", "INACTIVE"];
        let _ = account.aws(&[&unprotect[..], &id].concat());
        let _ = account.aws(&[&["cognito-idp", "delete-user-pool"][..], &id].concat());
    }
    for group in histories(account)? {
        let _ = account.aws(&["logs", "delete-log-group", "--log-group-name", &group]);
    }
    for definition in definitions(account) {
        let _ = account.aws(&["ecs", "deregister-task-definition", "--task-definition", &definition]);
    }
    let bucket = account.bucket()?;
    for key in objects(account, &bucket) {
        let _ = account.aws(&["s3api", "delete-object", "--bucket", &bucket, "--key", &key]);
    }
    let _ = account.aws(&["s3api", "delete-bucket", "--bucket", &bucket]);
    leftovers(account)
}

fn delete_stage_stacks(account: &Account) -> anyhow::Result<()> {
    for stack in stacks(account)?.iter().filter(|stack| is_of_a_stage(stack)) {
        let _ = delete_stack(account, stack);
    }
    Ok(())
}

fn is_of_a_stage(stack: &str) -> bool {
    stack != NAME && stack != APP
}

fn delete_stack(account: &Account, name: &str) -> anyhow::Result<()> {
    let named = ["--stack-name", name];
    if account.aws(&[&["cloudformation", "describe-stacks"][..], &named].concat()).is_err() {
        return Ok(());
    }
    let unprotect = ["cloudformation", "update-termination-protection", "--no-enable-termination-protection"];
    let _ = account.aws(&[&unprotect[..], &named].concat());
    account.aws(&[&["cloudformation", "delete-stack"][..], &named].concat())?;
    account.until(&format!("the stack {name} is deleted"), LIMIT, || {
        let Ok(found) = account.aws(&[&["cloudformation", "describe-stacks"][..], &named].concat()) else {
            return Ok(Some(()));
        };
        let status = text(&found, "/Stacks/0/StackStatus");
        Ok((!status.ends_with("_IN_PROGRESS")).then_some(()))
    })
}

/// The run's stacks, and those of its stage.
fn stacks(account: &Account) -> anyhow::Result<Vec<String>> {
    let found = account.aws(&["cloudformation", "describe-stacks"])?;
    let stacks = found.get("Stacks").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_ours = |stack: &&Value| {
        let name = text(stack, "/StackName");
        name == NAME || name == APP || has_tag(stack, "/Tags", "stagedb:stack", STACK)
    };
    let is_there = |stack: &&Value| text(stack, "/StackStatus") != "DELETE_COMPLETE";
    Ok(stacks.iter().filter(is_there).filter(is_ours).map(|stack| text(stack, "/StackName")).collect())
}

fn instances(account: &Account) -> anyhow::Result<Vec<String>> {
    let found = account.aws(&["rds", "describe-db-instances"])?;
    let all = found.get("DBInstances").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_ours = |instance: &&Value| {
        text(instance, "/DBInstanceIdentifier") == THEIRS
            || has_tag(instance, "/TagList", "stagedb:stack", STACK)
    };
    Ok(all.iter().filter(is_ours).map(|instance| text(instance, "/DBInstanceIdentifier")).collect())
}

fn snapshots(account: &Account) -> anyhow::Result<Vec<String>> {
    let found = account.aws(&["rds", "describe-db-snapshots", "--snapshot-type", "manual"])?;
    let all = found.get("DBSnapshots").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_ours = |snapshot: &&Value| has_tag(snapshot, "/TagList", "stagedb:stack", STACK);
    Ok(all.iter().filter(is_ours).map(|snapshot| text(snapshot, "/DBSnapshotIdentifier")).collect())
}

fn pools(account: &Account) -> anyhow::Result<Vec<String>> {
    let found = account.aws(&["cognito-idp", "list-user-pools", "--max-results", "60"])?;
    let all = found.get("UserPools").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(all.iter().filter(|pool| text(pool, "/Name") == NAME).map(|pool| text(pool, "/Id")).collect())
}

/// The log groups with histories, which stay when the stack is deleted.
fn histories(account: &Account) -> anyhow::Result<Vec<String>> {
    let found = account.aws(&["logs", "describe-log-groups"])?;
    let all = found.get("logGroups").and_then(Value::as_array).cloned().unwrap_or_default();
    let names = all.iter().map(|group| text(group, "/logGroupName"));
    Ok(names.filter(|name| is_history(name)).collect())
}

/// CloudFormation makes the name: from the stack's name and the logical ID on AWS, and as a path in the local AWS.
fn is_history(group: &str) -> bool {
    group.starts_with(&format!("{NAME}-History-")) || group.ends_with(&format!("/{NAME}/History"))
}

fn definitions(account: &Account) -> Vec<String> {
    let found = account.aws(&["ecs", "list-task-definitions", "--family-prefix", NAME]).unwrap_or_default();
    let arns = found.get("taskDefinitionArns").and_then(Value::as_array).cloned().unwrap_or_default();
    arns.iter().filter_map(|arn| arn.as_str().map(str::to_owned)).collect()
}

fn objects(account: &Account, bucket: &str) -> Vec<String> {
    let found = account.aws(&["s3api", "list-objects-v2", "--bucket", bucket]).unwrap_or_default();
    let all = found.get("Contents").and_then(Value::as_array).cloned().unwrap_or_default();
    all.iter().map(|object| text(object, "/Key")).collect()
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn has_tag(value: &Value, pointer: &str, key: &str, expected: &str) -> bool {
    let tags = value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    tags.iter().any(|tag| text(tag, "/Key") == key && text(tag, "/Value") == expected)
}

#[cfg(test)]
mod tests {
    use super::{super::names::STAGE_STACK, *};

    #[test]
    fn the_stack_of_the_stage_is_deleted_before_the_functions_that_its_deletion_needs() {
        assert!(is_of_a_stage(STAGE_STACK));
        assert!(!is_of_a_stage(NAME) && !is_of_a_stage(APP));
    }

    #[test]
    fn only_the_log_group_of_the_run_is_a_history() {
        assert!(is_history("stagedb-acceptance-History-AbCdEf123456"));
        assert!(is_history("/aws/cloudformation/stagedb-acceptance/History"));
        assert!(!is_history("stagedb-History-AbCdEf123456"));
        assert!(!is_history("/aws/lambda/stagedb-acceptance-settings-api"));
    }
}
