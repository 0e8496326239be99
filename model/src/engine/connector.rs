//! The seam: an HTTP client for the SDK that reads the real requests and responds as AWS would, or injects a fault.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};

use database::Leftover;
use serde_json::{Value, json};

use crate::{
    base::{
        clock::{BEGINNING, pass},
        invariant::Invariant,
        kind::Kind,
        random::Random,
        wire::{self, Body, Call, Failure, Reply, Service},
    },
    engine::planted,
    plans::{
        fault::{At, Fault, FaultKind},
        plan::Weather,
        plant::Plant,
    },
    services::{
        begun::Begun,
        secrets::{ORDERS_SECRET, Secret},
        stacks::{Moment, Stack},
    },
    world::{
        log::leaks,
        model::{Model, World},
        process::{Process, Shown},
    },
};

/// Connects the SDK clients of a process to the model. Creating clients takes as long as some calls, so they're reused
/// by one history after the other: each history gives its processes a seat.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seat(Arc<Mutex<Option<Connector>>>);

impl Seat {
    /// The seat for a new process.
    pub(crate) fn of(model: &Arc<Model>, process: &Arc<Process>) -> Self {
        let seat = Self::default();
        seat.take(model, process);
        seat
    }

    /// From now on, this process uses the clients.
    pub(crate) fn take(&self, model: &Arc<Model>, process: &Arc<Process>) {
        *self.connector() = Some(Connector { model: Arc::clone(model), process: Arc::clone(process) });
    }

    /// Called when the history has ended.
    pub(crate) fn leave(&self) {
        *self.connector() = None;
    }

    fn connector(&self) -> MutexGuard<'_, Option<Connector>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpConnector for Seat {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.connector().clone();
        HttpConnectorFuture::new_boxed(Box::pin(async move {
            match connector {
                Some(connector) => connector.exchange(request).await,
                None => Err(ConnectorError::user("the history has ended".into())),
            }
        }))
    }
}

impl TimeSource for Seat {
    fn now(&self) -> SystemTime {
        let clock = self.connector().as_ref().map(|connector| connector.model.clock);
        clock.map_or(BEGINNING.into(), |clock| clock.date().into())
    }
}

/// The SDK's jitter uses this thread's random generator. So do clients when they're made, at the first use in a process,
/// which may be the process of an earlier history. So each call begins and ends with a state of its own.
struct Jitter {
    seed: u64,
    number: u64,
}

impl Jitter {
    fn of(seed: u64, number: u64) -> Self {
        fastrand::seed(Random::of(seed, "jitter", number).next());
        Self { seed, number }
    }
}

impl Drop for Jitter {
    fn drop(&mut self) {
        fastrand::seed(Random::of(self.seed, "jitter after", self.number).next());
    }
}

/// The HTTP client of one process.
#[derive(Debug, Clone)]
struct Connector {
    model: Arc<Model>,
    process: Arc<Process>,
}

impl Connector {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let model = &self.model;
        if !self.process.is_alive() {
            return std::future::pending().await;
        }
        let Some(mut call) = Call::read(&request) else {
            model.violated(Invariant::KnownCalls, format!("{} {}", request.method(), request.uri()));
            return Err(ConnectorError::user("the model doesn't know this call".into()));
        };
        let (number, fault) = self.fault(&call);
        let _jitter = Jitter::of(model.plan.seed, number);
        model.cut_off_if_endless();
        pass(Random::of(model.plan.seed, "latency", number).within(5, 60)).await;
        if !self.process.is_alive() {
            return std::future::pending().await;
        }
        match fault {
            Some(FaultKind::Fails) => {
                let failure = match call.service {
                    Service::Answers => Failure::new(503, "ServiceUnavailable", "Service Unavailable"),
                    _ => Failure::new(500, "InternalFailure", "We encountered an internal error."),
                };
                return Ok(wire::response(&call, Err(failure)));
            }
            Some(FaultKind::Throttles) => {
                let failure = match call.service {
                    Service::CloudFormation | Service::Rds => {
                        Failure::new(400, "Throttling", "Rate exceeded")
                    }
                    Service::Ec2 => Failure::new(503, "RequestLimitExceeded", "Request limit exceeded."),
                    Service::Answers => Failure::new(503, "SlowDown", "Please reduce your request rate."),
                    _ => Failure::new(400, "ThrottlingException", "Rate exceeded"),
                };
                return Ok(wire::response(&call, Err(failure)));
            }
            Some(FaultKind::Hangs) => return std::future::pending().await,
            Some(FaultKind::Dies) => {
                self.process.die();
                return std::future::pending().await;
            }
            None | Some(FaultKind::LosesReply | FaultKind::HangsAfter | FaultKind::DiesAfter) => {}
        }
        let result = match planted::call(model, &self.process, &mut call) {
            Some(result) => result,
            None => self.perform(&call),
        };
        match fault {
            Some(FaultKind::LosesReply) => return Err(ConnectorError::io("connection reset by peer".into())),
            Some(FaultKind::HangsAfter) => return std::future::pending().await,
            Some(FaultKind::DiesAfter) => {
                self.process.die();
                return std::future::pending().await;
            }
            _ => {}
        }
        if let (Body::Answer { url, .. }, Ok(_)) = (&call.body, &result) {
            let invocation = self.process.current().invocation;
            let times = if model.plant == Some(Plant::AnswersTwice) { 2 } else { 1 };
            for _ in 0..times {
                let wrong = model.world().requests.tell(url, invocation);
                if let Some((invariant, words)) = wrong {
                    model.violated(invariant, words);
                }
            }
        }
        let result = planted::reply(model, &self.process, &call, result);
        Ok(wire::response(&call, result))
    }

    /// The number of this call, and its fault, if any.
    fn fault(&self, call: &Call) -> (u64, Option<FaultKind>) {
        let now = self.model.now();
        let mut guard = self.model.world();
        let world = &mut *guard;
        let number = world.figures.calls;
        world.figures.calls += 1;
        *world.figures.calls_of.entry(self.process.kind).or_default() += 1;
        let mut current = self.process.current();
        if world.settled || !current.faults {
            return (number, None);
        }
        let kind = self.process.kind;
        let counted = world.recorder.count(kind, &call.operation);
        let hits = |fault: &&Fault| match fault.at {
            At::Call(call) => u64::from(call) == number,
            At::Of { point, nth } => Some((point, nth)) == counted,
        };
        let planned = self.model.plan.faults.iter().find(hits).copied();
        let fault = planned.or_else(|| {
            let (operation, fault) = current.ongoing.as_ref()?;
            (*operation == call.operation && fault.tries > 0).then_some(*fault)
        });
        if let Some((point, nth)) = counted {
            let happens = fault.map(|fault| fault.kind);
            let seen = (&world.stacks, &world.requests);
            world.recorder.record((kind, point, nth), &current, seen, now, happens);
        }
        let Some(fault) = fault else {
            current.ongoing = None;
            return (number, None);
        };
        current.ongoing =
            Some((call.operation.clone(), Fault { tries: fault.tries.saturating_sub(1), ..fault }));
        *world.figures.faults.entry(fault.kind).or_default() += 1;
        if let Some(request) = current.request.as_ref().and_then(|id| world.requests.all.get_mut(id)) {
            request.disturbed = true;
        }
        drop(current);
        drop(guard);
        self.model.note(|| {
            let effect = if fault.kind.takes_effect() { "takes effect, " } else { "" };
            format!("call {number} {}: {effect}{}", call.operation, fault.kind.name())
        });
        (number, Some(fault.kind))
    }

    /// Performs the call as AWS would.
    fn perform(&self, call: &Call) -> Result<Reply, Failure> {
        let model = &self.model;
        let now = model.now();
        let result = match call.service {
            Service::CloudFormation => {
                let result = self.cloudformation(call);
                if call.operation == "UpdateStack" && result.is_ok() {
                    self.remember_typed(call);
                    self.remember_rebuild(call, now);
                }
                result
            }
            Service::StepFunctions => {
                let result = model.world().executions.call(call, now);
                self.begun(result)
            }
            Service::Rds => self.rds(call, now),
            Service::Ec2 => model.world().ec2.call(call),
            Service::SecretsManager => {
                if call.text("SecretId") == Some(ORDERS_SECRET)
                    && !["GetSecretValue", "DescribeSecret"].contains(&call.operation.as_str())
                {
                    model.violated(Invariant::ForeignUntouched, format!("{} of its secret", call.operation));
                }
                self.check_proved(call);
                let result = model.world().secrets.call(call, now);
                if call.operation == "UpdateSecretVersionStage" && result.is_ok() {
                    self.check_followed(call);
                }
                result
            }
            Service::Logs => model.world().logs.call(call),
            Service::Parameters => model.world().parameters.call(call),
            Service::Ecs if call.operation == "ListTasks" => {
                let world = model.world();
                Ok(Reply::Json(json!({"taskArns": world.listed_tasks(call, now)})))
            }
            Service::Ecs
                if call.operation == "DescribeTasks"
                    && call.json()["tasks"][0].as_str().is_some_and(crate::services::ecs::is_of_service) =>
            {
                let world = model.world();
                Ok(Reply::Json(json!({"tasks": world.ecs.described_tasks(call, now), "failures": []})))
            }
            Service::Ecs if ["RunTask", "DescribeTasks", "StopTask"].contains(&call.operation.as_str()) => {
                if leaks(&call.json().to_string()) {
                    model.violated(Invariant::NothingLeaks, format!("a secret in {}", call.operation));
                }
                let result = model.world().clients.call(call);
                self.begun(result)
            }
            Service::Ecs => {
                let result = {
                    let mut world = model.world();
                    let World { ecs, secrets, .. } = &mut *world;
                    ecs.call(call, now, secrets)
                };
                self.begun(result)
            }
            Service::EventBridge => {
                let reply = json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]});
                self.begun(Ok((Reply::Json(reply), Some(Begun::Events(call.json().clone())))))
            }
            Service::Answers => Ok(self.answer(call)),
        };
        if let Err(failure) = &result
            && ["InvalidAction", "UnknownOperationException"].contains(&failure.code)
        {
            model.violated(Invariant::KnownCalls, format!("{:?} has no {}", call.service, call.operation));
        }
        let invocation = self.process.current().invocation;
        model.note(|| match &result {
            Ok(_) => format!("  #{invocation} {}{}", call.operation, detail(call)),
            Err(failure) => format!(
                "  #{invocation} {}{}: {} {}",
                call.operation,
                detail(call),
                failure.code,
                failure.message
            ),
        });
        result
    }

    fn cloudformation(&self, call: &Call) -> Result<Reply, Failure> {
        let model = &self.model;
        let mut moment = Moment { now: model.now(), number: 0, events_until: model.now() };
        match call.operation.as_str() {
            "CreateStack" => moment.number = model.issue(),
            "DescribeStackEvents" => {
                let mut random = model.random("events");
                if !model.world().settled && random.chance(model.plan.weather.stale) {
                    moment.events_until -= random.within(0, 3_000).min(moment.now);
                }
            }
            _ => {}
        }
        if let Some(token) =
            call.text("ClientRequestToken").filter(|_| self.process.kind == Kind::SettingsApi)
            && !model.world().logs.contain(&format!("\"token\":\"{token}\""))
        {
            model.violated(Invariant::Recorded, format!("{} with the token {token}", call.operation));
        }
        let result = model.world().stacks.call(call, &moment);
        self.begun(result)
    }

    /// What clients read from now on must have been proved.
    fn check_proved(&self, call: &Call) {
        let labels = call.json()["VersionStages"].as_array().into_iter().flatten();
        let publishes = call.operation == "PutSecretValue" && labels.into_iter().any(|l| l == "AWSCURRENT");
        let value = call.text("SecretString").unwrap_or_default();
        if !publishes {
            return;
        }
        let is_right = {
            let world = self.model.world();
            // A rollback to credentials that are copied copies what their owner says at that time, and it can be continued later.
            let event = &self.process.current().event;
            let stack = event["StackId"].as_str().and_then(|id| world.stacks.all.get(id));
            let rolls_back = stack.is_some_and(|stack| stack.status == "UPDATE_ROLLBACK_IN_PROGRESS");
            let copied = world.rotations.iter().any(|(_, password)| value.contains(password.as_str()));
            world.clients.proved.contains(value) || (rolls_back && copied)
        };
        if !is_right {
            self.model.violated(Invariant::Proved, "no client has connected with what is published");
        }
    }

    /// Once a login is settled, a change back to the master user could begin. Until the master user has the password that is due, the label
    /// of the next one refuses that.
    fn check_followed(&self, call: &Call) {
        let words = {
            let world = self.model.world();
            let arn = call.text("SecretId").unwrap_or_default();
            let is_at_rest = |stack: &&Stack| {
                ["UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"].contains(&stack.status)
                    && stack.source() == "created"
                    && stack.outputs.get("SecretArn").is_some_and(|own| own == arn)
            };
            let Some(stack) = world.stacks.all.values().find(is_at_rest) else { return };
            let Some(login) = stack.login().filter(|login| !login.is_master) else { return };
            let Ok(generation) = stack.parameter("Generation").to_owned().try_into() else { return };
            let own = world.secrets.by_arn.get(arn).map(Secret::labels).unwrap_or_default();
            let master = stack.outputs.get("MasterSecretArn").and_then(|arn| world.secrets.by_arn.get(arn));
            let master = master.map(Secret::labels).unwrap_or_default();
            let is_settled = Leftover::of(own, &generation, Some(&login)).is_none();
            let is_due = !master.contains(login.staging_label().as_str());
            if !is_settled || !is_due || master.contains("stagedb-next") {
                return;
            }
            format!("the login of {} is settled before the master user's next password is stored", stack.name)
        };
        self.model.violated(Invariant::Settled, words);
    }

    /// Runs the operation that a call has started.
    fn begun(&self, result: Result<(Reply, Option<Begun>), Failure>) -> Result<Reply, Failure> {
        let (reply, begun) = result?;
        if let Some(begun) = begun {
            (self.model.begin)(&self.model, begun);
        }
        Ok(reply)
    }

    /// Remembers when a user asked for a rebuild, whatever the call says. A registration asks for none.
    fn remember_rebuild(&self, call: &Call, now: u64) {
        let is_registration = {
            let current = self.process.current();
            let path = current.event["rawPath"].as_str().unwrap_or_default();
            !path.ends_with("/database") && !path.ends_with("/rebuild")
        };
        let mut world = self.model.world();
        let id = world.stacks.find(call.text("StackName").unwrap_or_default()).map(|(id, _)| id.clone());
        let stack = id.and_then(|id| world.stacks.all.get_mut(&id)).filter(|_| !is_registration);
        if let Some(stack) = stack {
            stack.rebuilt = Some(now);
        }
    }

    /// Remembers the password that the user typed for the generation that a save starts.
    fn remember_typed(&self, call: &Call) {
        let body = self.process.current().event["body"].as_str().unwrap_or_default().to_owned();
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let Some(password) = body["credentials"]["password"].as_str() else { return };
        let parameters = call.pairs("Parameters.member", "ParameterKey", "ParameterValue");
        let generation = parameters.get("Generation").cloned().unwrap_or_default();
        let mut world = self.model.world();
        let found = world.stacks.find(call.text("StackName").unwrap_or_default());
        let Some(name) = found.map(|(_, stack)| stack.name.clone()) else { return };
        world.typed.insert((name, generation), password.to_owned());
    }

    fn answer(&self, call: &Call) -> Reply {
        let Body::Answer { url, text, content_type } = &call.body else { return Reply::Xml(String::new()) };
        if call.operation != "Answer" {
            self.model.violated(Invariant::ValidAnswer, "an answer must be sent with PUT");
        }
        let wrong = self.model.world().requests.answer(url, text, content_type.as_deref());
        for (invariant, words) in wrong {
            self.model.violated(invariant, words);
        }
        Reply::Xml(String::new())
    }

    fn rds(&self, call: &Call, now: u64) -> Result<Reply, Failure> {
        let model = &self.model;
        let of_arn = call.text("ResourceName").and_then(|arn| arn.rsplit(':').next());
        let identifier = call.text("DBInstanceIdentifier").or(of_arn).unwrap_or_default();
        let mut guard = model.world();
        let world = &mut *guard;
        world.rds.advance(now);
        let truth = world.rds.instances.get(identifier).map(|instance| self.as_shown(instance));
        let mut wrong = None;
        if ["ModifyDBInstance", "DeleteDBInstance", "CreateDBSnapshot", "AddTagsToResource"]
            .contains(&call.operation.as_str())
        {
            let shown = self.process.current().shown.get(identifier).copied().or(truth);
            if shown.is_some_and(|shown| shown.foreign) {
                wrong = Some((Invariant::ForeignUntouched, format!("{} of {identifier}", call.operation)));
            }
            let asked = call.number("AllocatedStorage");
            if let (Some(shown), Some(asked)) = (shown, asked)
                && asked < shown.storage
            {
                wrong = Some((
                    Invariant::NeverShrinks,
                    format!("{identifier} from {} to {asked} GiB", shown.storage),
                ));
            }
        }
        if call.operation == "ModifyDBInstance" && call.flag("ApplyImmediately") {
            let found = world.rds.instances.get(identifier);
            let differs = |name: &str, of: &str| call.text(name).is_some_and(|asked| !of.starts_with(asked));
            let interrupts = found.is_some_and(|i| {
                differs("DBInstanceClass", &i.class) || differs("EngineVersion", &i.version)
            });
            let name = identifier.trim_end_matches("-postgres");
            let is_forward =
                world.stacks.find(name).is_some_and(|(_, stack)| stack.status == "UPDATE_IN_PROGRESS");
            if interrupts && is_forward && world.promised.get(name) == Some(&false) {
                wrong = Some((
                    Invariant::Promised,
                    format!("{identifier} is interrupted without being announced"),
                ));
            }
        }
        let was_available = world.rds.instances.get(identifier).is_some_and(|i| i.was_available.is_some());
        let weather = if world.settled { Weather::default() } else { model.plan.weather };
        let result = world.rds.call(call, now, model.plan.seed, &weather);
        match (call.operation.as_str(), &result) {
            ("DescribeDBInstances", Ok(_)) => {
                if let Some(shown) = world.rds.shown(identifier, now).map(|instance| self.as_shown(instance))
                {
                    self.process.current().shown.insert(identifier.to_owned(), shown);
                }
            }
            ("CreateDBInstance" | "RestoreDBInstanceFromDBSnapshot", Ok(_)) => world.figures.databases += 1,
            ("DeleteDBInstance", Ok(_)) if call.text("FinalDBSnapshotIdentifier").is_some() => {
                world.figures.snapshots += 1;
            }
            ("DeleteDBInstance", Ok(_)) if was_available => {
                wrong =
                    Some((Invariant::DataKept, format!("{identifier} is deleted without a final snapshot")));
            }
            _ => {}
        }
        drop(guard);
        if let Some((invariant, words)) = wrong {
            model.violated(invariant, words);
        }
        result
    }

    fn as_shown(&self, instance: &crate::services::rds::Instance) -> Shown {
        let current = self.process.current();
        let event =
            current.event.get("request").filter(|request| !request.is_null()).unwrap_or(&current.event);
        let tag = |key: &str| instance.tags.get(key).map(String::as_str);
        // An execution without a request is about the stage's own database.
        let own = ["settle", "downtime"].into_iter().find_map(|of| event[of]["stackId"].as_str());
        let own = own.map(|id| (Some(id), Some("Database")));
        let (stack, logical) =
            own.unwrap_or((event["StackId"].as_str(), event["LogicalResourceId"].as_str()));
        let ours = tag("stagedb:stage-stack-id") == stack
            && tag("stagedb:logical-id") == logical
            && tag("stagedb:generation").is_some();
        Shown { foreign: instance.foreign || !ours, storage: instance.storage }
    }
}

/// The details of a call for the trace.
fn detail(call: &Call) -> String {
    let names = [
        "DBInstanceIdentifier",
        "FinalDBSnapshotIdentifier",
        "SkipFinalSnapshot",
        "DBSnapshotIdentifier",
        "DBInstanceClass",
        "AllocatedStorage",
        "DeletionProtection",
        "VersionStage",
        "MoveToVersionId",
        "name",
        "executionArn",
        "taskDefinition",
    ];
    let mut text =
        names.iter().filter_map(|name| Some(format!(" {name}={}", call.text(name)?))).collect::<String>();
    if let Body::Answer { text: answer, .. } = &call.body {
        text.push(' ');
        text.push_str(answer);
    }
    text
}
