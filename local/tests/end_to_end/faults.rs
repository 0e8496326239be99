//! Real faults: killed processes, repeated and out-of-order deliveries, a URL that refuses answers, and a state machine
//! that times out.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use local::{LocalAws, Timings};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::created::invoke;
use crate::world::{
    container, eventually, follow, instance, micro, query, save, save_and_follow, secret, settings,
    stack_status, stage_path, world,
};

/// The processes that a local AWS has started: their IDs, command lines, and environments.
pub(crate) fn processes(local: &LocalAws) -> BTreeMap<i32, String> {
    let read = |pid: i32, of: &str| fs::read(format!("/proc/{pid}/{of}")).ok();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace('\0', " ");
    let parent = |pid: i32| -> Option<i32> {
        let stat = text(read(pid, "stat")?);
        stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
    };
    let server = i32::try_from(local.process_id().unwrap()).unwrap();
    let all =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_below = |pid: &i32| {
        std::iter::successors(Some(*pid), |pid| parent(*pid)).take(8).any(|ancestor| ancestor == server)
    };
    let started = |pid: i32| Some((pid, text([read(pid, "cmdline")?, read(pid, "environ")?].concat())));
    all.filter(is_below).filter_map(started).collect()
}

/// Kills a process, as the kernel does when it runs out of memory. Returns whether the process still existed.
pub(crate) fn killed(pid: i32) -> bool {
    kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok()
}

#[test]
fn functions_that_are_killed_in_mid_flight_leave_nothing_half_done() {
    let local = world();
    local.set_timings(&Timings { rds_create_seconds: Some(4.0), ..Timings::default() }).unwrap();
    // The state machine calls those that make progress again and again. The others have three attempts each.
    let functions = [
        ("credentials-resource", 2),
        ("database-resource", 2),
        ("access-resource", 2),
        ("publish-variables", 2),
        ("database-progress", 6),
        ("client-progress", 3),
    ];
    let functions =
        functions.map(|(name, times)| (format!("AWS_LAMBDA_FUNCTION_NAME=stagedb-{name} "), times));
    // The first process that's killed may just be waiting for its next event. The second one was started for an event.
    let (ended, mut deaths) = (AtomicBool::new(false), [0_u32; 6]);
    save(&local, "dev", &micro(), 202);
    let phase = thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                for (pid, started) in processes(&local) {
                    let which = functions.iter().position(|(name, _)| started.contains(name.as_str()));
                    if let Some(which) = which
                        && deaths[which] < functions[which].1
                        && killed(pid)
                    {
                        deaths[which] += 1;
                    }
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        let (rebuild, _) = follow(&local, "dev");
        ended.store(true, Ordering::Relaxed);
        rebuild.phase
    });
    assert_eq!(deaths, [2, 2, 2, 2, 6, 3], "all of them were killed");
    assert_eq!(phase, "complete", "{deaths:?}");
    assert_eq!(query(&secret(&local, "dev"), "select 1"), "1");
    let published = container(&local, "dev")["secrets"].as_array().unwrap().len();
    assert_eq!(published, 5, "the containers have their variables");
    local.set_timings(&Timings { rds_create_seconds: Some(0.5), ..Timings::default() }).unwrap();
    save_and_follow(&local, "dev", &settings("db.t4g.small", 20));
}

#[test]
fn a_postgres_that_is_killed_while_it_is_created_is_rolled_back_with_a_reason_and_can_be_retried() {
    let local = world();
    local.set_timings(&Timings { rds_create_seconds: Some(6.0), ..Timings::default() }).unwrap();
    save(&local, "dev", &micro(), 202);
    eventually("the server is there and dies", || {
        processes(&local).into_iter().any(|(pid, started)| {
            let folder = started.split_once("/postgres -D ").and_then(|(_, rest)| rest.split(' ').next());
            let state = folder.and_then(|folder| fs::read_to_string(format!("{folder}/postmaster.pid")).ok());
            // The server itself once it's ready, not its child processes, and not the process that initializes its
            // files.
            state.is_some_and(|state| state.starts_with(&format!("{pid}\n")) && state.contains("ready")) && {
                thread::sleep(Duration::from_secs(2));
                killed(pid)
            }
        })
    });
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "rolled-back", "{rebuild:?}");
    let reason = rebuild.reason.unwrap_or_default();
    assert!(reason.contains("failed"), "{reason}");
    eventually("the instance is gone", || instance(&local, "dev").is_none());
    assert_eq!(stack_status(&local).as_deref(), Some("UPDATE_ROLLBACK_COMPLETE"));
    local.set_timings(&Timings { rds_create_seconds: Some(0.5), ..Timings::default() }).unwrap();
    save_and_follow(&local, "dev", &micro());
    assert_eq!(query(&secret(&local, "dev"), "select 1"), "1");
}

/// Stands in for the URL that CloudFormation's answers are sent to, and refuses the first ones. Returns the URL, and
/// the bodies in order.
fn answers(refused: usize) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/answer", listener.local_addr().unwrap());
    let serve = thread::spawn(move || {
        let mut bodies = Vec::new();
        while bodies.len() <= refused {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            for line in reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()) {
                let line = line.to_lowercase();
                assert!(!line.starts_with("content-type"), "it would spoil the signature: {line}");
                length = line.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let status = if bodies.len() < refused { "503 Slow Down" } else { "200 OK" };
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            bodies.push(String::from_utf8(body).unwrap());
        }
        bodies
    });
    (url, serve)
}

#[test]
fn an_answer_that_is_refused_twice_is_sent_again_and_is_the_same() {
    let local = world();
    for (function, resource, logical) in [
        ("stagedb-credentials-resource", "Custom::PostgresCredentials", "Credentials"),
        ("stagedb-access-resource", "Custom::PostgresAccess", "Access"),
        ("stagedb-database-resource", "Custom::PostgresDatabase", "Database"),
    ] {
        let (url, serve) = answers(2);
        let request = json!({
            "RequestType": "Create", "RequestId": format!("refused-{logical}"), "ResponseURL": url,
            "StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/shop-dev/1", "LogicalResourceId": logical,
            "ResourceType": resource, "ResourceProperties": {"Stack": "shop", "Stage": "Not a stage"},
        });
        invoke(&local, function, &request);
        let sent = serve.join().unwrap();
        assert_eq!(sent.len(), 3, "{sent:?}");
        assert!(sent.iter().all(|body| *body == sent[0]), "{sent:?}");
        let answer: Value = serde_json::from_str(&sent[0]).unwrap();
        assert_eq!(answer["Status"], "FAILED", "{answer}");
        assert_eq!(answer["RequestId"], format!("refused-{logical}"));
        assert!(answer["Reason"].as_str().unwrap().contains("Stage"), "{answer}");
    }
}

/// The event that CloudFormation sends for a stage stack with this status.
fn event(local: &LocalAws, status: &str) -> Value {
    let stack =
        local.aws(&["cloudformation", "describe-stacks", "--stack-name", "test-django2-dev"]).unwrap();
    let id = &stack["Stacks"][0]["StackId"];
    json!({
        "version": "0", "id": "00000000-0000-4000-8000-000000000000", "source": "aws.cloudformation",
        "detail-type": "CloudFormation Stack Status Change", "account": "000000000000", "region": "us-east-1",
        "time": "2026-11-22T14:53:02Z", "resources": [id],
        "detail": {"stack-id": id, "logical-resource-id": "test-django2-dev", "physical-resource-id": id,
                   "status-details": {"status": status, "status-reason": ""}, "client-request-token": ""},
    })
}

#[test]
fn events_that_are_repeated_late_and_out_of_order_change_nothing() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let definition = || container(&local, "dev");
    let with = definition();
    for status in ["UPDATE_COMPLETE", "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"] {
        invoke(&local, "stagedb-publish-variables", &event(&local, status));
    }
    assert_eq!(definition(), with, "a repeat publishes nothing new");

    let confirm = json!({"confirm": "test-django2-dev-postgres"});
    let answer = local.api("DELETE", &stage_path("dev", "/database"), Some(&confirm)).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(follow(&local, "dev").0.phase, "complete");
    let without = definition();
    assert_ne!(without, with);
    // The event for the creation arrives days late.
    for status in ["CREATE_COMPLETE", "UPDATE_COMPLETE"] {
        invoke(&local, "stagedb-publish-variables", &event(&local, status));
    }
    assert_eq!(definition(), without, "the stack's current state counts, not the event's");
}

#[test]
fn a_request_that_is_delivered_again_after_its_answer_makes_no_second_database_and_no_new_password() {
    let local = world();
    save_and_follow(&local, "dev", &micro());
    let (before, described) = (secret(&local, "dev"), instance(&local, "dev").unwrap());
    let resource = |logical: &str| {
        let all = local
            .aws(&["cloudformation", "describe-stack-resources", "--stack-name", "test-django2-dev"])
            .unwrap();
        let all = all["StackResources"].as_array().unwrap();
        all.iter().find(|resource| resource["LogicalResourceId"] == logical).unwrap().clone()
    };
    let stack =
        local.aws(&["cloudformation", "describe-stacks", "--stack-name", "test-django2-dev"]).unwrap();
    let parameters: BTreeMap<&str, &Value> = stack["Stacks"][0]["Parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| (parameter["ParameterKey"].as_str().unwrap(), &parameter["ParameterValue"]))
        .collect();
    let mut properties = json!(parameters);
    properties["SecretArn"] = resource("Secret")["PhysicalResourceId"].clone();
    properties["SubnetGroupName"] = resource("SubnetGroup")["PhysicalResourceId"].clone();
    properties["SecurityGroupId"] = resource("DatabaseSecurityGroup")["PhysicalResourceId"].clone();
    for (function, resource_type, logical) in [
        ("stagedb-credentials-resource", "Custom::PostgresCredentials", "Credentials"),
        ("stagedb-database-resource", "Custom::PostgresDatabase", "Database"),
        ("stagedb-database-resource", "Custom::PostgresDatabase", "Database"),
    ] {
        let request = json!({
            "RequestType": "Update", "RequestId": format!("again-{logical}"), "StackId": stack["Stacks"][0]["StackId"],
            "ResponseURL": local.address_for_answers().unwrap(), "LogicalResourceId": logical,
            "PhysicalResourceId": resource(logical)["PhysicalResourceId"], "ResourceType": resource_type,
            "ResourceProperties": properties,
        });
        invoke(&local, function, &request);
    }
    eventually("no execution runs", || {
        let machines = local.aws(&["stepfunctions", "list-state-machines"]).unwrap();
        let arn = machines["stateMachines"][0]["stateMachineArn"].as_str().unwrap().to_owned();
        let all = local.aws(&["stepfunctions", "list-executions", "--state-machine-arn", &arn]).unwrap();
        all["executions"].as_array().unwrap().iter().all(|execution| execution["status"] != "RUNNING")
    });
    assert_eq!(secret(&local, "dev"), before);
    assert_eq!(instance(&local, "dev").unwrap(), described);
    assert_eq!(query(&before, "select 1"), "1");
}

#[test]
fn a_state_machine_that_runs_out_of_time_is_answered_for_and_the_stage_goes_back() {
    let local = world();
    let machines = local.aws(&["stepfunctions", "list-state-machines"]).unwrap();
    let arn = machines["stateMachines"][0]["stateMachineArn"].as_str().unwrap();
    let machine =
        local.aws(&["stepfunctions", "describe-state-machine", "--state-machine-arn", arn]).unwrap();
    let mut definition: Value = serde_json::from_str(machine["definition"].as_str().unwrap()).unwrap();
    assert_eq!(definition["TimeoutSeconds"], 3480, "58 minutes, below CloudFormation's hour");
    let limit = |definition: &Value| {
        let definition = definition.to_string();
        let update = ["stepfunctions", "update-state-machine", "--state-machine-arn", arn, "--definition"];
        local.aws(&[&update[..], &[definition.as_str()]].concat()).unwrap();
    };
    definition["TimeoutSeconds"] = json!(5);
    limit(&definition);
    local.set_timings(&Timings { rds_create_seconds: Some(20.0), ..Timings::default() }).unwrap();
    save(&local, "dev", &micro(), 202);
    eventually("the database is being made", || instance(&local, "dev").is_some());
    // The rollback has the usual timeout.
    definition["TimeoutSeconds"] = json!(3480);
    limit(&definition);
    let (rebuild, _) = follow(&local, "dev");
    assert_eq!(rebuild.phase, "rolled-back", "{rebuild:?}");
    let reason = rebuild.reason.unwrap_or_default();
    assert_eq!(reason, "The state machine that works on the database ran out of time. Save again.");
    eventually("no database is left behind", || instance(&local, "dev").is_none());
    local.set_timings(&Timings { rds_create_seconds: Some(0.5), ..Timings::default() }).unwrap();
    save_and_follow(&local, "dev", &micro());
}

#[test]
fn cloudformation_gets_its_answer_even_if_the_function_that_makes_progress_is_gone() {
    answered_without("stagedb-database-progress", "Database");
}

#[test]
fn cloudformation_gets_its_answer_even_if_the_function_that_runs_clients_is_gone() {
    answered_without("stagedb-client-progress", "Logins");
}

/// Without a function, CloudFormation gets a failure for this resource.
fn answered_without(function: &str, logical_id: &str) {
    let local = world();
    let delete = ["lambda", "delete-function", "--function-name", function];
    local.aws(&delete).unwrap();
    save(&local, "dev", &micro(), 202);
    // The state machine tries again for a minute.
    let (since, limit) = (std::time::Instant::now(), std::time::Duration::from_mins(4));
    let failed = || {
        let events = local
            .aws(&["cloudformation", "describe-stack-events", "--stack-name", "test-django2-dev"])
            .unwrap();
        let events = events["StackEvents"].as_array().unwrap().clone();
        events.into_iter().find(|event| {
            event["LogicalResourceId"] == logical_id && event["ResourceStatus"] == "UPDATE_FAILED"
        })
    };
    let event = loop {
        if let Some(event) = failed() {
            break event;
        }
        assert!(since.elapsed() < limit, "there is no answer");
        std::thread::sleep(std::time::Duration::from_secs(2));
    };
    let reason = event["ResourceStatusReason"].as_str().unwrap();
    assert!(!reason.is_empty(), "{event}");
}
