//! How planted bugs change calls and events at the seam.

use std::{fmt::Write, sync::Arc};

use serde_json::{Value, json};

use crate::{
    base::{
        kind::Kind,
        wire::{Body, Call, Failure, Reply},
    },
    plans::plant::Plant,
    services::{
        secrets::{ORDERS_SECRET, Secret},
        stacks::{self, StackEvent},
    },
    world::{model::Model, process::Process},
};

/// The event that a function receives instead of the original.
pub(crate) fn event(model: &Arc<Model>, kind: Kind, mut event: Value) -> Value {
    match model.plant {
        Some(Plant::ForgetsTheSwap) if kind == Kind::DatabaseResource && event["RequestType"] == "Update" => {
            let world = model.world();
            let id = event["StackId"].as_str().unwrap_or_default();
            let rolls_back =
                world.stacks.all.get(id).is_some_and(|s| s.status == "UPDATE_ROLLBACK_IN_PROGRESS");
            drop(world);
            if rolls_back {
                event["ResourceProperties"] = event["OldResourceProperties"].clone();
            }
        }
        Some(Plant::TrustsTheId) if event["RequestType"] == "Delete" => {
            let properties = &event["ResourceProperties"];
            let text = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
            let id = format!("PostgresDatabase/{}-{}-postgres", text("Stack"), text("Stage"));
            if event["LogicalResourceId"] == "Database" {
                event["PhysicalResourceId"] = json!(id);
            }
        }
        Some(Plant::NeverGivesUp) if event["source"] == "aws.states" => {
            event["detail"]["status"] = json!("FAILED");
            event["detail"]["error"] = json!("DatabaseProgressFailed");
        }
        _ => {}
    }
    event
}

fn set_command(call: &mut Call, command: Value) {
    if let Body::Json(body) = &mut call.body {
        body["overrides"]["containerOverrides"][0]["command"][0] = command;
    }
}

/// Changes a call before it reaches AWS. If this returns a reply, AWS doesn't receive the call.
pub(crate) fn call(model: &Model, process: &Process, call: &mut Call) -> Option<Result<Reply, Failure>> {
    let plant = model.plant?;
    let operation = call.operation.clone();
    let empty = Some(Ok(Reply::Json(json!({}))));
    match (plant, operation.as_str()) {
        (Plant::StartsUnrecorded, "PutLogEvents") => return empty,
        (Plant::KeepsTheOldMaster, "UpdateSecretVersionStage") if moves_a_generation(call) => return empty,
        (Plant::SwallowsFailures, "Answer") if answer(call)["Status"] == "FAILED" => return empty,
        (Plant::NewIdOnFailure, "Answer") => {
            let mut content = answer(call);
            if content["Status"] == "FAILED" {
                let id = format!("{}-failed", content["PhysicalResourceId"].as_str().unwrap_or_default());
                content["PhysicalResourceId"] = json!(id);
                set_answer(call, &content);
            }
        }
        (Plant::TellsThePassword, "Answer") => {
            let mut content = answer(call);
            let world = model.world();
            let value = world.secrets.by_arn.values().find_map(Secret::current);
            if let (Some(value), true) = (value, content["Data"].is_object()) {
                content["Data"]["Password"] = value["password"].clone();
                set_answer(call, &content);
            }
        }
        (Plant::NewPasswordOnRetry, "GetSecretValue") if process.kind == Kind::CredentialsResource => {
            let is_credentials = process.current().event["LogicalResourceId"] == "Credentials";
            let of_generation =
                call.text("VersionStage").is_some_and(|label| label.starts_with("generation-"));
            if is_credentials && of_generation {
                return Some(Err(Failure::new(400, "ResourceNotFoundException", "no such version")));
            }
        }
        (Plant::TrustsTheId, "Answer") => {
            let mut content = answer(call);
            let id = content["RequestId"].as_str().unwrap_or_default();
            let before = model.world().requests.all.get(id).and_then(|request| request.physical_id.clone());
            if let Some(before) = before {
                content["PhysicalResourceId"] = json!(before);
                set_answer(call, &content);
            }
        }
        (Plant::ProvesWithoutRunning, "DescribeTasks") => {
            let task = json!({
                "taskArn": call.json()["tasks"][0], "lastStatus": "STOPPED",
                "containers": [{"name": "client", "exitCode": 0}],
            });
            return Some(Ok(Reply::Json(json!({"tasks": [task], "failures": []}))));
        }
        (Plant::NeverDisables, "RunTask") if process.current().event["settle"].is_object() => {
            set_command(call, json!(database::connect_command()));
        }
        (Plant::CommandsThePassword, "RunTask") => {
            let world = model.world();
            let password = world.secrets.by_arn.values().find_map(Secret::current);
            if let Some(value) = password {
                set_command(call, value["password"].clone());
            }
        }
        (Plant::ForgetsAVariable, "RegisterTaskDefinition") => {
            if let Body::Json(body) = &mut call.body
                && let Some(secrets) = body["containerDefinitions"][0]["secrets"].as_array_mut()
            {
                secrets.retain(|secret| secret["name"] != "PG_USER");
            }
        }
        (Plant::OverwritesVariables, "RegisterTaskDefinition") => {
            if let Body::Json(body) = &mut call.body
                && let Some(environment) = body["containerDefinitions"][0]["environment"].as_array_mut()
            {
                environment.retain(|pair| !pair["name"].as_str().is_some_and(|name| name.starts_with("PG_")));
            }
        }
        (Plant::SkipsTheSnapshot, "DeleteDBInstance") => {
            call.remove("FinalDBSnapshotIdentifier");
            call.set("SkipFinalSnapshot", "true".to_owned());
        }
        (Plant::ShrinksStorage, "ModifyDBInstance") if call.text("AllocatedStorage").is_none() => {
            let current = process.current();
            if let Some(storage) = current.event["request"]["ResourceProperties"]["StorageGiB"].as_str() {
                call.set("AllocatedStorage", storage.to_owned());
            }
        }
        (Plant::RestoresTheOldest, "RestoreDBInstanceFromDBSnapshot") => {
            let identifier = call.text("DBInstanceIdentifier").unwrap_or_default();
            let world = model.world();
            let of_stage = world.rds.snapshots.iter().filter(|(_, s)| s.identifier == identifier);
            if let Some((id, _)) = of_stage.min_by_key(|(_, snapshot)| snapshot.taken_at) {
                call.set("DBSnapshotIdentifier", id.clone());
            }
        }
        (Plant::CutsOthersOff, "DeleteTags") => {
            model.world().ec2.rules.remove(call.text("ResourceId.1").unwrap_or_default());
            return Some(Ok(Reply::Xml("<return>true</return>".to_owned())));
        }
        (Plant::KeepsAnOldCopy, "GetSecretValue") if call.text("SecretId") == Some(ORDERS_SECRET) => {
            call.set("VersionId", "theirs-1".to_owned());
        }
        _ => return of_rebuild(plant, model, process, call),
    }
    None
}

/// The same for calls that concern a rebuild as a whole: whose turn it is, the stack, the secret, and the containers.
fn of_rebuild(
    plant: Plant,
    model: &Model,
    process: &Process,
    call: &mut Call,
) -> Option<Result<Reply, Failure>> {
    let operation = call.operation.clone();
    match (plant, operation.as_str()) {
        (Plant::WorksOutOfTurn | Plant::NeverGivesUp, "DescribeStackEvents") => {
            let is_step = process.kind == Kind::DatabaseProgress;
            if plant == Plant::WorksOutOfTurn || is_step {
                // Before the function was invoked, as for every request.
                let at = model.now().saturating_sub(10_000);
                let event = StackEvent::waiting(&process.current().event, at)?;
                return Some(Ok(Reply::Xml(format!("<StackEvents>{}</StackEvents>", event.xml))));
            }
        }
        (Plant::RebuildsWithoutAToken, "UpdateStack") => {
            for number in 1..40 {
                let name = format!("Parameters.member.{number}.Parameter");
                if matches!(call.text(&format!("{name}Key")), Some("Rebuild" | "Lookup")) {
                    call.set(&format!("{name}Value"), "none".to_owned());
                }
            }
        }
        (Plant::ChangesTheClass, "UpdateStack") if process.current().event["body"].is_string() => {
            for number in 1..40 {
                let name = format!("Parameters.member.{number}.Parameter");
                if call.text(&format!("{name}Key")) == Some("InstanceClass") {
                    let asked = call.text(&format!("{name}Value"));
                    let other = if asked == Some("db.t4g.small") { "db.t4g.micro" } else { "db.t4g.small" };
                    call.set(&format!("{name}Value"), other.to_owned());
                }
            }
        }
        (Plant::PublishesHalf, "PutSecretValue") => {
            if let Body::Json(body) = &mut call.body
                && let Some(mut value) = body["SecretString"].as_str().map(str::to_owned)
                && let Some(at) = value.find("\"dbname\"")
            {
                value.insert_str(at + 1, "not-the-");
                body["SecretString"] = json!(value);
            }
        }
        (Plant::CopiesItsPrevious, "RegisterTaskDefinition") => {
            if let Body::Json(body) = &mut call.body {
                let world = model.world();
                let of_family = world.ecs.definitions.values().filter(|d| d["family"] == body["family"]);
                let ours = of_family.filter(|d| d["containerDefinitions"][0]["secrets"][0].is_object());
                if let Some(previous) = ours.max_by_key(|d| d["revision"].as_u64()) {
                    let image = previous["containerDefinitions"][0]["image"].clone();
                    body["containerDefinitions"][0]["image"] = image;
                }
            }
        }
        (Plant::PublishesToAnother, "UpdateService") if call.text("taskDefinition").is_some() => {
            let name = call.text("service").unwrap_or_default();
            if !name.ends_with("-worker") {
                call.set("service", format!("{name}-worker"));
            }
        }
        (Plant::KeepsContainersAfterARollback, "UpdateService") if call.text("taskDefinition").is_none() => {
            let name = call.text("service").unwrap_or_default();
            let world = model.world();
            let stack = world.stacks.find(name).map(|(_, stack)| stack.status);
            if stack == Some("UPDATE_ROLLBACK_COMPLETE") {
                return Some(Ok(Reply::Json(json!({}))));
            }
        }
        (Plant::PublishesTooEarly, "PutSecretValue")
            if process.current().event["LogicalResourceId"] == "Credentials" =>
        {
            if let Body::Json(body) = &mut call.body
                && let Some(labels) = body["VersionStages"].as_array_mut()
            {
                labels.push(json!("AWSCURRENT"));
            }
        }
        _ => {}
    }
    None
}

/// Whether a call makes another version that of a generation, which only a rotation of the master user's password does.
fn moves_a_generation(call: &Call) -> bool {
    let is_of_generation = call.text("VersionStage").is_some_and(|label| label.starts_with("generation-"));
    is_of_generation && call.text("MoveToVersionId").is_some()
}

/// The reply that a function receives instead of the original.
pub(crate) fn reply(
    model: &Model,
    process: &Process,
    call: &Call,
    result: Result<Reply, Failure>,
) -> Result<Reply, Failure> {
    match (model.plant, call.operation.as_str(), result) {
        (Some(Plant::TrustsTheIdentifier), "DescribeDBInstances", Ok(Reply::Xml(xml)))
            if process.kind == Kind::DatabaseProgress =>
        {
            let current = process.current();
            let request = &current.event["request"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            // Its other tags stay.
            let (before, rest) = xml.split_once("<TagList>").unwrap_or((&xml, ""));
            let (theirs, after) = rest.split_once("</TagList>").unwrap_or_default();
            let mut tags = format!("<TagList>{theirs}");
            for (key, value) in [
                ("stagedb:stage-stack-id", text(&request["StackId"])),
                ("stagedb:logical-id", text(&request["LogicalResourceId"])),
                ("stagedb:generation", text(&request["ResourceProperties"]["Generation"])),
            ] {
                let _ = write!(tags, "<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
            }
            let name = text(&request["ResourceProperties"]["DatabaseName"]);
            let before = before.replace("<DBName>theirs</DBName>", &format!("<DBName>{name}</DBName>"));
            Ok(Reply::Xml(format!("{before}{tags}</TagList>{after}")))
        }
        (Some(Plant::TellsAnotherReason), "DescribeStackEvents", Ok(Reply::Xml(xml)))
            if process.kind == Kind::SettingsApi =>
        {
            let mark = "_FAILED</ResourceStatus><ResourceStatusReason>";
            Ok(Reply::Xml(xml.replace(mark, &format!("{mark}not this, but "))))
        }
        (Some(Plant::LeavesAtOnce), "DescribeSecurityGroupRules", Ok(Reply::Xml(xml))) => {
            let current = process.current();
            let properties = &current.event["ResourceProperties"];
            let text = |name: &str| properties[name].as_str().unwrap_or_default();
            let key = format!("stagedb:leaving/{}/{}", text("Stack"), text("Stage"));
            let marked = format!("<tagSet><item><key>{key}</key><value>true</value></item>");
            let others = current.event["RequestType"] != "Delete" && text("Source") == "attached";
            Ok(Reply::Xml(if others { xml } else { xml.replace("<tagSet>", &marked) }))
        }
        (Some(Plant::DisablesTooEarly), "ListTasks", Ok(Reply::Json(_))) => {
            Ok(Reply::Json(json!({"taskArns": []})))
        }
        (Some(Plant::ForgetsTheSnapshot), "DescribeDBSnapshots", Ok(Reply::Xml(_))) => {
            Ok(Reply::Xml("<DBSnapshots></DBSnapshots>".to_owned()))
        }
        (Some(Plant::RestoresForever), "DescribeTaskDefinition", Ok(Reply::Json(mut value)))
            if process.current().event["source"] == "aws.ecs" =>
        {
            value["taskDefinition"]["containerDefinitions"][0]["secrets"] = json!([]);
            Ok(Reply::Json(value))
        }
        (Some(Plant::RestoresForever), "DescribeServices", Ok(Reply::Json(mut value))) => {
            if let Some(tags) = value["services"][0]["tags"].as_array_mut() {
                tags.retain(|tag| tag["key"] != "stagedb:restored");
            }
            Ok(Reply::Json(value))
        }
        (Some(Plant::OverwritesVariables), "DescribeTaskDefinition", Ok(Reply::Json(mut value))) => {
            if let Some(environment) =
                value["taskDefinition"]["containerDefinitions"][0]["environment"].as_array_mut()
            {
                environment.retain(|pair| !pair["name"].as_str().is_some_and(|name| name.starts_with("PG_")));
            }
            Ok(Reply::Json(value))
        }
        (Some(Plant::PublishesTheEvent), "DescribeStacks", result)
            if process.kind == Kind::PublishVariables =>
        {
            let current = process.current();
            let id = current.event["id"].as_str().unwrap_or_default();
            let about = current.event.pointer("/detail/stack-id").and_then(Value::as_str);
            match model.world().snapshots.get(id).filter(|_| call.text("StackName") == about) {
                Some(snapshot) => Ok(Reply::Xml(snapshot.clone())),
                None => result,
            }
        }
        (_, _, result) => result,
    }
}

/// Remembers the state of the stack at the time when an event about it is sent.
pub(crate) fn stack_changed(model: &Model, event: &Value) {
    if model.plant != Some(Plant::PublishesTheEvent) {
        return;
    }
    let mut world = model.world();
    let id = event["detail"]["stack-id"].as_str().unwrap_or_default();
    let mut xml = "<Stacks>".to_owned();
    if let Some(stack) = world.stacks.all.get(id) {
        stacks::describe(&mut xml, id, stack);
    }
    let event_id = event["id"].as_str().unwrap_or_default().to_owned();
    world.snapshots.insert(event_id, xml + "</Stacks>");
}

fn answer(call: &Call) -> Value {
    match &call.body {
        Body::Answer { text, .. } => serde_json::from_str(text).unwrap_or_default(),
        Body::Query(_) | Body::Json(_) => Value::Null,
    }
}

fn set_answer(call: &mut Call, content: &Value) {
    if let Body::Answer { text, .. } = &mut call.body {
        *text = content.to_string();
    }
}
