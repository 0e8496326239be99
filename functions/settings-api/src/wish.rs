//! What a person asks for in a Save or its preview, as the body says it.

use aws::Password;
use database::{
    Apply, AttachedKind, BackupRetention, DatabaseIdentifier, DatabaseName, EngineVersion,
    ExistingDatabaseName, InstanceClass, SecretArn, SnapshotId, StorageGiB, Username,
};

use crate::{
    fields::{Body, Fields},
    problem::Problem,
};

/// What a stage's database shall be.
#[derive(Debug)]
pub(crate) enum Wish {
    Created(CreatedWish),
    Attached(AttachedWish),
}

/// A database of the stage's own. `None`: as it is, or the default of a new one.
#[derive(Debug)]
pub(crate) struct CreatedWish {
    pub(crate) instance_class: InstanceClass,
    pub(crate) storage: StorageGiB,
    pub(crate) database_name: Option<DatabaseName>,
    pub(crate) max_storage: Ceiling,
    pub(crate) multi_az: Option<bool>,
    pub(crate) backup_retention: Option<BackupRetention>,
    pub(crate) engine_version: Option<EngineVersion>,
    pub(crate) apply: Option<Apply>,
    pub(crate) from_snapshot: Option<SnapshotId>,
    pub(crate) confirm: Option<String>,
}

/// Up to where the storage may grow by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ceiling {
    AsItIs,
    None,
    At(StorageGiB),
}

impl Ceiling {
    /// The ceiling, where `current` is the one there is.
    pub(crate) fn or(self, current: Option<StorageGiB>) -> Option<StorageGiB> {
        match self {
            Self::AsItIs => current,
            Self::None => None,
            Self::At(storage) => Some(storage),
        }
    }
}

/// Somebody else's database.
#[derive(Debug)]
pub(crate) struct AttachedWish {
    pub(crate) kind: Option<AttachedKind>,
    pub(crate) identifier: DatabaseIdentifier,
    pub(crate) database_name: ExistingDatabaseName,
    /// `None`: those it has.
    pub(crate) credentials: Option<CredentialsWish>,
}

/// How applications log in to somebody else's database.
#[derive(Debug)]
pub(crate) enum CredentialsWish {
    Secret(SecretArn),
    Typed { username: Username, password: Password },
}

impl Wish {
    /// What a body asks for, or everything that is wrong with it.
    pub(crate) fn from_body(body: &Body) -> Result<Self, Problem> {
        let fields = body.object()?;
        match fields.text("source").as_deref() {
            Some("created") => created(fields),
            Some("attached") => attached(fields),
            Some(_) => {
                fields.error("source", "must be created or attached");
                Err(Problem::fields(fields.errors()))
            }
            // Without a source the other fields cannot be judged.
            None => Err(Problem::fields(fields.errors())),
        }
    }
}

fn created(fields: Fields) -> Result<Wish, Problem> {
    let instance_class = fields.parse("instanceClass");
    let storage = fields.number("storageGiB");
    let from_snapshot = fields.optional("fromSnapshot", Fields::parse);
    // A snapshot may know it.
    let database_name = if fields.has("fromSnapshot") {
        fields.optional("databaseName", Fields::parse)
    } else {
        fields.parse("databaseName")
    };
    let max_storage = if fields.is_null("maxStorageGiB") {
        Ceiling::None
    } else {
        fields.optional("maxStorageGiB", Fields::number).map_or(Ceiling::AsItIs, Ceiling::At)
    };
    let multi_az = fields.optional("multiAz", Fields::boolean);
    let backup_retention = fields.optional("backupRetentionDays", Fields::number);
    let engine_version = fields.optional("engineVersion", Fields::parse);
    let apply = fields.optional("apply", Fields::parse);
    let confirm = fields.optional("confirm", Fields::text);
    let errors = fields.end();
    match (instance_class, storage) {
        (Some(instance_class), Some(storage)) if errors.is_empty() => Ok(Wish::Created(CreatedWish {
            instance_class,
            storage,
            database_name,
            max_storage,
            multi_az,
            backup_retention,
            engine_version,
            apply,
            from_snapshot,
            confirm,
        })),
        _ => Err(Problem::fields(errors)),
    }
}

fn attached(fields: Fields) -> Result<Wish, Problem> {
    let kind = fields.optional("kind", Fields::parse);
    let identifier = fields.parse("identifier");
    let database_name = fields.parse("databaseName");
    let inner = fields.optional("credentials", Fields::object);
    let (credentials, of_credentials) = inner.map_or((None, Vec::new()), |inner| {
        let credentials = credentials(&inner);
        (credentials, inner.end())
    });
    let mut errors = fields.end();
    errors.extend(of_credentials);
    match (identifier, database_name) {
        (Some(identifier), Some(database_name)) if errors.is_empty() => {
            Ok(Wish::Attached(AttachedWish { kind, identifier, database_name, credentials }))
        }
        _ => Err(Problem::fields(errors)),
    }
}

fn credentials(fields: &Fields) -> Option<CredentialsWish> {
    if fields.has("secretArn") {
        if fields.has("username") || fields.has("password") {
            fields.error("secretArn", "cannot be given together with username and password");
        }
        return fields.parse("secretArn").map(CredentialsWish::Secret);
    }
    let username = fields.parse("username");
    let password = fields.text("password").map(Password::from);
    Some(CredentialsWish::Typed { username: username?, password: password? })
}
