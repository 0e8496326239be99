//! Lambda: the real handlers, each in a process that serves one invocation at a time, and the delivery of events: at
//! least once, with retries and a deadline. A process may die anywhere.
//!
//! One assumption about AWS, because no program could work without it: when Lambda retries an asynchronous event, the
//! last try meets no fault. So no history contains a request whose function dies in all three tries.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc, time::Duration};

use access_resource::AccessResource;
use aws::SdkConfig;
use aws_config::{
    BehaviorVersion, Region, identity::IdentityCache,
    stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::{rt::sleep::TokioSleep, time::SharedTimeSource};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use client_progress::ClientProgress;
use credentials_resource::CredentialsResource;
use database_progress::DatabaseProgress;
use database_resource::{DatabaseResource, Functions};
use lambda::Invocation;
use publish_variables::PublishVariables;
use serde_json::{Value, json};
use settings_api::{Configuration, SettingsApi};

use crate::{
    base::{clock::pass, invariant::Invariant, kind::Kind},
    engine::{connector::Seat, planted},
    services::template::Template,
    world::{
        model::Model,
        process::{Current, Process},
    },
};

#[derive(Debug, Clone)]
enum Handler {
    SettingsApi(Arc<SettingsApi>),
    DatabaseResource(Arc<DatabaseResource>),
    DatabaseProgress(Arc<DatabaseProgress>),
    ClientProgress(Arc<ClientProgress>),
    CredentialsResource(Arc<CredentialsResource>),
    AccessResource(Arc<AccessResource>),
    PublishVariables(Arc<PublishVariables>),
}

/// A process that is waiting for its next invocation.
#[derive(Debug)]
struct Warm {
    process: Arc<Process>,
    program: Program,
}

/// A handler with its clients, and the seat that connects them to the model.
#[derive(Debug)]
struct Program {
    handler: Handler,
    seat: Seat,
}

thread_local! {
    /// The processes of this thread's history that are waiting for their next invocation.
    static WARM: RefCell<BTreeMap<Kind, Vec<Warm>>> = const { RefCell::new(BTreeMap::new()) };
    /// The clients of processes whose history has ended, for reuse.
    static IDLE: RefCell<BTreeMap<Kind, Vec<Program>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The SDK configuration of a process: the real clients, on top of the model.
pub(crate) fn config(seat: &Seat) -> SdkConfig {
    let connector = SharedHttpConnector::new(seat.clone());
    let credentials = Credentials::new("AKIDEXAMPLE", "example", None, None, "model");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .time_source(SharedTimeSource::new(seat.clone()))
        // These credentials are available immediately, and never expire.
        .identity_cache(IdentityCache::no_cache())
        .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(TokioSleep::new()))
        .retry_config(aws::retries())
        .timeout_config(aws::timeouts())
        // Responses come all at once, so streams can't stall, and checking for stalls would cost time in every call.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
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

/// Ends the processes of this thread's history.
pub(crate) fn end() {
    WARM.take().into_values().flatten().for_each(Warm::end);
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
                    client_image: "postgres:17".to_owned(),
                    client_log_group: "/stagedb/clients".to_owned(),
                    logins_role_arn: "arn:aws:iam::123456789012:role/logins".to_owned(),
                    client_progress_arn: Kind::ClientProgress.arn(),
                    state_machine_arn: crate::services::states::MACHINE.to_owned(),
                    stage_stack_role_arn: "arn:aws:iam::123456789012:role/stage-stacks".to_owned(),
                    engine_version: "17".to_owned().try_into().unwrap(),
                    task_roles: "arn:aws:iam::123456789012:role/*".into(),
                    history_log_group: "history".to_owned(),
                    user_pool_id: "us-east-1_Example".to_owned(),
                    role_without_group: None,
                };
                Handler::SettingsApi(Arc::new(SettingsApi::new(&config, configuration)))
            }
            Kind::DatabaseResource => {
                let machine = crate::services::states::MACHINE.to_owned();
                let functions = Functions {
                    database_progress: Kind::DatabaseProgress.arn(),
                    client_progress: Kind::ClientProgress.arn(),
                };
                Handler::DatabaseResource(Arc::new(DatabaseResource::new(&config, machine, functions)))
            }
            Kind::DatabaseProgress => Handler::DatabaseProgress(Arc::new(DatabaseProgress::new(&config))),
            Kind::ClientProgress => Handler::ClientProgress(Arc::new(ClientProgress::new(
                &config,
                crate::services::states::MACHINE.to_owned(),
            ))),
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
    /// The result of the real handler, as Lambda returns it.
    async fn handle(self, invocation: Invocation) -> Result<Value, String> {
        fn said<T: serde::Serialize, E: std::error::Error>(result: Result<T, E>) -> Result<Value, String> {
            result.map(|value| serde_json::to_value(value).unwrap()).map_err(|error| lambda::chain(&error))
        }
        match self {
            Self::SettingsApi(state) => said(settings_api::handle_any(state, invocation).await),
            Self::DatabaseResource(state) => said(database_resource::handle(state, invocation).await),
            Self::DatabaseProgress(state) => said(database_progress::handle(state, invocation).await),
            Self::ClientProgress(state) => said(client_progress::handle(state, invocation).await),
            Self::CredentialsResource(state) => said(credentials_resource::handle(state, invocation).await),
            Self::AccessResource(state) => said(access_resource::handle(state, invocation).await),
            Self::PublishVariables(state) => said(publish_variables::handle(state, invocation).await),
        }
    }
}

/// How an invocation failed, with the error names of Step Functions.
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

/// Invokes a function, and waits for its result.
pub(crate) async fn invoke(
    model: &Arc<Model>,
    kind: Kind,
    event: Value,
    attempt: u32,
    faults: bool,
) -> Result<Value, Failed> {
    let warm = WARM.with_borrow_mut(|warm| warm.entry(kind).or_default().pop());
    let warm = warm.unwrap_or_else(|| Warm::start(model, kind));
    let process = Arc::clone(&warm.process);
    let limits = Limits::of(kind);
    let number = model.issue();
    model.invoked();
    let _publishing = (kind == Kind::PublishVariables).then(|| model.publishing());
    let event = planted::event(model, kind, event);
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
    // A separate task, to contain panics.
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
        // Whatever the process has spawned ends too, because the connector no longer responds.
        work.abort();
        process.die();
        model.note(|| format!("#{number} {ended:?}"));
    } else {
        WARM.with_borrow_mut(|all| all.entry(kind).or_default().push(warm));
    }
    ended
}

/// A function's settings in the template: its timeout, and the limits for its asynchronous events. In milliseconds.
#[derive(Debug, Clone, Copy)]
struct Limits {
    timeout: u64,
    retries: u32,
    age: u64,
}

thread_local! {
    /// Read only once, because every invocation needs it.
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
            timeout: timeout.expect("template.yaml sets a timeout") * 1000,
            retries: u32::try_from(events("MaximumRetryAttempts").unwrap_or(2)).unwrap_or(2),
            age: events("MaximumEventAgeInSeconds").unwrap_or(6 * 3600) * 1000,
        }
    }
}

/// Delivers an event to a function as Lambda would: at least once.
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
            // A repeated delivery comes a little later. A throttled one comes within half of the event's maximum age.
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

/// Retries until an invocation succeeds or the event is too old.
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
    model.violated(Invariant::Handled, format!("{kind:?} dropped an event: {}", event["detail-type"]));
}

/// A user of the API.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) subject: String,
    /// The claim with the groups, as API Gateway writes it.
    pub(crate) groups: &'static str,
}

/// An admin's API call. `None` means that the function died or timed out.
pub(crate) async fn call_api(
    model: &Arc<Model>,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Option<(i64, Value)> {
    let admin = User { subject: "a8b9c0d1".to_owned(), groups: "[stagedb-admin]" };
    call_api_as(model, &admin, method, path, body).await.1
}

/// A user's API call, with the ID of the request.
pub(crate) async fn call_api_as(
    model: &Arc<Model>,
    user: &User,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> (String, Option<(i64, Value)>) {
    let id = format!("api{}", model.issue());
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let query: serde_json::Map<String, Value> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    let event = json!({
        "version": "2.0",
        "routeKey": "ANY /api/{proxy+}",
        "rawPath": path,
        "rawQueryString": "",
        "queryStringParameters": query,
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "accountId": "123456789012", "apiId": "a1", "stage": "$default", "requestId": id,
            "authorizer": {"jwt": {"claims": {"sub": user.subject, "cognito:groups": user.groups}, "scopes": null}},
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "model"},
            "time": "22/Nov/2026:13:55:01 +0000", "timeEpoch": 0,
        },
        "isBase64Encoded": false,
        "body": body.map(Value::to_string),
    });
    let Ok(reply) = invoke(model, Kind::SettingsApi, event, 0, true).await else { return (id, None) };
    let text = reply["body"].as_str().unwrap_or_default();
    if crate::world::log::leaks(text) {
        model.violated(Invariant::NothingLeaks, format!("a secret in the answer to {method} {path}"));
    }
    let status = reply["statusCode"].as_i64().unwrap_or_default();
    model.note(|| format!("{method} {path} -> {status} {text}"));
    (id, Some((status, serde_json::from_str(text).unwrap_or_default())))
}
