//! Planted bugs: they change what our functions send or receive, as if the functions had the bug. They show that the
//! model finds the bugs that it's meant to find.

use crate::base::invariant::Invariant;

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plant {
    /// An answer is sent a second time after it has arrived.
    AnswersTwice,
    /// A failure is never reported.
    SwallowsFailures,
    /// A failed update is answered with a different physical ID.
    NewIdOnFailure,
    /// A rollback applies the new properties instead of the old ones.
    ForgetsTheSwap,
    /// A deletion by a physical ID that was never returned deletes the resource's database.
    TrustsTheId,
    /// An instance with the right identifier is treated as ours, whatever its tags say.
    TrustsTheIdentifier,
    /// A repeated request generates a new password, although this generation already has one.
    NewPasswordOnRetry,
    /// The variables are published from the event's state of the stack, not from its current state.
    PublishesTheEvent,
    /// One variable is missing.
    ForgetsAVariable,
    /// A variable that isn't ours is replaced.
    OverwritesVariables,
    /// A database is deleted without a final snapshot.
    SkipsTheSnapshot,
    /// A removed database isn't restored from its final snapshot.
    ForgetsTheSnapshot,
    /// A change requests the storage in the settings, even if the database already has more.
    ShrinksStorage,
    /// The attributes contain the password.
    TellsThePassword,
    /// Work on a request continues after CloudFormation has stopped waiting for it, next to the request that replaced
    /// it.
    WorksOutOfTurn,
    /// No step gives up, and nothing answers for an execution that timed out.
    NeverGivesUp,
    /// The wrong snapshot is restored.
    RestoresTheOldest,
    /// A detached stage removes a rule that other stages need.
    CutsOthersOff,
    /// The credentials in another secret are copied only once, and never again.
    KeepsAnOldCopy,
    /// A rebuild doesn't change its token, so CloudFormation calls no function again.
    RebuildsWithoutAToken,
    /// After a rollback, no container is restarted, whatever it has read in the meantime.
    KeepsContainersAfterARollback,
    /// Clients can read new credentials before the operation that introduces them is complete.
    PublishesTooEarly,
    /// A stage removes a rule without announcing it first and checking again.
    LeavesAtOnce,
    /// A save changes the instance class without being asked to.
    ChangesTheClass,
    /// The values that clients read lack the database name.
    PublishesHalf,
    /// The reported reason isn't the cause of the failure.
    TellsAnotherReason,
    /// Every deployment is taken for one without the variables, also our own, and nobody counts.
    RestoresForever,
    /// A restoration deploys a copy of our own previous revision instead of the team's definition.
    CopiesItsPrevious,
    /// A service that isn't registered gets the variables of its neighbor.
    PublishesToAnother,
    /// A change starts although its record was lost.
    StartsUnrecorded,
    /// A proof passes although its client never ran.
    ProvesWithoutRunning,
    /// The client's command contains the password.
    CommandsThePassword,
    /// The login from before is disabled while tasks with it are still running.
    DisablesTooEarly,
    /// The master user's new password isn't the one that others find in its secret.
    KeepsTheOldMaster,
    /// The client that disables the login from before only connects.
    NeverDisables,
}

impl Plant {
    /// All planted bugs.
    pub const ALL: [Self; 35] = [
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
        Self::RestoresForever,
        Self::CopiesItsPrevious,
        Self::PublishesToAnother,
        Self::StartsUnrecorded,
        Self::ProvesWithoutRunning,
        Self::CommandsThePassword,
        Self::DisablesTooEarly,
        Self::KeepsTheOldMaster,
        Self::NeverDisables,
    ];

    /// The name on the command line.
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
            Self::RestoresForever => "restores-forever",
            Self::CopiesItsPrevious => "copies-its-previous",
            Self::PublishesToAnother => "publishes-to-another",
            Self::StartsUnrecorded => "starts-unrecorded",
            Self::ProvesWithoutRunning => "proves-without-running",
            Self::CommandsThePassword => "commands-the-password",
            Self::DisablesTooEarly => "disables-too-early",
            Self::KeepsTheOldMaster => "keeps-the-old-master",
            Self::NeverDisables => "never-disables",
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
                Invariant::Answered,
            ],
            Self::TrustsTheIdentifier => &[Invariant::ForeignUntouched],
            Self::NewPasswordOnRetry => {
                &[Invariant::SecretAgrees, Invariant::VariablesAgree, Invariant::Proved, Invariant::LogsIn]
            }
            Self::PublishesTheEvent | Self::ForgetsAVariable | Self::OverwritesVariables => {
                &[Invariant::VariablesAgree]
            }
            Self::SkipsTheSnapshot | Self::RestoresTheOldest => &[Invariant::DataKept],
            Self::ForgetsTheSnapshot => &[Invariant::Ends, Invariant::DataKept, Invariant::Owned],
            Self::ShrinksStorage => &[Invariant::NeverShrinks],
            Self::TellsThePassword | Self::CommandsThePassword => &[Invariant::NothingLeaks],
            Self::CutsOthersOff => &[Invariant::Access, Invariant::ForeignUntouched],
            Self::KeepsAnOldCopy | Self::KeepsTheOldMaster | Self::RebuildsWithoutAToken => {
                &[Invariant::SecretAgrees]
            }
            Self::KeepsContainersAfterARollback => &[Invariant::VariablesAgree],
            Self::PublishesTooEarly => {
                &[Invariant::VariablesAgree, Invariant::SecretAgrees, Invariant::Proved]
            }
            Self::LeavesAtOnce => &[Invariant::Access],
            Self::ChangesTheClass => &[Invariant::Promised],
            Self::DisablesTooEarly => &[Invariant::LogsIn],
            Self::NeverDisables => &[Invariant::Settled],
            Self::PublishesHalf => &[Invariant::LogsIn, Invariant::SecretAgrees],
            Self::TellsAnotherReason => &[Invariant::Told],
            Self::RestoresForever => &[Invariant::Ends],
            Self::CopiesItsPrevious => &[Invariant::ImagesKept],
            Self::StartsUnrecorded => &[Invariant::Recorded],
            Self::ProvesWithoutRunning => &[Invariant::Proved],
            Self::PublishesToAnother => {
                &[Invariant::ForeignUntouched, Invariant::ImagesKept, Invariant::VariablesAgree]
            }
        }
    }

    /// The planted bug of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plant| plant.name() == name)
    }
}
