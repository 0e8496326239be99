//! Adapters to AWS: each translates between AWS's types and ours, and makes calls. SDK types stop here.
//!
//! There is no trait for each adapter: the decisions are in the crate `database`, and the adapters are tested against a
//! local AWS and against recorded requests.

mod catalogue;
mod client_tasks;
mod config;
mod databases;
mod ec2;
mod error;
mod events;
mod executions;
mod history_log;
mod instant;
mod json;
mod metrics;
mod protections;
mod raw;
mod running_tasks;
mod secrets;
mod security_groups;
mod service_notes;
mod services;
mod stacks;
mod stage_services;
mod subnets;
mod task_definitions;
mod turns;
mod users;

pub use catalogue::{DatabasePage, FoundDatabase, OwnedPage};
pub use client_tasks::{ClientTasks, Place, Run, RunError};
pub use config::{load, retries, timeouts};
pub use databases::{Databases, WriteError};
pub use error::AwsError;
pub use events::Events;
pub use executions::{Execution, ExecutionState, Executions, Started, execution_prefix};
pub use history_log::{HistoryLog, Lines};
pub use metrics::{Measured, Metrics, Point};
pub use protections::Protections;
pub use running_tasks::{Of, RunningTasks};
pub use secrets::{
    AboutSecret, CURRENT_LABEL, Credentials, ForeignSecret, LOGINS_LABEL, LoginsValue, NEXT_LABEL,
    PROOF_LABEL, Password, PutError, SecretError, SecretValue, SecretVersion, Secrets, TEST_LABEL,
};
pub use security_groups::SecurityGroups;
pub use service_notes::{Note, Rebuilt};
pub use services::{Deployment, Service, Services, newest_first};
pub use stacks::{ChangeError, ChangeSet, Lookup, ResourceChange, StackPage, Stacks, StageStack};
pub use stage_services::{SeenService, StageServices};
pub use subnets::{Subnet, Subnets};
pub use task_definitions::{TaskDefinition, TaskDefinitions};
pub use turns::{TurnError, Turns};
pub use users::Users;

/// Configuration shared by all clients.
pub use aws_config::SdkConfig;

/// The tag that names the stack.
pub const TAG_STACK: &str = "stagedb:stack";
/// The tag that names the stage.
pub const TAG_STAGE: &str = "stagedb:stage";
/// The tag of a secret or a security group that stagedb may use for attached databases, with the value `true`.
pub const TAG_ATTACHABLE: &str = "stagedb:attachable";
/// The tag that names the stage stack's ARN.
pub const TAG_STAGE_STACK_ID: &str = "stagedb:stage-stack-id";
/// The tag that names the resource in the stage stack.
pub const TAG_LOGICAL_ID: &str = "stagedb:logical-id";
/// The tag that names the generation of the data.
pub const TAG_GENERATION: &str = "stagedb:generation";
/// The tag that names the generation whose credentials the data has.
pub const TAG_CREDENTIALS: &str = "stagedb:credentials";
/// The tag with the time when stagedb last changed the master user's password.
pub const TAG_PASSWORD_CHANGED: &str = "stagedb:password-changed";
/// The tag that says for how long connections failed during the last change.
pub const TAG_DOWNTIME: &str = "stagedb:downtime";
/// The tag with the database name, which RDS doesn't return for a snapshot.
pub const TAG_DATABASE_NAME: &str = "stagedb:database-name";
