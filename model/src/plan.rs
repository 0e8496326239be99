//! What happens in a history, as data: what people do, which calls fail and how, and how unruly AWS is. A seed makes it; the
//! shrinker takes parts of it away.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::draw;
pub use crate::fault::{At, Fault, FaultKind};

/// Everything that is not decided by the handlers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Decides durations, lags and the order of what is equally early.
    pub seed: u64,
    /// The stages were registered the day before, when all was well; or else the history begins with that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub registered: bool,
    /// What people do, one after the other.
    pub steps: Vec<Step>,
    /// Which calls do not simply work.
    pub faults: Vec<Fault>,
    /// How AWS behaves where nothing fails.
    pub weather: Weather,
}

/// One thing that a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When.
    pub after: Pause,
    /// To which of the stages.
    pub stage: u8,
    /// What.
    pub action: Action,
    /// Whether the next step does not wait until this one is done: another person does that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
}

/// How long a person waits before the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pause {
    /// Until CloudFormation is done.
    AtRest,
    /// This many seconds.
    Seconds(u32),
}

/// What a person does, through the API unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Action {
    /// Registers the stage again, with what it has.
    Register,
    /// Saves a created database with the class of this index and this many GiB.
    Save {
        /// Index into the classes.
        class: u8,
        /// GiB.
        storage: u32,
        /// Other settings, a bit for each: a standby, other backups, a ceiling for the storage, in the maintenance window, a
        /// minor upgrade, a major one.
        more: u8,
    },
    /// Attaches the database that somebody else has.
    Attach {
        /// With credentials that the person types, not those of a secret.
        typed: bool,
        /// Whether it is the second database inside.
        other: bool,
    },
    /// Saves a created database that begins with the newest snapshot of the stage.
    Restore,
    /// Removes the database.
    Remove,
    /// Rebuilds.
    Rebuild,
    /// Forgets the stage.
    DeleteStage,
    /// Reads everything that the API shows.
    Look,
    /// In the console: stops the instance.
    StopInstance,
    /// In the console: starts it.
    StartInstance,
    /// In the console: takes the protection off and deletes the instance without a snapshot.
    DeleteInstance,
    /// RDS's autoscaling makes the storage larger.
    Autoscale,
    /// In the console: takes one of our tags off the instance.
    RemoveTag(u8),
    /// In the console: cancels the update that runs.
    CancelUpdate,
    /// In the console: takes the stack's protection off and deletes it, database and all.
    DeleteStack,
    /// Somebody makes an instance with the identifier that the stage's database would get.
    ForeignInstance,
    /// CloudFormation deletes a resource of the stage with an id that was never given.
    StrayDelete,
    /// Somebody deploys an own revision of the service's task definition, which keeps the variables or has none.
    Deploy {
        /// Whether the variables are in it.
        keeps: bool,
    },
    /// ECS replaces the tasks by itself, as it does when a host fails.
    RestartTasks,
    /// Somebody puts a variable of one of our names into the task definition, or takes it out again.
    OwnVariable(bool),
    /// Somebody makes a new password for the database that can be attached, and writes it into its secret.
    Rotate,
    /// Somebody lets the service into the database that can be attached, by a rule made by hand.
    OpenRule,
    /// CloudFormation cannot call the function behind this resource, once: the rollback begins there.
    CannotCall(Logical),
}

/// A custom resource of the stage stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Logical {
    /// The credentials.
    Credentials,
    /// The database.
    Database,
    /// The rule that lets the service in.
    Access,
    /// The connection.
    Connection,
}

impl Logical {
    /// The name in the template.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Credentials => "Credentials",
            Self::Database => "Database",
            Self::Access => "Access",
            Self::Connection => "Connection",
        }
    }
}

/// How AWS behaves where nothing fails; each in a thousand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weather {
    /// Events and asynchronous invocations that are delivered twice.
    pub twice: u16,
    /// Events that come minutes to days late, and so out of order.
    pub late: u16,
    /// Descriptions that are a few seconds old.
    pub stale: u16,
    /// Changes of databases that take long, up to longer than anybody waits.
    pub slow: u16,
    /// Creations that RDS refuses or that end in a bad status.
    pub refused: u16,
}

/// How many stages a history has at most.
const STAGES: u8 = 2;
/// How many tags of ours an instance has.
const TAGS: u8 = 3;

/// The instance classes that can be saved.
pub(crate) const CLASSES: [&str; 3] = ["db.t4g.micro", "db.t4g.small", "db.m7g.large"];

impl Plan {
    /// What the types of a plan allow, but no history.
    ///
    /// # Errors
    /// In words, with the step that it is about.
    pub fn check(&self) -> Result<(), String> {
        for (number, step) in self.steps.iter().enumerate() {
            let at = |words: String| format!("steps[{number}]: {words}");
            if step.stage >= STAGES {
                return Err(at(format!("there is no stage {}, only 0 and 1", step.stage)));
            }
            match step.action {
                Action::Save { class, .. } if usize::from(class) >= CLASSES.len() => {
                    return Err(at(format!("there is no class {class}, only 0 to {}", CLASSES.len() - 1)));
                }
                Action::RemoveTag(tag) if tag >= TAGS => {
                    return Err(at(format!("there is no tag {tag}, only 0 to {}", TAGS - 1)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Nobody does anything, and AWS is well.
    pub(crate) fn calm() -> Self {
        let (steps, faults) = (Vec::new(), Vec::new());
        Self { seed: 0, registered: false, steps, faults, weather: Weather::default() }
    }

    /// How many stages it is about.
    pub(crate) fn stages(&self) -> usize {
        self.steps.iter().map(|step| usize::from(step.stage) + 1).max().unwrap_or(1)
    }

    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        draw::plan(seed)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.registered {
            writeln!(f, "  the stages are registered")?;
        }
        for step in &self.steps {
            let after = match step.after {
                Pause::AtRest => "at rest".to_owned(),
                Pause::Seconds(seconds) => format!("after {seconds} s"),
            };
            let beside = if step.beside { ", and the next one beside it" } else { "" };
            writeln!(f, "  {after}, stage {}: {:?}{beside}", step.stage, step.action)?;
        }
        for Fault { at, tries, kind } in &self.faults {
            writeln!(f, "  {at} {}, {tries} tries", kind.name())?;
        }
        let Weather { twice, late, stale, slow, refused } = self.weather;
        write!(
            f,
            "  in a thousand: {twice} twice, {late} late, {stale} stale, {slow} slow, {refused} refused"
        )
    }
}
