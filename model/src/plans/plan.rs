//! A history as data: what users do, which calls fail and how, and how unpredictable AWS is. It's generated from a
//! seed, and the shrinker removes parts of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plans::fault::Fault;

/// Everything that isn't decided by the handlers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Determines durations, lags, and the order of things that happen at the same time.
    pub seed: u64,
    /// Whether the stages were registered without faults the day before. If not, the history starts with registering
    /// them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub registered: bool,
    /// What users do, in order.
    pub steps: Vec<Step>,
    /// Which calls fail, and how.
    pub faults: Vec<Fault>,
    /// How AWS behaves where nothing fails.
    pub weather: Weather,
}

/// One thing that a user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When.
    pub after: Pause,
    /// The index of the stage.
    pub stage: u8,
    /// What.
    pub action: Action,
    /// Whether another user starts the next step without waiting for this one to finish.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
}

/// How long to wait before a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pause {
    /// Until CloudFormation has finished.
    AtRest,
    /// This many seconds.
    Seconds(u32),
}

/// What a user does, through the API unless stated otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Action {
    /// Registers the stage again, with its current services.
    Register,
    /// Saves a created database with this instance class and storage.
    Save {
        /// The index of the instance class.
        class: u8,
        /// The storage in GiB.
        storage: u32,
        /// Other settings, one bit each: a standby, different backups, maximum storage, apply in the maintenance
        /// window, minor version upgrade, major version upgrade, app login, no app login.
        more: u8,
    },
    /// Attaches the existing database that stagedb doesn't manage.
    Attach {
        /// Whether the user types the credentials instead of choosing a secret.
        typed: bool,
        /// Whether to use the second database of the instance.
        other: bool,
    },
    /// Saves a database created from the stage's newest snapshot.
    Restore,
    /// Removes the database.
    Remove,
    /// Rebuilds.
    Rebuild,
    /// Forgets the stage.
    DeleteStage,
    /// Reads everything that the API offers.
    Look,
    /// In the console: stops the instance.
    StopInstance,
    /// In the console: starts it.
    StartInstance,
    /// In the console: turns off deletion protection and deletes the instance without a final snapshot.
    DeleteInstance,
    /// RDS storage autoscaling increases the storage.
    Autoscale,
    /// In the console: removes one of our tags from the instance.
    RemoveTag(u8),
    /// In the console: cancels the running update.
    CancelUpdate,
    /// In the console: turns off the stack's termination protection and deletes the stack, including the database.
    DeleteStack,
    /// Someone creates an instance with the identifier that the stage's database would get.
    ForeignInstance,
    /// CloudFormation deletes one of the stage's resources by a physical ID that was never returned.
    StrayDelete,
    /// A team deploys its own revision of a service's task definition, with or without the variables.
    Deploy {
        /// Whether it contains the variables.
        keeps: bool,
        /// Whether it's the worker, and not the web service.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        worker: bool,
        /// Whether its image doesn't start, so that ECS goes back to the definition before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        broken: bool,
    },
    /// A team registers its own revision of the job's task definition, without the variables.
    RegisterJob,
    /// Registers the stage with other services: only the web service, also the worker, also the job, or only the worker.
    Services(u8),
    /// Restores the variables that services and jobs lack.
    RestoreVariables,
    /// ECS replaces the tasks on its own, as it does when a host fails.
    RestartTasks,
    /// Someone adds a variable with one of our names to the task definition, or removes it again.
    OwnVariable(bool),
    /// Tests a connection to an existing database before it's attached.
    TestConnection,
    /// Rotates the app login.
    RotateLogin,
    /// Rotates the app login after a leak.
    RotateNow,
    /// The schedule asks for what is due 31 days from now.
    Schedule,
    /// Someone sets a new password for the database that can be attached, and stores it in its secret.
    Rotate,
    /// Someone manually adds a rule that gives the service access to the database that can be attached.
    OpenRule,
    /// CloudFormation can't invoke the function of this resource, once. The rollback starts there.
    CannotCall(Logical),
}

/// A custom resource of the stage stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Logical {
    /// The credentials.
    Credentials,
    /// The database.
    Database,
    /// The rule that gives the service access.
    Access,
    /// The logins.
    Logins,
    /// The proof.
    Proof,
    /// The connection.
    Connection,
}

impl Logical {
    /// The logical ID in the template.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Credentials => "Credentials",
            Self::Database => "Database",
            Self::Access => "Access",
            Self::Logins => "Logins",
            Self::Proof => "Proof",
            Self::Connection => "Connection",
        }
    }
}

/// How AWS behaves when nothing fails. Each value is a probability per thousand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weather {
    /// Events and asynchronous invocations that are delivered twice.
    pub twice: u16,
    /// Events that arrive minutes to days late, and so out of order.
    pub late: u16,
    /// Descriptions that are a few seconds out of date.
    pub stale: u16,
    /// Database changes that take long, some longer than any caller waits.
    pub slow: u16,
    /// Creations that RDS rejects or that end in a failed status, and client tasks that end without having connected.
    pub refused: u16,
}

/// The maximum number of stages in a history.
const STAGES: u8 = 2;
/// The number of sets of services that a stage is registered with.
pub(crate) const SETS: u8 = 4;
/// The number of our tags on an instance.
const TAGS: u8 = 3;

/// The instance classes that users save.
pub(crate) const CLASSES: [&str; 3] = ["db.t4g.micro", "db.t4g.small", "db.m7g.large"];

impl Plan {
    /// Checks what the types can't express.
    ///
    /// # Errors
    /// A message that names the step.
    pub fn check(&self) -> Result<(), String> {
        for (number, step) in self.steps.iter().enumerate() {
            let at = |words: String| format!("steps[{number}]: {words}");
            if step.stage >= STAGES {
                return Err(at(format!("stage {} doesn't exist; use 0 or 1", step.stage)));
            }
            match step.action {
                Action::Save { class, .. } if usize::from(class) >= CLASSES.len() => {
                    return Err(at(format!("class {class} doesn't exist; use 0 to {}", CLASSES.len() - 1)));
                }
                Action::Services(which) if which >= SETS => {
                    return Err(at(format!("set {which} of services doesn't exist; use 0 to {}", SETS - 1)));
                }
                Action::RemoveTag(tag) if tag >= TAGS => {
                    return Err(at(format!("tag {tag} doesn't exist; use 0 to {}", TAGS - 1)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether users do nothing and AWS is healthy.
    pub(crate) fn calm() -> Self {
        let (steps, faults) = (Vec::new(), Vec::new());
        Self { seed: 0, registered: false, steps, faults, weather: Weather::default() }
    }

    /// The number of stages.
    pub(crate) fn stages(&self) -> usize {
        self.steps.iter().map(|step| usize::from(step.stage) + 1).max().unwrap_or(1)
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
            let beside = if step.beside { ", at the same time as the next one" } else { "" };
            writeln!(f, "  {after}, stage {}: {:?}{beside}", step.stage, step.action)?;
        }
        for Fault { at, tries, kind } in &self.faults {
            writeln!(f, "  {at} {}, {tries} tries", kind.name())?;
        }
        let Weather { twice, late, stale, slow, refused } = self.weather;
        write!(
            f,
            "  per thousand: {twice} twice, {late} late, {stale} stale, {slow} slow, {refused} rejected"
        )
    }
}
