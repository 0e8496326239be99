//! What CloudFormation asks for.

use std::time::Duration;

use crate::{AttachmentTarget, CreatedSettings, Generation, Owner, Stage};

/// A request gives up after this time, which is less than the hour that CloudFormation waits.
pub const GIVE_UP_AFTER: Duration = Duration::from_mins(55);

/// What CloudFormation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whether the resource is created, updated, or deleted.
    pub operation: Operation,
    /// The database's stage.
    pub stage: Stage,
    /// The resource that the database belongs to.
    pub owner: Owner,
    /// The desired database.
    pub desired: Desired,
    /// The properties before this change.
    pub previous: Previous,
    /// Tells this request apart from others in names: at most 16 lowercase letters and digits.
    pub token: String,
}

/// What matters of the properties before an update.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Previous {
    /// The generation. If it's the desired one, its data existed.
    pub generation: Option<Generation>,
    /// Whether a database was attached.
    pub is_attached: bool,
    /// Whether changes were deferred to the maintenance window.
    pub is_deferred: bool,
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The resource is new.
    Create,
    /// The resource changes, forward or in a rollback.
    Update,
    /// The whole stage stack is deleted, or the resource's creation failed.
    Delete,
}

/// The desired database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Desired {
    /// No database.
    None,
    /// A database that stagedb creates and owns.
    Created(Created),
    /// An existing database that stagedb doesn't manage. Only its endpoint is looked up.
    Attached(AttachmentTarget),
}

/// A database that stagedb creates and owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The creation that its data belongs to.
    pub generation: Generation,
    /// Its settings. Storage and version are floors, because RDS can raise both and lower neither.
    pub settings: CreatedSettings,
    /// The DB subnet group.
    pub subnet_group: String,
    /// The VPC security group, whose members can connect.
    pub security_group: String,
}

/// How long a request has been in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Since the request arrived.
    pub elapsed: Duration,
}
