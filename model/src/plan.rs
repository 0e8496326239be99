//! What happens in a history, as data: what people do, which calls fail and how, and how unruly AWS is. A seed makes it; the
//! shrinker takes parts of it away.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// Everything that is not decided by the handlers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Decides durations, lags and the order of what is equally early.
    pub seed: u64,
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

/// A call that does not simply work. The calls of a history are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The call.
    pub call: u32,
    /// For how many tries of the same operation it goes on: the SDK tries up to five times.
    pub tries: u8,
    /// What happens.
    pub kind: FaultKind,
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

    /// The plan of a seed.
    ///
    /// # Panics
    /// Never: every number drawn fits.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = Random::of(seed, "plan", 0);
        let stages = if random.chance(150) { 2 } else { 1 };
        let count = random.within(1, 7);
        let mut steps: Vec<_> = (0..count).map(|number| step(&mut random, stages, number)).collect();
        // Nothing comes of a history without a database.
        let action = if random.chance(150) { attach(&mut random) } else { save(&mut random) };
        let first = Step { after: Pause::AtRest, stage: 0, action };
        let place = if random.chance(900) { 0 } else { usize::try_from(random.below(count)).unwrap() };
        steps.insert(place, first);
        let weather = Weather {
            twice: random.pick(&[0, 0, 50, 300]),
            late: random.pick(&[0, 0, 50, 300]),
            stale: random.pick(&[0, 0, 100, 500]),
            slow: random.pick(&[0, 0, 5, 30]),
            refused: random.pick(&[0, 0, 20, 100]),
        };
        Self { seed, steps, faults: faults(&mut random), weather }
    }
}

fn save(random: &mut Random) -> Action {
    let class = u8::try_from(random.weighted(&[5, 4, 1])).unwrap();
    let storage = random.pick(&[20, 20, 20, 22, 30, 40, 60, 100]);
    // Most leave the other settings alone.
    let more = if random.chance(700) { 0 } else { u8::try_from(random.below(64)).unwrap() };
    Action::Save { class, storage, more }
}

fn attach(random: &mut Random) -> Action {
    Action::Attach { typed: random.chance(500), other: random.chance(200) }
}

fn step(random: &mut Random, stages: u64, number: u64) -> Step {
    let after = match random.weighted(&[75, 15, 10]) {
        0 => Pause::AtRest,
        1 => Pause::Seconds(u32::try_from(random.within(0, 20)).unwrap()),
        _ => Pause::Seconds(u32::try_from(random.within(20, 4000)).unwrap()),
    };
    let logical = |random: &mut Random| match random.weighted(&[2, 3, 1, 5]) {
        0 => Logical::Credentials,
        1 => Logical::Database,
        2 => Logical::Access,
        _ => Logical::Connection,
    };
    let action =
        match random.weighted(&[30, 16, 6, 3, 4, 3, 2, 2, 4, 2, 6, 3, 2, 3, 3, 2, 8, 10, 12, 2, 1, 3]) {
            0 => save(random),
            1 => Action::Remove,
            2 => Action::Rebuild,
            3 => Action::DeleteStage,
            4 => Action::Look,
            5 => Action::StopInstance,
            6 => Action::StartInstance,
            7 => Action::DeleteInstance,
            8 => Action::Autoscale,
            9 => Action::RemoveTag(u8::try_from(random.below(3)).unwrap()),
            10 => Action::CancelUpdate,
            11 => Action::DeleteStack,
            12 if number == 0 => Action::ForeignInstance,
            13 => Action::StrayDelete,
            14 => Action::Deploy { keeps: random.chance(500) },
            15 => Action::OwnVariable(random.chance(500)),
            16 => Action::CannotCall(logical(random)),
            17 => attach(random),
            18 => Action::Restore,
            19 => Action::Rotate,
            20 => Action::OpenRule,
            _ => Action::Register,
        };
    // An update can only be cancelled, and a resource only fail, while one runs.
    let after = match action {
        Action::CancelUpdate => Pause::Seconds(u32::try_from(random.within(0, 40)).unwrap()),
        _ => after,
    };
    Step { after, stage: u8::try_from(random.below(stages)).unwrap(), action }
}

fn faults(random: &mut Random) -> Vec<Fault> {
    // On average every so many calls; a third of the histories has none.
    let Some(every) = random.pick(&[None, None, Some(100), Some(40), Some(15), Some(6)]) else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    let mut call = 0;
    while faults.len() < 40 {
        call += 1 + u32::try_from(random.below(2 * every)).unwrap();
        if call > 1500 {
            break;
        }
        let tries = random.pick(&[1, 1, 1, 2, 3, 5, 25]);
        faults.push(Fault { call, tries, kind: random.pick(&FaultKind::ALL) });
    }
    faults
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let after = match step.after {
                Pause::AtRest => "at rest".to_owned(),
                Pause::Seconds(seconds) => format!("after {seconds} s"),
            };
            writeln!(f, "  {after}, stage {}: {:?}", step.stage, step.action)?;
        }
        for Fault { call, tries, kind } in &self.faults {
            writeln!(f, "  call {call} {}, {tries} tries", kind.name())?;
        }
        let Weather { twice, late, stale, slow, refused } = self.weather;
        write!(
            f,
            "  in a thousand: {twice} twice, {late} late, {stale} stale, {slow} slow, {refused} refused"
        )
    }
}
