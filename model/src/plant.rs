//! Planted bugs: what our functions would send or take in if they had such a defect, corrupted at the seam. They show that the
//! model finds what it is there to find.

use std::{fmt::Write, sync::Arc};

use serde_json::{Value, json};

use crate::{
    deliver::waiting,
    functions::{Kind, Process},
    services::{secrets::ORDERS_SECRET, stacks},
    wire::{Body, Call, Failure, Reply},
    world::{Invariant, Model},
};

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plant {
    /// The answer is sent again after it arrived.
    AnswersTwice,
    /// A failure is never answered.
    SwallowsFailures,
    /// A failed update is answered with another id.
    NewIdOnFailure,
    /// The rollback works towards the new properties.
    ForgetsTheSwap,
    /// A deletion by an id that was never given deletes the resource's database.
    TrustsTheId,
    /// An instance of the identifier is taken for ours, whatever its tags say.
    TrustsTheIdentifier,
    /// A repeat makes a new password, although there is one for this generation.
    NewPasswordOnRetry,
    /// What a stack was when the event was sent is published.
    PublishesTheEvent,
    /// One variable is forgotten.
    ForgetsAVariable,
    /// A variable of somebody else's is replaced.
    OverwritesVariables,
    /// A database is deleted without a final snapshot.
    SkipsTheSnapshot,
    /// What was removed is not looked for in its snapshot.
    ForgetsTheSnapshot,
    /// A change asks for the storage of the settings, also when there is more.
    ShrinksStorage,
    /// The password is among the attributes.
    TellsThePassword,
    /// A request is worked on although CloudFormation no longer waits for it, and beside the one that replaced it.
    WorksOutOfTurn,
    /// Nobody gives up, and nobody answers for an execution that ran out of time.
    NeverGivesUp,
    /// Another snapshot than the one that was asked for is restored.
    RestoresTheOldest,
    /// A stage that is let go takes the rule away that others need.
    CutsOthersOff,
    /// The credentials of another secret are copied once, and believed for ever.
    KeepsAnOldCopy,
    /// A rebuild has no token of its own, so CloudFormation asks nobody to look again.
    RebuildsWithoutAToken,
    /// After a rollback no container is restarted, whatever it read in between.
    KeepsContainersAfterARollback,
    /// Credentials are what clients read before the operation that brings them is complete.
    PublishesTooEarly,
    /// A stage takes a rule away without saying so before and looking again.
    LeavesAtOnce,
    /// A save changes the instance's class although nobody asked.
    ChangesTheClass,
    /// What clients read lacks the database's name.
    PublishesHalf,
    /// Another reason is told than that of the failure.
    TellsAnotherReason,
}

impl Plant {
    /// Every planted bug.
    pub const ALL: [Self; 26] = [
        Self::AnswersTwice,
        Self::SwallowsFailures,
        Self::NewIdOnFailure,
        Self::ForgetsTheSwap,
        Self::TrustsTheId,
        Self::TrustsTheIdentifier,
        Self::NewPasswordOnRetry,
        Self::PublishesTheEvent,
        Self::ForgetsAVariable,
        Self::OverwritesVariables,
        Self::SkipsTheSnapshot,
        Self::ForgetsTheSnapshot,
        Self::ShrinksStorage,
        Self::TellsThePassword,
        Self::WorksOutOfTurn,
        Self::NeverGivesUp,
        Self::RestoresTheOldest,
        Self::CutsOthersOff,
        Self::KeepsAnOldCopy,
        Self::RebuildsWithoutAToken,
        Self::KeepsContainersAfterARollback,
        Self::PublishesTooEarly,
        Self::LeavesAtOnce,
        Self::ChangesTheClass,
        Self::PublishesHalf,
        Self::TellsAnotherReason,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AnswersTwice => "answers-twice",
            Self::SwallowsFailures => "swallows-failures",
            Self::NewIdOnFailure => "new-id-on-failure",
            Self::ForgetsTheSwap => "forgets-the-swap",
            Self::TrustsTheId => "trusts-the-id",
            Self::TrustsTheIdentifier => "trusts-the-identifier",
            Self::NewPasswordOnRetry => "new-password-on-retry",
            Self::PublishesTheEvent => "publishes-the-event",
            Self::ForgetsAVariable => "forgets-a-variable",
            Self::OverwritesVariables => "overwrites-variables",
            Self::SkipsTheSnapshot => "skips-the-snapshot",
            Self::ForgetsTheSnapshot => "forgets-the-snapshot",
            Self::ShrinksStorage => "shrinks-storage",
            Self::TellsThePassword => "tells-the-password",
            Self::WorksOutOfTurn => "works-out-of-turn",
            Self::NeverGivesUp => "never-gives-up",
            Self::RestoresTheOldest => "restores-the-oldest",
            Self::CutsOthersOff => "cuts-others-off",
            Self::KeepsAnOldCopy => "keeps-an-old-copy",
            Self::RebuildsWithoutAToken => "rebuilds-without-a-token",
            Self::KeepsContainersAfterARollback => "keeps-containers-after-a-rollback",
            Self::PublishesTooEarly => "publishes-too-early",
            Self::LeavesAtOnce => "leaves-at-once",
            Self::ChangesTheClass => "changes-the-class",
            Self::PublishesHalf => "publishes-half",
            Self::TellsAnotherReason => "tells-another-reason",
        }
    }

    /// The invariants any of which may find it.
    #[must_use]
    pub fn found_by(self) -> &'static [Invariant] {
        match self {
            Self::AnswersTwice => &[Invariant::AnsweredOnce],
            Self::SwallowsFailures | Self::NeverGivesUp => &[Invariant::Answered],
            Self::NewIdOnFailure => &[Invariant::ValidAnswer],
            // The rollback asks for what CloudFormation does not wait for, so it never succeeds.
            Self::ForgetsTheSwap => &[Invariant::Ends, Invariant::Owned, Invariant::SecretAgrees],
            Self::TrustsTheId => &[Invariant::Owned, Invariant::SecretAgrees],
            Self::WorksOutOfTurn => &[
                Invariant::Owned,
                Invariant::SecretAgrees,
                Invariant::VariablesAgree,
                Invariant::Access,
                Invariant::ForeignUntouched,
            ],
            Self::TrustsTheIdentifier => &[Invariant::ForeignUntouched],
            Self::NewPasswordOnRetry => &[Invariant::SecretAgrees, Invariant::VariablesAgree],
            Self::PublishesTheEvent | Self::ForgetsAVariable | Self::OverwritesVariables => {
                &[Invariant::VariablesAgree]
            }
            Self::SkipsTheSnapshot | Self::RestoresTheOldest => &[Invariant::DataKept],
            Self::ForgetsTheSnapshot => &[Invariant::Ends, Invariant::DataKept, Invariant::Owned],
            Self::ShrinksStorage => &[Invariant::NeverShrinks],
            Self::TellsThePassword => &[Invariant::NothingLeaks],
            Self::CutsOthersOff => &[Invariant::Access, Invariant::ForeignUntouched],
            Self::KeepsAnOldCopy | Self::RebuildsWithoutAToken => &[Invariant::SecretAgrees],
            Self::KeepsContainersAfterARollback => &[Invariant::VariablesAgree],
            Self::PublishesTooEarly => &[Invariant::VariablesAgree, Invariant::SecretAgrees],
            Self::LeavesAtOnce => &[Invariant::Access],
            Self::ChangesTheClass => &[Invariant::Promised],
            Self::PublishesHalf => &[Invariant::LogsIn, Invariant::SecretAgrees],
            Self::TellsAnotherReason => &[Invariant::Told],
        }
    }

    /// What a function gets in place of its event.
    pub(crate) fn event(model: &Arc<Model>, kind: Kind, mut event: Value) -> Value {
        match model.plant {
            Some(Self::ForgetsTheSwap)
                if kind == Kind::DatabaseResource && event["RequestType"] == "Update" =>
            {
                let world = model.world();
                let id = event["StackId"].as_str().unwrap_or_default();
                let rolls_back =
                    world.stacks.all.get(id).is_some_and(|s| s.status == "UPDATE_ROLLBACK_IN_PROGRESS");
                drop(world);
                if rolls_back {
                    event["ResourceProperties"] = event["OldResourceProperties"].clone();
                }
            }
            Some(Self::TrustsTheId) if event["RequestType"] == "Delete" => {
                let properties = &event["ResourceProperties"];
                let text = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
                let id = format!("PostgresDatabase/{}-{}-postgres", text("Stack"), text("Stage"));
                if event["LogicalResourceId"] == "Database" {
                    event["PhysicalResourceId"] = json!(id);
                }
            }
            Some(Self::NeverGivesUp) if event["source"] == "aws.states" => {
                event["detail"]["status"] = json!("FAILED");
                event["detail"]["error"] = json!("DatabaseProgressFailed");
            }
            _ => {}
        }
        event
    }

    /// What AWS gets in place of a call; with a reply, AWS gets nothing.
    pub(crate) fn call(model: &Model, process: &Process, call: &mut Call) -> Option<Result<Reply, Failure>> {
        let plant = model.plant?;
        let operation = call.operation.clone();
        let empty = Some(Ok(Reply::Json(json!({}))));
        match (plant, operation.as_str()) {
            (Self::SwallowsFailures, "Answer") if answer(call)["Status"] == "FAILED" => return empty,
            (Self::NewIdOnFailure, "Answer") => {
                let mut content = answer(call);
                if content["Status"] == "FAILED" {
                    let id = format!("{}-failed", content["PhysicalResourceId"].as_str().unwrap_or_default());
                    content["PhysicalResourceId"] = json!(id);
                    set_answer(call, &content);
                }
            }
            (Self::TellsThePassword, "Answer") => {
                let mut content = answer(call);
                let world = model.world();
                let value = world.secrets.by_arn.values().find_map(crate::services::secrets::Secret::current);
                if let (Some(value), true) = (value, content["Data"].is_object()) {
                    content["Data"]["Password"] = value["password"].clone();
                    set_answer(call, &content);
                }
            }
            (Self::NewPasswordOnRetry, "GetSecretValue") if process.kind == Kind::CredentialsResource => {
                let is_credentials = process.current().event["LogicalResourceId"] == "Credentials";
                let of_generation =
                    call.text("VersionStage").is_some_and(|label| label.starts_with("generation-"));
                if is_credentials && of_generation {
                    return Some(Err(Failure::new(400, "ResourceNotFoundException", "no such version")));
                }
            }
            (Self::TrustsTheId, "Answer") => {
                let mut content = answer(call);
                let id = content["RequestId"].as_str().unwrap_or_default();
                let before =
                    model.world().requests.all.get(id).and_then(|request| request.physical_id.clone());
                if let Some(before) = before {
                    content["PhysicalResourceId"] = json!(before);
                    set_answer(call, &content);
                }
            }
            (Self::ForgetsAVariable, "RegisterTaskDefinition") => {
                if let Body::Json(body) = &mut call.body
                    && let Some(secrets) = body["containerDefinitions"][0]["secrets"].as_array_mut()
                {
                    secrets.retain(|secret| secret["name"] != "PG_USER");
                }
            }
            (Self::OverwritesVariables, "RegisterTaskDefinition") => {
                if let Body::Json(body) = &mut call.body
                    && let Some(environment) = body["containerDefinitions"][0]["environment"].as_array_mut()
                {
                    environment
                        .retain(|pair| !pair["name"].as_str().is_some_and(|name| name.starts_with("PG_")));
                }
            }
            (Self::SkipsTheSnapshot, "DeleteDBInstance") => {
                call.remove("FinalDBSnapshotIdentifier");
                call.set("SkipFinalSnapshot", "true".to_owned());
            }
            (Self::ShrinksStorage, "ModifyDBInstance") if call.text("AllocatedStorage").is_none() => {
                let current = process.current();
                if let Some(storage) = current.event["request"]["ResourceProperties"]["StorageGiB"].as_str() {
                    call.set("AllocatedStorage", storage.to_owned());
                }
            }
            (Self::RestoresTheOldest, "RestoreDBInstanceFromDBSnapshot") => {
                let identifier = call.text("DBInstanceIdentifier").unwrap_or_default();
                let world = model.world();
                let of_stage = world.rds.snapshots.iter().filter(|(_, s)| s.identifier == identifier);
                if let Some((id, _)) = of_stage.min_by_key(|(_, snapshot)| snapshot.taken_at) {
                    call.set("DBSnapshotIdentifier", id.clone());
                }
            }
            (Self::CutsOthersOff, "DeleteTags") => {
                model.world().ec2.rules.remove(call.text("ResourceId.1").unwrap_or_default());
                return Some(Ok(Reply::Xml("<return>true</return>".to_owned())));
            }
            (Self::KeepsAnOldCopy, "GetSecretValue") if call.text("SecretId") == Some(ORDERS_SECRET) => {
                call.set("VersionId", "theirs-1".to_owned());
            }
            _ => return Self::of_rebuild(plant, model, process, call),
        }
        None
    }

    /// The same, of what belongs to a rebuild as a whole: whose turn it is, the stack, the secret and the containers.
    fn of_rebuild(
        plant: Self,
        model: &Model,
        process: &Process,
        call: &mut Call,
    ) -> Option<Result<Reply, Failure>> {
        let operation = call.operation.clone();
        match (plant, operation.as_str()) {
            (Self::WorksOutOfTurn | Self::NeverGivesUp, "DescribeStackEvents") => {
                let is_step = process.kind == Kind::DatabaseProgress;
                if plant == Self::WorksOutOfTurn || is_step {
                    // Before the function was called, as every request is.
                    let at = model.now().saturating_sub(10_000);
                    let event = waiting(&process.current().event, at)?;
                    return Some(Ok(Reply::Xml(format!("<StackEvents>{}</StackEvents>", event.xml))));
                }
            }
            (Self::RebuildsWithoutAToken, "UpdateStack") => {
                for number in 1..40 {
                    let name = format!("Parameters.member.{number}.Parameter");
                    if matches!(call.text(&format!("{name}Key")), Some("Rebuild" | "Lookup")) {
                        call.set(&format!("{name}Value"), "none".to_owned());
                    }
                }
            }
            (Self::ChangesTheClass, "UpdateStack") if process.current().event["body"].is_string() => {
                for number in 1..40 {
                    let name = format!("Parameters.member.{number}.Parameter");
                    if call.text(&format!("{name}Key")) == Some("InstanceClass") {
                        let asked = call.text(&format!("{name}Value"));
                        let other =
                            if asked == Some("db.t4g.small") { "db.t4g.micro" } else { "db.t4g.small" };
                        call.set(&format!("{name}Value"), other.to_owned());
                    }
                }
            }
            (Self::PublishesHalf, "PutSecretValue") => {
                if let Body::Json(body) = &mut call.body
                    && let Some(mut value) = body["SecretString"].as_str().map(str::to_owned)
                    && let Some(at) = value.find("\"dbname\"")
                {
                    value.insert_str(at + 1, "not-the-");
                    body["SecretString"] = json!(value);
                }
            }
            (Self::KeepsContainersAfterARollback, "UpdateService")
                if call.text("taskDefinition").is_none() =>
            {
                let name = call.text("service").unwrap_or_default();
                let world = model.world();
                let stack = world.stacks.find(name).map(|(_, stack)| stack.status);
                if stack == Some("UPDATE_ROLLBACK_COMPLETE") {
                    return Some(Ok(Reply::Json(json!({}))));
                }
            }
            (Self::PublishesTooEarly, "PutSecretValue")
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

    /// What a function gets in place of a reply.
    pub(crate) fn reply(
        model: &Model,
        process: &Process,
        call: &Call,
        result: Result<Reply, Failure>,
    ) -> Result<Reply, Failure> {
        match (model.plant, call.operation.as_str(), result) {
            (Some(Self::TrustsTheIdentifier), "DescribeDBInstances", Ok(Reply::Xml(xml)))
                if process.kind == Kind::DatabaseProgress =>
            {
                let current = process.current();
                let request = &current.event["request"];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let mut tags = "<TagList>".to_owned();
                for (key, value) in [
                    ("stagedb:stage-stack-id", text(&request["StackId"])),
                    ("stagedb:logical-id", text(&request["LogicalResourceId"])),
                    ("stagedb:generation", text(&request["ResourceProperties"]["Generation"])),
                ] {
                    let _ = write!(tags, "<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
                }
                let (before, rest) = xml.split_once("<TagList>").unwrap_or((&xml, ""));
                let after = rest.split_once("</TagList>").map_or("", |(_, after)| after);
                let name = text(&request["ResourceProperties"]["DatabaseName"]);
                let before = before.replace("<DBName>theirs</DBName>", &format!("<DBName>{name}</DBName>"));
                Ok(Reply::Xml(format!("{before}{tags}</TagList>{after}")))
            }
            (Some(Self::TellsAnotherReason), "DescribeStackEvents", Ok(Reply::Xml(xml)))
                if process.kind == Kind::SettingsApi =>
            {
                let mark = "_FAILED</ResourceStatus><ResourceStatusReason>";
                Ok(Reply::Xml(xml.replace(mark, &format!("{mark}not this, but "))))
            }
            (Some(Self::LeavesAtOnce), "DescribeSecurityGroupRules", Ok(Reply::Xml(xml))) => {
                let current = process.current();
                let properties = &current.event["ResourceProperties"];
                let text = |name: &str| properties[name].as_str().unwrap_or_default();
                let key = format!("stagedb:leaving/{}/{}", text("Stack"), text("Stage"));
                let marked = format!("<tagSet><item><key>{key}</key><value>true</value></item>");
                let others = current.event["RequestType"] != "Delete" && text("Source") == "attached";
                Ok(Reply::Xml(if others { xml } else { xml.replace("<tagSet>", &marked) }))
            }
            (Some(Self::ForgetsTheSnapshot), "DescribeDBSnapshots", Ok(Reply::Xml(_))) => {
                Ok(Reply::Xml("<DBSnapshots></DBSnapshots>".to_owned()))
            }
            (Some(Self::OverwritesVariables), "DescribeTaskDefinition", Ok(Reply::Json(mut value))) => {
                if let Some(environment) =
                    value["taskDefinition"]["containerDefinitions"][0]["environment"].as_array_mut()
                {
                    environment
                        .retain(|pair| !pair["name"].as_str().is_some_and(|name| name.starts_with("PG_")));
                }
                Ok(Reply::Json(value))
            }
            (Some(Self::PublishesTheEvent), "DescribeStacks", result)
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

    /// Keeps what the stack is as an event about it is sent.
    pub(crate) fn stack_changed(model: &Model, event: &Value) {
        if model.plant != Some(Self::PublishesTheEvent) {
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

    /// The planted bug of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plant| plant.name() == name)
    }
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
