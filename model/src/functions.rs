//! Lambda: the real handlers, each in a process that serves one invocation at a time, and their delivery: at least once, with
//! retries and a deadline, and a process that may die anywhere.
//!
//! What is assumed of AWS, as no program could do without: of the tries that Lambda makes with an asynchronous event, the last
//! one meets no fault. So a request whose function dies in every one of its three tries is no history.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use access_resource::AccessResource;
use aws::SdkConfig;
use aws_config::{
    BehaviorVersion, Region, identity::IdentityCache,
    stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::{rt::sleep::TokioSleep, time::SharedTimeSource};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use credentials_resource::CredentialsResource;
use database_progress::DatabaseProgress;
use database_resource::DatabaseResource;
use lambda::Invocation;
use publish_variables::PublishVariables;
use serde_json::{Value, json};
use settings_api::{Configuration, SettingsApi};
use tokio::sync::Notify;

use crate::{
    clock::pass,
    connector::Seat,
    plant::Plant,
    random::Random,
    template::Template,
    world::{Invariant, Model},
};

/// A function of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// The HTTP API.
    SettingsApi,
    /// Behind `Custom::PostgresDatabase`.
    DatabaseResource,
    /// One step of the state machine.
    DatabaseProgress,
    /// Behind `Custom::PostgresCredentials` and `Custom::PostgresConnection`.
    CredentialsResource,
    /// Behind `Custom::PostgresAccess`.
    AccessResource,
    /// On the events of stage stacks.
    PublishVariables,
}

impl Kind {
    /// Every function.
    pub(crate) const ALL: [Self; 6] = [
        Self::SettingsApi,
        Self::DatabaseResource,
        Self::DatabaseProgress,
        Self::CredentialsResource,
        Self::AccessResource,
        Self::PublishVariables,
    ];

    /// The function of this name in the template.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.logical() == name)
    }

    /// The name in the template.
    pub(crate) fn logical(self) -> &'static str {
        match self {
            Self::SettingsApi => "SettingsApi",
            Self::DatabaseResource => "DatabaseResource",
            Self::DatabaseProgress => "DatabaseProgress",
            Self::CredentialsResource => "CredentialsResource",
            Self::AccessResource => "AccessResource",
            Self::PublishVariables => "PublishVariables",
        }
    }

    /// The ARN that the stage stack's parameters name.
    pub(crate) fn arn(self) -> String {
        format!("arn:aws:lambda:us-east-1:123456789012:function:{}", self.logical())
    }

    pub(crate) fn of_arn(arn: &str) -> Option<Self> {
        [Self::DatabaseResource, Self::CredentialsResource, Self::AccessResource]
            .into_iter()
            .find(|kind| arn == kind.arn())
    }
}

/// What an instance was last shown as, by which our function decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) foreign: bool,
    pub(crate) storage: u32,
}

/// What the process works on.
#[derive(Debug, Default)]
pub(crate) struct Current {
    pub(crate) invocation: u64,
    pub(crate) faults: bool,
    /// The request of a custom resource that it is about.
    pub(crate) request: Option<String>,
    pub(crate) event: Value,
    pub(crate) shown: BTreeMap<String, Shown>,
    /// The fault that goes on for some tries of an operation.
    pub(crate) ongoing: Option<(String, crate::plan::Fault)>,
}

/// A process of a function's.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) kind: Kind,
    alive: AtomicBool,
    died: Notify,
    current: Mutex<Current>,
}

impl Process {
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    pub(crate) fn die(&self) {
        self.alive.store(false, Ordering::Relaxed);
        self.died.notify_one();
    }

    pub(crate) fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone)]
enum Handler {
    SettingsApi(Arc<SettingsApi>),
    DatabaseResource(Arc<DatabaseResource>),
    DatabaseProgress(Arc<DatabaseProgress>),
    CredentialsResource(Arc<CredentialsResource>),
    AccessResource(Arc<AccessResource>),
    PublishVariables(Arc<PublishVariables>),
}

/// A process that waits for its next invocation.
#[derive(Debug)]
pub(crate) struct Warm {
    process: Arc<Process>,
    program: Program,
}

/// A handler with its clients, and their seat.
#[derive(Debug)]
struct Program {
    handler: Handler,
    seat: Seat,
}

thread_local! {
    /// Those of processes whose history has ended.
    static IDLE: RefCell<BTreeMap<Kind, Vec<Program>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The SDK's configuration of a process: the real clients, over the model.
pub(crate) fn config(seat: &Seat) -> SdkConfig {
    let connector = SharedHttpConnector::new(seat.clone());
    let credentials = Credentials::new("AKIDEXAMPLE", "example", None, None, "model");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .time_source(SharedTimeSource::new(seat.clone()))
        // These credentials are there at once, and never expire.
        .identity_cache(IdentityCache::no_cache())
        .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(TokioSleep::new()))
        .retry_config(aws::retries())
        .timeout_config(aws::timeouts())
        // A client that answers at once has no streams that stall, and their supervision costs time at each call.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}

impl Process {
    pub(crate) fn new(kind: Kind) -> Arc<Self> {
        Arc::new(Self { kind, alive: AtomicBool::new(true), died: Notify::new(), current: Mutex::default() })
    }
}

impl Warm {
    fn start(model: &Arc<Model>, kind: Kind) -> Self {
        let process = Process::new(kind);
        let idle = IDLE.with_borrow_mut(|idle| idle.entry(kind).or_default().pop());
        let program = idle.unwrap_or_else(|| Program::new(kind));
        program.seat.take(model, &process);
        Self { process, program }
    }

    fn end(self) {
        self.program.seat.leave();
        IDLE.with_borrow_mut(|idle| idle.entry(self.process.kind).or_default().push(self.program));
    }
}

/// Ends the processes of a history.
pub(crate) fn end(warm: &mut BTreeMap<Kind, Vec<Warm>>) {
    std::mem::take(warm).into_values().flatten().for_each(Warm::end);
}

impl Program {
    fn new(kind: Kind) -> Self {
        let seat = Seat::default();
        let config = config(&seat);
        let handler = match kind {
            Kind::SettingsApi => {
                let configuration = Configuration {
                    credentials_function_arn: Kind::CredentialsResource.arn(),
                    database_function_arn: Kind::DatabaseResource.arn(),
                    access_function_arn: Kind::AccessResource.arn(),
                    stage_stack_role_arn: "arn:aws:iam::123456789012:role/stage-stacks".to_owned(),
                    engine_version: "17".to_owned().try_into().unwrap(),
                };
                Handler::SettingsApi(Arc::new(SettingsApi::new(&config, configuration)))
            }
            Kind::DatabaseResource => {
                let machine = crate::services::states::MACHINE.to_owned();
                Handler::DatabaseResource(Arc::new(DatabaseResource::new(&config, machine)))
            }
            Kind::DatabaseProgress => Handler::DatabaseProgress(Arc::new(DatabaseProgress::new(&config))),
            Kind::CredentialsResource => {
                Handler::CredentialsResource(Arc::new(CredentialsResource::new(&config)))
            }
            Kind::AccessResource => Handler::AccessResource(Arc::new(AccessResource::new(&config))),
            Kind::PublishVariables => Handler::PublishVariables(Arc::new(PublishVariables::new(&config))),
        };
        Self { handler, seat }
    }
}

impl Handler {
    /// The real handler's result as Lambda passes it on.
    async fn handle(self, invocation: Invocation) -> Result<Value, String> {
        fn said<T: serde::Serialize, E: std::error::Error>(result: Result<T, E>) -> Result<Value, String> {
            result.map(|value| serde_json::to_value(value).unwrap()).map_err(|error| lambda::chain(&error))
        }
        match self {
            Self::SettingsApi(state) => said(settings_api::handle(state, invocation).await),
            Self::DatabaseResource(state) => said(database_resource::handle(state, invocation).await),
            Self::DatabaseProgress(state) => said(database_progress::handle(state, invocation).await),
            Self::CredentialsResource(state) => said(credentials_resource::handle(state, invocation).await),
            Self::AccessResource(state) => said(access_resource::handle(state, invocation).await),
            Self::PublishVariables(state) => said(publish_variables::handle(state, invocation).await),
        }
    }
}

/// How an invocation went wrong, in the words of Step Functions' errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The handler returned an error.
    Error,
    /// The process died.
    Died,
    /// It ran out of time.
    TimedOut,
}

impl Failed {
    pub(crate) fn error_name(self) -> &'static str {
        match self {
            Self::Error => "InvocationFailed",
            Self::Died => "Lambda.Unknown",
            Self::TimedOut => "Sandbox.Timedout",
        }
    }
}

/// Invokes a function, and waits for what it returns.
pub(crate) async fn invoke(
    model: &Arc<Model>,
    kind: Kind,
    event: Value,
    attempt: u32,
    faults: bool,
) -> Result<Value, Failed> {
    let warm = model.world().warm.entry(kind).or_default().pop();
    let warm = warm.unwrap_or_else(|| Warm::start(model, kind));
    let process = Arc::clone(&warm.process);
    let limits = Limits::of(kind);
    let number = model.issue();
    // The SDK's jitter comes from this thread's generator, which new clients draw from as well.
    fastrand::seed(Random::of(model.plan.seed, "jitter", number).next());
    model.invoked();
    let _publishing = (kind == Kind::PublishVariables).then(|| model.publishing());
    let event = Plant::event(model, kind, event);
    let request =
        [&event["RequestId"], &event["request"]["RequestId"], &event["answerFailed"]["request"]["RequestId"]];
    let request = request.into_iter().find_map(Value::as_str).map(str::to_owned);
    *process.current() = Current {
        invocation: number,

        faults,
        request,
        event: event.clone(),
        shown: BTreeMap::new(),
        ongoing: None,
    };
    model.note(|| format!("#{number} {kind:?}, try {attempt}"));
    let invocation = Invocation {
        event,
        request_id: format!("invocation-{number}"),
        now: model.clock.date(),
        time_left: Duration::from_millis(limits.timeout),
    };
    // A task of its own, so that a panic ends there.
    let mut work = tokio::spawn(warm.program.handler.clone().handle(invocation));
    let ended = tokio::select! {
        biased;
        ended = &mut work => match ended {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(words)) => {
                model.note(|| format!("#{number} failed: {words}"));
                Err(Failed::Error)
            }
            Err(panicked) => {
                model.violated(Invariant::Handled, format!("{kind:?} panicked: {panicked}"));
                Err(Failed::Died)
            }
        },
        () = process.died.notified() => Err(Failed::Died),
        () = pass(limits.timeout) => Err(Failed::TimedOut),
    };
    if let Err(Failed::Died | Failed::TimedOut) = ended {
        // What the process has spawned goes with it: the connector answers no more.
        work.abort();
        process.die();
        model.note(|| format!("#{number} {ended:?}"));
    } else {
        model.world().warm.entry(kind).or_default().push(warm);
    }
    ended
}

/// What the template says of a function: the time that it has, and of its asynchronous events. In milliseconds.
#[derive(Debug, Clone, Copy)]
struct Limits {
    timeout: u64,
    retries: u32,
    age: u64,
}

thread_local! {
    /// Read once, as every invocation asks for it.
    static LIMITS: BTreeMap<Kind, Limits> = Kind::ALL.into_iter().map(|kind| (kind, Limits::read(kind))).collect();
}

impl Limits {
    fn of(kind: Kind) -> Self {
        LIMITS.with(|limits| limits[&kind])
    }

    fn read(kind: Kind) -> Self {
        let template = Template::application();
        let own = template.at(&format!("/Resources/{}/Properties", kind.logical()));
        let timeout = &own["Timeout"];
        let timeout = timeout.as_u64().or_else(|| template.at("/Globals/Function/Timeout").as_u64());
        let events = |name: &str| own["EventInvokeConfig"][name].as_u64();
        Self {
            timeout: timeout.expect("template.yaml says it") * 1000,
            retries: u32::try_from(events("MaximumRetryAttempts").unwrap_or(2)).unwrap_or(2),
            age: events("MaximumEventAgeInSeconds").unwrap_or(6 * 3600) * 1000,
        }
    }
}

/// Hands an event to a function, as often as Lambda would: at least once.
pub(crate) fn invoke_later(model: &Arc<Model>, kind: Kind, event: &Value) {
    let mut random = model.random("delivery");
    let weather = model.plan.weather;
    let limits = Limits::of(kind);
    let settled = model.world().settled;
    let copies = if !settled && random.chance(weather.twice) { 2 } else { 1 };
    if copies > 1
        && let Some(id) = event["RequestId"].as_str()
        && let Some(request) = model.world().requests.all.get_mut(id)
    {
        request.disturbed = true;
    }
    for copy in 0..copies {
        let soon = random.within(5, 300);
        let is_late = !settled && random.chance(weather.late);
        let delay = if copy == 0 && !is_late {
            soon
        } else {
            // A repeat comes a little later; a delivery that was throttled comes within half of the event's age.
            let within = if copy == 0 { limits.age / 2 } else { limits.age / 4 };
            random.within(soon, within.min(20 * 60_000))
        };
        let (model, event) = (Arc::clone(model), event.clone());
        let busy = model.delivering();
        tokio::spawn(async move {
            let _busy = busy;
            pass(delay).await;
            tries(&model, kind, &event, limits.age.saturating_sub(delay)).await;
        });
    }
}

/// Until one succeeds, or the event is too old.
async fn tries(model: &Arc<Model>, kind: Kind, event: &Value, age: u64) {
    let limits = Limits::of(kind);
    let began = model.now();
    for attempt in 0..=limits.retries {
        let pause = 60_000 * u64::from(attempt + 1);
        let is_last = attempt == limits.retries || model.now() - began + limits.timeout + pause > age;
        if invoke(model, kind, event.clone(), attempt, !is_last).await.is_ok() {
            return;
        }
        if is_last {
            break;
        }
        pass(pause).await;
    }
    model.violated(Invariant::Handled, format!("{kind:?} gave an event up: {}", event["detail-type"]));
}

/// A person's call of the API; `None`: the function died or ran out of time.
pub(crate) async fn call_api(
    model: &Arc<Model>,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Option<(i64, Value)> {
    let id = model.issue();
    let event = json!({
        "version": "2.0",
        "routeKey": "ANY /api/{proxy+}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "accountId": "123456789012", "apiId": "a1", "stage": "$default", "requestId": format!("api{id}"),
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "model"},
            "time": "22/Nov/2026:13:55:01 +0000", "timeEpoch": 0,
        },
        "isBase64Encoded": false,
        "body": body.map(Value::to_string),
    });
    let reply = invoke(model, Kind::SettingsApi, event, 0, true).await.ok()?;
    let text = reply["body"].as_str().unwrap_or_default();
    if crate::log::leaks(text) {
        model.violated(Invariant::NothingLeaks, format!("a secret in the answer to {method} {path}"));
    }
    let status = reply["statusCode"].as_i64().unwrap_or_default();
    model.note(|| format!("{method} {path} -> {status} {text}"));
    Some((status, serde_json::from_str(text).unwrap_or_default()))
}
