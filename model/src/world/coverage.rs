//! The places that histories have reached: the state of the stage, the request, the call, the phase, and the fault.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    base::{clock, kind::Kind},
    plans::{fault::FaultKind, point::Point},
    services::{
        requests::Requests,
        stacks::{Stack, Stacks},
    },
    world::process::Current,
};

/// An event that is older than this has been overtaken by others.
const LATE: u64 = 60_000;

/// The source of a stage's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    None,
    Created,
    Attached,
}

/// What a stack is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Absent,
    AtRest,
    Creating,
    Updating,
    RollingBack,
    Deleting,
    Failed,
}

/// The circumstances of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The normal case.
    Forward,
    /// In a rollback.
    Rollback,
    /// The previous operation was rolled back.
    AfterRollback,
    /// The request was abandoned because a user canceled the update, or it belongs to the resulting rollback.
    Canceled,
    /// The request or event has been delivered before.
    Repeated,
    /// The request has already been answered, or the event is a minute old.
    Late,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 6] =
        [Self::Forward, Self::Rollback, Self::AfterRollback, Self::Canceled, Self::Repeated, Self::Late];

    /// The name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Rollback => "rollback",
            Self::AfterRollback => "after a rollback",
            Self::Canceled => "canceled",
            Self::Repeated => "repeated",
            Self::Late => "late",
        }
    }
}

/// What a function was asked to do: an index into [`MATTERS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Matter(u8);

const MATTERS: [&str; 23] = [
    "something else",
    "Create Credentials",
    "Create Database",
    "Create Access",
    "Create Connection",
    "Update Credentials",
    "Update Database",
    "Update Access",
    "Update Connection",
    "Delete Credentials",
    "Delete Database",
    "Delete Access",
    "Delete Connection",
    "event",
    "register",
    "save",
    "attach",
    "restore",
    "remove",
    "rebuild",
    "delete the stage",
    "look",
    "answer",
];

impl Matter {
    fn named(name: &str) -> Self {
        let number = MATTERS.iter().position(|other| *other == name).unwrap_or_default();
        Self(u8::try_from(number).unwrap_or_default())
    }
}

/// What all calls of an invocation have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Context {
    phase: Phase,
    /// Before the running operation, and after it.
    source: (Source, Source),
    status: Status,
    matter: Matter,
}

/// Where a call was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    context: Context,
    point: Point,
}

impl Place {
    /// The phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.context.phase
    }

    /// The call.
    #[must_use]
    pub fn point(&self) -> Point {
        self.point
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Context { phase, source: (from, to), status, matter } = self.context;
        let matter = MATTERS.get(usize::from(matter.0)).copied().unwrap_or_default();
        write!(f, "{}, {from:?} to {to:?}, {status:?}, {matter}, {}", phase.name(), self.point)
    }
}

/// The places that one history has reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Each place and fault, with the number of the first such call at its point.
    pub cells: BTreeMap<(Place, Option<FaultKind>), u32>,
    /// Calls that aren't in the list of points.
    pub unlisted: BTreeSet<(Kind, String)>,
}

/// Records which places a history reaches.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) coverage: Coverage,
    /// How often each function called each operation where a fault could have hit it.
    called: BTreeMap<Point, u32>,
    contexts: BTreeMap<u64, Context>,
    /// The requests and events that each function has received.
    delivered: BTreeSet<(Kind, String)>,
}

impl Recorder {
    /// Counts a call that a fault may hit. The first call at a point is 1.
    pub(crate) fn count(&mut self, kind: Kind, operation: &str) -> Option<(Point, u32)> {
        let Some(point) = Point::of(kind, operation) else {
            self.coverage.unlisted.insert((kind, operation.to_owned()));
            return None;
        };
        let nth = self.called.entry(point).or_default();
        *nth += 1;
        Some((point, *nth))
    }

    /// Records a call and its fault.
    pub(crate) fn record(
        &mut self,
        (kind, point, nth): (Kind, Point, u32),
        current: &Current,
        (stacks, requests): (&Stacks, &Requests),
        now: u64,
        fault: Option<FaultKind>,
    ) {
        let mut context = if let Some(context) = self.contexts.get(&current.invocation) {
            *context
        } else {
            let repeated = self.is_repeated(kind, current);
            let context = context(kind, current, stacks, requests, now, repeated);
            self.contexts.insert(current.invocation, context);
            context
        };
        // These can become true during an invocation.
        let request = current.request.as_ref().and_then(|id| requests.all.get(id));
        if request.is_some_and(|request| request.cancelled) {
            context.phase = Phase::Canceled;
        } else if request.is_some_and(|request| request.over) {
            context.phase = Phase::Late;
        }
        self.coverage.cells.entry((Place { context, point }, fault)).or_insert(nth);
    }

    fn is_repeated(&mut self, kind: Kind, current: &Current) -> bool {
        // Every step of an execution is an invocation with the same request, and every API call is a new one.
        if matches!(kind, Kind::DatabaseProgress | Kind::SettingsApi) {
            return false;
        }
        let id = current.request.as_deref().or_else(|| current.event["id"].as_str());
        id.is_some_and(|id| !self.delivered.insert((kind, id.to_owned())))
    }
}

fn context(
    kind: Kind,
    current: &Current,
    stacks: &Stacks,
    requests: &Requests,
    now: u64,
    repeated: bool,
) -> Context {
    let event = &current.event;
    let request = current.request.as_ref().and_then(|id| requests.all.get(id));
    let (stack, matter) = match (kind, request) {
        (Kind::SettingsApi, _) => api(event, stacks),
        (_, Some(request)) => {
            let is_answer = event.get("answerFailed").is_some();
            let name = format!("{} {}", request.kind, request.logical);
            let matter = Matter::named(if is_answer { "answer" } else { &name });
            (stacks.all.get(&request.stack_id), matter)
        }
        (_, None) => {
            let id = event.pointer("/detail/stack-id").and_then(Value::as_str).unwrap_or_default();
            (stacks.all.get(id), Matter::named("event"))
        }
    };
    let phase = match stack {
        _ if repeated => Phase::Repeated,
        _ if is_late(event, now) => Phase::Late,
        Some(stack) => phase(stack),
        None => Phase::Forward,
    };
    let source = stack.map_or((Source::None, Source::None), |stack| {
        let before = stack.before.as_ref().map_or(&stack.parameters, |before| &before.parameters);
        (source(before), source(&stack.parameters))
    });
    Context { phase, source, status: status(stack), matter }
}

fn is_late(event: &Value, now: u64) -> bool {
    // Only events from EventBridge have a time.
    let Some(time) = event["time"].as_str() else { return false };
    let sent = OffsetDateTime::parse(time, &Rfc3339);
    sent.is_ok_and(|sent| (clock::date(now) - sent).whole_milliseconds() > i128::from(LATE))
}

fn source(parameters: &BTreeMap<String, String>) -> Source {
    match parameters.get("Source").map(String::as_str) {
        Some("created") => Source::Created,
        Some("attached") => Source::Attached,
        _ => Source::None,
    }
}

fn status(stack: Option<&Stack>) -> Status {
    match stack.map(|stack| stack.status) {
        None | Some("DELETE_COMPLETE") => Status::Absent,
        Some(status) if status.ends_with("_FAILED") => Status::Failed,
        Some(status) if !status.ends_with("_IN_PROGRESS") => Status::AtRest,
        Some(status) if status.contains("ROLLBACK") => Status::RollingBack,
        Some(status) if status.starts_with("CREATE") => Status::Creating,
        Some(status) if status.starts_with("DELETE") => Status::Deleting,
        Some(_) => Status::Updating,
    }
}

fn phase(stack: &Stack) -> Phase {
    let mut of_stack = stack.events.iter().rev().filter(|event| event.logical == stack.name);
    if stack.status.contains("ROLLBACK") && stack.status.ends_with("_IN_PROGRESS") {
        let began = of_stack.find(|event| event.status.ends_with("ROLLBACK_IN_PROGRESS"));
        let is_canceled = began.is_some_and(|event| event.reason == "User Initiated");
        return if is_canceled { Phase::Canceled } else { Phase::Rollback };
    }
    let ended = of_stack.find(|event| !event.status.ends_with("_IN_PROGRESS"));
    if ended.is_some_and(|event| event.status.contains("ROLLBACK")) {
        Phase::AfterRollback
    } else {
        Phase::Forward
    }
}

/// The stack that an API call is about, and the requested action.
fn api<'a>(event: &Value, stacks: &'a Stacks) -> (Option<&'a Stack>, Matter) {
    let path = event["rawPath"].as_str().unwrap_or_default();
    let method = event.pointer("/requestContext/http/method").and_then(Value::as_str).unwrap_or_default();
    let mut parts = path.split('/').skip(3);
    let stack = parts.next().unwrap_or_default();
    let stage = parts.nth(1).unwrap_or_default();
    let body = event["body"].as_str().unwrap_or_default();
    let name = match (method, parts.next()) {
        ("GET", _) => "look",
        ("PUT", None) => "register",
        ("PUT", Some(_)) if body.contains("\"attached\"") => "attach",
        ("PUT", Some(_)) if body.contains("\"fromSnapshot\"") => "restore",
        ("PUT", Some(_)) => "save",
        ("DELETE", None) => "delete the stage",
        ("DELETE", Some(_)) => "remove",
        ("POST", Some("rebuild")) => "rebuild",
        _ => "something else",
    };
    let found = stacks.find(&format!("{stack}-{stage}")).map(|(_, stack)| stack);
    (found, Matter::named(name))
}
