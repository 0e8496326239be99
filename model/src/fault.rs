//! Calls that do not simply work: which, and how.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{functions::Kind, point::Point};

/// A call that does not simply work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Fault {
    /// The call.
    pub at: At,
    /// For how many tries of the same operation it goes on: the SDK tries up to five times.
    pub tries: u8,
    /// What happens.
    pub kind: FaultKind,
}

/// Which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The calls of a history are counted from 0.
    Call(u32),
    /// The calls of one operation by one function that faults may hit are counted from 1.
    Of {
        /// The function and its operation.
        point: Point,
        /// Which of the calls.
        nth: u32,
    },
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(call) => write!(f, "call {call}"),
            Self::Of { point, nth } => write!(f, "{point} number {nth}"),
        }
    }
}

/// A fault as plans have it. Either a call or the other three say where it hits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function: Option<Kind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nth: Option<u32>,
    tries: u8,
    kind: FaultKind,
}

impl From<Fault> for Written {
    fn from(Fault { at, tries, kind }: Fault) -> Self {
        let (call, point, nth) = match at {
            At::Call(call) => (Some(call), None, None),
            At::Of { point, nth } => (None, Some(point), Some(nth)),
        };
        let function = point.map(Point::function);
        let operation = point.map(|point| point.operation().to_owned());
        Self { call, function, operation, nth, tries, kind }
    }
}

impl TryFrom<Written> for Fault {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { call, function, operation, nth, tries, kind } = written;
        let at = match (call, function, operation, nth) {
            (Some(call), None, None, None) => At::Call(call),
            (None, Some(function), Some(operation), Some(nth)) => at_point(function, &operation, nth)?,
            _ => {
                return Err(
                    "a fault has either a `call`, or a `function`, an `operation` and an `nth`".to_owned()
                );
            }
        };
        Ok(Self { at, tries, kind })
    }
}

fn at_point(function: Kind, operation: &str, nth: u32) -> Result<At, String> {
    let point = Point::of(function, operation).ok_or_else(|| {
        let all = Point::all().filter(|point| point.function() == function);
        let known: Vec<_> = all.map(Point::operation).collect();
        format!("{} does not call `{operation}`, but {}", function.logical(), known.join(", "))
    })?;
    if nth == 0 {
        return Err("the calls of an operation are counted from 1".to_owned());
    }
    Ok(At::Of { point, nth })
}

/// On the command line: the function, the operation, which of its calls, the kind and the tries.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, tries, kind } = self;
        match at {
            At::Call(call) => write!(f, "{call} {kind:?} {tries}"),
            At::Of { point, nth } => write!(f, "{point} {nth} {kind:?} {tries}"),
        }
    }
}

/// What [`Fault`]'s `Display` writes.
impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split_whitespace().collect();
        let number = |word: &str| word.parse::<u32>().map_err(|_| format!("`{word}` is no number"));
        let (at, kind, tries) = match *words {
            [call, kind, tries] => (At::Call(number(call)?), kind, tries),
            [function, operation, nth, kind, tries] => {
                let known =
                    Kind::named(function).ok_or_else(|| format!("there is no function `{function}`"))?;
                (at_point(known, operation, number(nth)?)?, kind, tries)
            }
            _ => {
                return Err("a fault is `FUNCTION OPERATION NTH KIND TRIES` or `CALL KIND TRIES`".to_owned());
            }
        };
        let kind = FaultKind::written(kind)
            .ok_or_else(|| format!("there is no kind of fault `{kind}`, but {:?}", FaultKind::ALL))?;
        let tries = tries.parse().map_err(|_| format!("`{tries}` is no number of tries from 0 to 255"))?;
        Ok(Self { at, tries, kind })
    }
}

/// How a call can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FaultKind {
    /// AWS fails before anything happened.
    Fails,
    /// It happens, and the reply is lost.
    LosesReply,
    /// AWS throttles.
    Throttles,
    /// No reply ever comes, and nothing happened.
    Hangs,
    /// It happens, and no reply ever comes.
    HangsAfter,
    /// The process dies before the call.
    Dies,
    /// The process dies after the call.
    DiesAfter,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Fails,
        Self::LosesReply,
        Self::Throttles,
        Self::Hangs,
        Self::HangsAfter,
        Self::Dies,
        Self::DiesAfter,
    ];

    /// The kind that is written like this in plans.
    fn written(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| format!("{kind:?}") == text)
    }

    /// Whether the call takes effect.
    pub(crate) fn takes_effect(self) -> bool {
        matches!(self, Self::LosesReply | Self::HangsAfter | Self::DiesAfter)
    }

    /// In the figures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fails => "fails before",
            Self::LosesReply => "loses the reply",
            Self::Throttles => "throttles",
            Self::Hangs => "hangs before",
            Self::HangsAfter => "hangs after",
            Self::Dies => "dies before",
            Self::DiesAfter => "dies after",
        }
    }
}
