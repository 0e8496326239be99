//! The settings of a stage's database. This is the one place where a setting is defined: the API's bodies and answers,
//! its description, the parameters of the stage stack, the properties of the custom resource, the preview, and the form
//! on the page follow from it.

use serde_json::{Map, Value as Json};

use crate::{
    Apply, AttachedKind, BackupRetention, DatabaseIdentifier, DatabaseName, EngineVersion,
    ExistingDatabaseName, InstanceClass, RotationDays, SecretArn, SnapshotId, StorageGiB,
    setting::{Consequence, InvalidField, InvalidParameter, Need, Rule, Setting, SettingValue, settings},
};

/// The database of a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Settings {
    /// The stage has no database.
    #[default]
    None,
    /// A database that stagedb creates and owns.
    Created(CreatedSettings),
    /// An existing database that stagedb doesn't manage.
    Attached(AttachedSettings),
}

settings! {
    /// The settings of a database that stagedb creates and owns.
    CreatedSettings, CreatedPart {
        /// The DB instance class, one of `GET /api/instance-classes`.
        instance_class: InstanceClass = "instanceClass" as "InstanceClass" {
            need: required,
            label: "Instance class",
            later: "You can change it later.",
            rule: Rule::Special,
        }
        /// The allocated storage in GiB. You can increase it by 10% or more, but you can't decrease it. RDS may have
        /// increased the live storage further.
        storage: StorageGiB = "storageGiB" as "StorageGiB" {
            need: required,
            label: "Storage (GiB)",
            later: "You can increase it later, but you can't decrease it.",
            rule: Rule::Special,
        }
        /// The limit of storage autoscaling in GiB, at least 10% above the storage. Null turns autoscaling off.
        max_storage: Option<StorageGiB> = "maxStorageGiB" as "MaxStorageGiB" {
            need: default(None),
            label: "Maximum storage (GiB)",
            later: "You can change it later.",
            rule: Rule::Special,
        }
        /// Whether RDS keeps a standby in a second Availability Zone, which takes over if the first one fails.
        multi_az: bool = "multiAz" as "MultiAz" {
            need: default(false),
            label: "Multi-AZ standby",
            later: "You can change it later.",
            rule: Rule::InPlace(|_, after| Consequence {
                detail: if after == true {
                    "RDS creates a standby in another Availability Zone. Writes may be slower until it's ready."
                } else {
                    "RDS removes the standby. If the Availability Zone fails, the database is down until it's restored."
                },
                can_be_undone: true,
                can_wait: true,
            }),
        }
        /// How many days RDS keeps automated backups.
        backup_retention: BackupRetention = "backupRetentionDays" as "BackupRetentionDays" {
            need: default(BackupRetention::DEFAULT),
            label: "Backup retention (days)",
            later: "You can change it later.",
            rule: Rule::InPlace(|before, after| {
                let is_shorter = after.as_u64() < before.as_u64();
                Consequence {
                    detail: if is_shorter { "RDS deletes older automated backups." } else { "RDS keeps automated backups longer." },
                    can_be_undone: !is_shorter,
                    can_wait: false,
                }
            }),
        }
        /// The PostgreSQL version: a major version, or a full one. You can upgrade it, but you can't downgrade it. RDS
        /// may have upgraded the live minor version. A new database gets the version of its snapshot, or the one that
        /// stagedb is configured with.
        engine_version: EngineVersion = "engineVersion" as "EngineVersion" {
            need: optional,
            label: "PostgreSQL version",
            later: "You can upgrade it later, but you can't downgrade it.",
            rule: Rule::Special,
        }
        /// The name of the database in the DB instance. Required, unless the snapshot has it. You can't change it
        /// later.
        database_name: DatabaseName = "databaseName" as "DatabaseName" {
            need: required_unless("fromSnapshot"),
            label: "Database name",
            example: "app",
            later: "You can't change it later.",
            rule: Rule::Fixed,
        }
        /// Whether the containers log in as a user of their own instead of the master user. It owns the database's objects, can't
        /// manage roles, and can't reach other databases.
        app_login: bool = "appLogin" as "AppLogin" {
            need: default(false),
            label: "App login",
            later: "You can change it later.",
            rule: Rule::Special,
        }
        /// After how many days stagedb rotates the passwords of the app login and of the master user. With 0, only users rotate
        /// them. It needs the app login.
        rotation: RotationDays = "rotationDays" as "RotationDays" {
            need: default(RotationDays::NEVER),
            label: "Password rotation (days)",
            later: "You can change it later.",
            rule: Rule::Special,
        }
        /// When changes that interrupt the database are made: in the rebuild, or in the next maintenance window.
        apply: Apply = "apply" as "Apply" {
            need: default(Apply::Now),
            label: "When to apply changes",
            rule: Rule::Special,
        }
        /// The DB snapshot that a new database starts with, one of `GET …/snapshots`.
        from_snapshot: Option<SnapshotId> = "fromSnapshot" as "FromSnapshot" {
            need: default(None),
            label: "Snapshot",
            later: "The database starts with this snapshot's data and a new password. The snapshot is kept.",
            rule: Rule::Fixed,
        }
    }
}

settings! {
    /// Which existing database a stage is attached to.
    AttachmentTarget, AttachmentPart {
        /// Whether the database is a DB instance or a DB cluster. Needed only if both have the same identifier.
        kind: AttachedKind = "kind" as "AttachedKind" {
            need: optional,
            label: "Type",
            rule: Rule::Special,
        }
        /// The identifier of the DB instance or DB cluster, one of `GET /api/databases`.
        identifier: DatabaseIdentifier = "identifier" as "AttachedIdentifier" {
            need: required,
            label: "Identifier",
            example: "orders",
            rule: Rule::Special,
        }
        /// The name of the database in the DB instance or DB cluster.
        database_name: ExistingDatabaseName = "databaseName" as "DatabaseName" {
            need: required,
            label: "Database name",
            example: "orders",
            rule: Rule::Special,
        }
    }
}

/// The settings of an existing database that stagedb doesn't manage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedSettings {
    /// The database.
    pub target: AttachmentTarget,
    /// The secret that every rebuild copies the credentials from; `None` if they were typed in.
    pub secret_arn: Option<SecretArn>,
}

/// The parameter that says where the database comes from.
const SOURCE: &str = "Source";
/// The parameter that names the secret of an attached database.
const SECRET: &str = "CredentialsSecretArn";
/// What a parameter says if there is nothing.
const NONE: &str = "none";

impl Settings {
    /// Where the database comes from, as the API and the stage stack say it.
    #[must_use]
    pub fn source(&self) -> &'static str {
        match self {
            Self::None => NONE,
            Self::Created(_) => "created",
            Self::Attached(_) => "attached",
        }
    }

    /// The parameters of the stage stack that say these settings. Those of another source keep their values.
    #[must_use]
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = vec![(SOURCE, self.source().to_owned())];
        match self {
            Self::None => {}
            Self::Created(created) => parameters.extend(created.parameters()),
            Self::Attached(AttachedSettings { target, secret_arn }) => {
                parameters.extend(target.parameters());
                let secret = secret_arn.as_ref().map_or_else(|| NONE.to_owned(), ToString::to_string);
                parameters.push((SECRET, secret));
            }
        }
        parameters
    }

    /// Reads the settings from the parameters of a stage stack, or from the properties of its custom resource. One that
    /// an earlier version of the template didn't have gets its default.
    ///
    /// # Errors
    /// The first one that is missing or isn't valid.
    pub fn from_parameters<E: From<InvalidParameter>>(
        mut get: impl FnMut(&'static str) -> Result<Option<String>, E>,
    ) -> Result<Self, E> {
        match get(SOURCE)?.ok_or(InvalidParameter::Missing(SOURCE))?.as_str() {
            NONE => Ok(Self::None),
            "created" => CreatedSettings::from_parameters(get).map(Self::Created),
            "attached" => {
                let target = AttachmentTarget::from_parameters(&mut get)?;
                let invalid = |error: crate::SettingError| InvalidParameter::Invalid {
                    name: SECRET,
                    reason: error.to_string(),
                };
                let secret = get(SECRET)?.filter(|text| text != NONE);
                let secret_arn = secret.map(|text| SecretArn::try_from(text).map_err(invalid)).transpose()?;
                Ok(Self::Attached(AttachedSettings { target, secret_arn }))
            }
            _ => {
                let reason = "must be none, created, or attached".to_owned();
                Err(InvalidParameter::Invalid { name: SOURCE, reason }.into())
            }
        }
    }
}
