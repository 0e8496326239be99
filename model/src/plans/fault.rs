//! Faults: which calls fail, and how.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{base::kind::Kind, plans::point::Point};

/// A fault in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Fault {
    /// The call.
    pub at: At,
    /// How many tries of the same operation it affects. The SDK makes up to five.
    pub tries: u8,
    /// What happens.
    pub kind: FaultKind,
}

/// Which call a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// A call by its number in the history, starting from 0.
    Call(u32),
    /// A call by its number among one function's calls to one operation, counting those that faults can hit, from 1.
    Of {
        /// The function and its operation.
        point: Point,
        /// The number of the call.
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

/// A fault as written in plans. Either `call` or the other three fields say where it hits.
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
                return Err("a fault has either `call`, or `function`, `operation`, and `nth`".to_owned());
            }
        };
        Ok(Self { at, tries, kind })
    }
}

fn at_point(function: Kind, operation: &str, nth: u32) -> Result<At, String> {
    let point = Point::of(function, operation).ok_or_else(|| {
        let all = Point::all().filter(|point| point.function() == function);
        let known: Vec<_> = all.map(Point::operation).collect();
        format!("{} doesn't call `{operation}`; it calls {}", function.logical(), known.join(", "))
    })?;
    if nth == 0 {
        return Err("NTH starts from 1".to_owned());
    }
    Ok(At::Of { point, nth })
}

/// The command-line form: function, operation, number of the call, kind, and tries.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, tries, kind } = self;
        match at {
            At::Call(call) => write!(f, "{call} {kind:?} {tries}"),
            At::Of { point, nth } => write!(f, "{point} {nth} {kind:?} {tries}"),
        }
    }
}

/// Parses the output of [`Fault`]'s `Display`.
impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split_whitespace().collect();
        let number = |word: &str| word.parse::<u32>().map_err(|_| format!("`{word}` isn't a number"));
        let (at, kind, tries) = match *words {
            [call, kind, tries] => (At::Call(number(call)?), kind, tries),
            [function, operation, nth, kind, tries] => {
                let known = Kind::named(function).ok_or_else(|| format!("unknown function `{function}`"))?;
                (at_point(known, operation, number(nth)?)?, kind, tries)
            }
            _ => {
                return Err(
                    "write a fault as `FUNCTION OPERATION NTH KIND TRIES` or `CALL KIND TRIES`".to_owned()
                );
            }
        };
        let kind = FaultKind::written(kind)
            .ok_or_else(|| format!("unknown kind of fault `{kind}`; use one of {:?}", FaultKind::ALL))?;
        let tries = tries.parse().map_err(|_| format!("`{tries}` isn't a number of tries from 0 to 255"))?;
        Ok(Self { at, tries, kind })
    }
}

/// How a call can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FaultKind {
    /// AWS returns an error, and the call has no effect.
    Fails,
    /// The call takes effect, but the reply is lost.
    LosesReply,
    /// AWS throttles the call.
    Throttles,
    /// No reply ever comes, and the call has no effect.
    Hangs,
    /// The call takes effect, but no reply ever comes.
    HangsAfter,
    /// The process dies before the call.
    Dies,
    /// The process dies after the call.
    DiesAfter,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Fails,
        Self::LosesReply,
        Self::Throttles,
        Self::Hangs,
        Self::HangsAfter,
        Self::Dies,
        Self::DiesAfter,
    ];

    /// The kind with this name in plans.
    fn written(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| format!("{kind:?}") == text)
    }

    /// Whether the call takes effect.
    pub(crate) fn takes_effect(self) -> bool {
        matches!(self, Self::LosesReply | Self::HangsAfter | Self::DiesAfter)
    }

    /// The name in the statistics.
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
