//! What a stage's database is, and what happens to it next.
//!
//! Everything here is a pure function over plain data: no AWS SDK, no async runtime, no clock and no environment. The
//! functions observe the world, ask this crate for the next step, and do it.

mod access;
mod capacity;
mod failure;
mod generation;
mod names;
mod next_step;
mod observed;
mod rebuild;
mod reserved;
mod save;
mod settings;
mod turn;
mod values;
mod variables;

pub use access::{AccessStep, IngressRule, Wanted, access_step, claim_tag, stage_of_claim};
pub use capacity::{Capacity, capacity};
pub use failure::{Advice, advice};
pub use generation::{Generation, GenerationError, SnapshotId};
pub use names::{NameError, StackName, Stage, StageName};
pub use next_step::{
    Attached, Attributes, Changes, Clock, Created, DatabaseAttributes, Desired, GIVE_UP_AFTER, Operation,
    Previous, Refusal, Request, Step, next_step,
};
pub use observed::{
    AttachedDatabase, Endpoint, Instance, Observed, Owner, Pending, Snapshot, SnapshotStatus, Status,
};
pub use rebuild::{
    Containers, Phase, Rebuild, RebuildStep, StackEvent, StackObservation, StackStatus, StepStatus, rebuild,
};
pub use save::{
    Change, Effect, Objection, Orderable, STORAGE_REST, Situation, check_change, check_creation,
    check_restoration, creation, earliest_storage_change,
};
pub use settings::{AttachedKind, AttachedSettings, CreatedSettings, Settings};
pub use turn::{After, Asked, QUIET, TURN, Turn, turn};
pub use values::{
    Apply, BackupRetention, DatabaseIdentifier, DatabaseName, EngineVersion, ExistingDatabaseName,
    InstanceClass, SecretArn, SettingError, StorageGiB, Username, minimum_growth, place,
};
pub use variables::{
    ContainerVariables, Publication, RUNTIME_VARIABLES, RuntimeVariable, SecretReference, Target,
    VariableConflict, publication, runtime_variables,
};
