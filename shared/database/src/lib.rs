//! What a stage's database is, and what happens to it next.
//!
//! Everything here is a pure function over plain data: no AWS SDK, no async runtime, no clock, and no environment. The
//! Lambda functions observe AWS, ask this crate for the next step, and do it.

mod access;
mod capacity;
mod changes;
mod choice;
mod client;
mod connection;
mod containers;
mod differences;
mod downtime;
mod failure;
mod generation;
mod hex;
mod history;
mod login;
mod names;
mod next_step;
mod observed;
mod rebuild;
mod refusal;
mod registration;
mod request;
mod request_token;
mod reserved;
mod restoration;
mod role_patterns;
mod roles;
mod save;
mod setting;
mod settings;
mod snippets;
mod stage_event;
mod step;
mod suggestion;
mod text;
mod turn;
mod values;
mod variables;

pub use access::{AccessStep, Claimant, IngressRule, Wanted, access_steps, claim_tag, stage_of_claim};
pub use capacity::{Capacity, capacity};
pub use changes::{Change, Effect, creation};
pub use client::{
    Attempt, AttemptOutcome, CLIENT, ClientFailure, ClientTask, ConnectionTest, DowntimeRequest,
    MEASURED_AT_MOST, PROOF_LIMIT, SettleRequest, StoppedTask, TEST_LIMIT, client_result, connect_command,
    downtime_command, logins_command, settle_command,
};
pub use connection::Connection;
pub use containers::{
    Containers, ObservedService, Rollout, ServiceContainers, all_containers, conflict_in_words, containers,
    obstacle,
};
pub use downtime::{Downtime, interrupting_changes, measured};
pub use failure::{Advice, advice};
pub use generation::{Generation, GenerationError, SnapshotId};
pub use hex::hex;
pub use history::{
    Changed, Clean, Cursor, End, Entry, Filter, Found, Kind, Observations, Outcome, Pages, Record,
    ShownRecord, Who, ends, outside_changes, was_running,
};
pub use login::{AppLogin, Leftover, Login, LoginError, MASTER, credentials_label};
pub use names::{NameError, StackName, Stage, StageName};
pub use next_step::next_step;
pub use observed::{
    AttachedDatabase, Endpoint, Instance, Observed, Owner, Pending, Shown, Snapshot, SnapshotStatus, Status,
};
pub use rebuild::{
    Phase, Rebuild, RebuildStep, StackEvent, StackObservation, StackStatus, StepStatus, rebuild,
};
pub use refusal::Refusal;
pub use registration::{
    Former, GROUPS, INLINE_GROUP, JOBS_MAX, Job, JobPart, ROLES, Registration, SERVICES_MAX, Service,
    ServicePart, migrate, proof_in_words, service_in_arn,
};
pub use request::{Clock, Created, Desired, GIVE_UP_AFTER, Operation, Previous, Request};
pub use request_token::{CLEARING, KEYED, WITHOUT_KEY, is_request_token};
pub use restoration::{Deployed, RESTORES_MAX, Restoration, Restorations, Restore, restore, story};
pub use role_patterns::RolePatterns;
pub use roles::{Action, Forbidden, Role, Roles, groups_in, is_group_of_role, may};
pub use save::{
    Objection, Orderable, STORAGE_REST, Situation, check_change, check_creation, check_restoration,
    earliest_storage_change,
};
pub use setting::{
    ChoiceForm, Consequence, Form, InvalidField, InvalidParameter, Need, Rule, Setting, SettingValue,
    TextForm, in_words,
};
pub use settings::{
    AttachedSettings, AttachmentPart, AttachmentTarget, CreatedPart, CreatedSettings, Settings,
};
pub use snippets::{Snippet, snippets};
pub use stage_event::{Ended, Fact, LOGIN_PUBLISHED, StageEvent};
pub use step::{Attributes, Changes, DatabaseAttributes, Step};
pub use suggestion::suggested_stage;
pub use turn::{After, Asked, QUIET, TURN, Turn, turn};
pub use values::{
    Apply, AttachedKind, BackupRetention, ClusterName, DatabaseIdentifier, DatabaseName, EcsName,
    EngineVersion, ExistingDatabaseName, InstanceClass, PlainText, RotationDays, SecretArn, SecurityGroupId,
    SettingError, StorageGiB, Username, minimum_growth, place,
};
pub use variables::{
    ContainerVariables, Publication, RUNTIME_VARIABLES, RuntimeVariable, SecretReference, Target,
    VariableConflict, lacks_in_words, missing_variables, publication, runtime_variables,
};
