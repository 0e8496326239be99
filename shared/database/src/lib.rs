//! What a stage's database is, and what happens to it next.
//!
//! Everything here is a pure function over plain data: no AWS SDK, no async runtime, no clock and no environment. The
//! functions observe the world, ask this crate for the next step, and do it.

mod generation;
mod names;
mod next_step;
mod observed;
mod rebuild;
mod settings;
mod variables;

pub use generation::{Generation, GenerationError, SnapshotId};
pub use names::{NameError, StackName, Stage, StageName};
pub use next_step::{
    Attributes, Changes, Clock, Created, DatabaseAttributes, Desired, GIVE_UP_AFTER, Operation, Refusal,
    Request, Step, next_step,
};
pub use observed::{Endpoint, Instance, Observed, Owner, Pending, Snapshot, SnapshotStatus, Status};
pub use rebuild::{
    Containers, Phase, Rebuild, RebuildStep, StackEvent, StackObservation, StackStatus, StepStatus, rebuild,
};
pub use settings::{CreatedSettings, DatabaseName, InstanceClass, SettingError, StorageGiB, minimum_growth};
pub use variables::{
    ContainerVariables, Publication, RUNTIME_VARIABLES, RuntimeVariable, SecretReference, Target,
    VariableConflict, publication, runtime_variables,
};
