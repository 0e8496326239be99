//! The invariants, and their violations.

use std::fmt;

/// A condition that must always hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Every custom resource request is answered before it times out.
    Answered,
    /// No process answers a request twice, and no answer contradicts an earlier one.
    AnsweredOnce,
    /// Every answer follows CloudFormation's rules.
    ValidAnswer,
    /// At rest, the created databases are exactly those that stage stacks own, with the settings in these stacks.
    Owned,
    /// No database that was ever available disappears without an available final snapshot.
    DataKept,
    /// Databases that stagedb doesn't manage, and services that aren't registered, are never changed.
    ForeignUntouched,
    /// A service can connect to its stage's database, and only while the stage has one.
    Access,
    /// Clients read only what a client in the stage's network has connected with.
    Proved,
    /// At rest, exactly one login is enabled, and the objects belong to those who log in.
    Settled,
    /// The password in the secret is the database's password.
    SecretAgrees,
    /// The containers of every registered service, and the latest revision of every job, have the variables of the last
    /// complete state.
    VariablesAgree,
    /// A service runs the image that its team deployed last.
    ImagesKept,
    /// Containers find every value when they start, and at rest, running containers can log in.
    LogsIn,
    /// A save does what its preview said.
    Promised,
    /// The API reports rebuilds as they happened, and the reason it gives for a failure is the first cause.
    Told,
    /// Storage is never asked to shrink.
    NeverShrinks,
    /// Every operation that the API starts is in the history before it starts, and once.
    Recorded,
    /// No answer, log, event, or API response contains a secret.
    NothingLeaks,
    /// Every operation finishes, and a failed one can be repaired once AWS has recovered.
    Ends,
    /// No function panics, and no event is dropped.
    Handled,
    /// The functions only make calls that the model knows and AWS would accept.
    KnownCalls,
}

impl Invariant {
    /// The name for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "every request is answered in time",
            Self::AnsweredOnce => "every request is answered once",
            Self::ValidAnswer => "every answer is valid",
            Self::Owned => "the created databases are exactly those that stage stacks own",
            Self::DataKept => "no data is lost without a final snapshot",
            Self::ForeignUntouched => "what stagedb doesn't manage is never changed",
            Self::Access => "a service has access exactly while its stage has a database",
            Self::Proved => "only what was proved is published",
            Self::Settled => "at rest, exactly one login is enabled",
            Self::SecretAgrees => "the secret matches the database's password",
            Self::VariablesAgree => "the variables match the last complete state",
            Self::ImagesKept => "a service runs the image that its team deployed last",
            Self::LogsIn => "containers can log in",
            Self::Promised => "a save does what its preview said",
            Self::Told => "a rebuild is reported accurately",
            Self::NeverShrinks => "storage is never decreased",
            Self::Recorded => "the history has exactly what was started",
            Self::NothingLeaks => "no secret leaks",
            Self::Ends => "every operation finishes",
            Self::Handled => "every event is handled",
            Self::KnownCalls => "every call is one that AWS accepts",
        }
    }
}

/// A violated invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// What was observed.
    pub words: String,
    /// When, in milliseconds since the start.
    pub at: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at {} s): {}", self.invariant.name(), self.at / 1000, self.words)
    }
}
