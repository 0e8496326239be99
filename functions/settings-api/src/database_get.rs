//! `GET …/database`: the settings, the live state, and what may be changed to what.

use database::{
    AttachedSettings, CreatedSettings, EngineVersion, Instance, Settings, Stage, Status, StorageGiB,
    earliest_storage_change, minimum_growth,
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{
    Call, SettingsApi,
    attach::used_by,
    condition::etag,
    problem::Problem,
    reply::Reply,
    stage::{is_at_rest, settings},
};

/// The settings as a person chose them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Settings)]
#[serde(tag = "source", rename_all = "camelCase")]
pub(crate) enum SettingsWire {
    /// The stage has no database.
    None,
    /// One that stagedb creates and owns.
    #[serde(rename_all = "camelCase")]
    Created {
        /// The DB instance class.
        #[schema(example = "db.t4g.micro")]
        instance_class: String,
        /// The allocated storage in GiB: a floor.
        #[serde(rename = "storageGiB")]
        storage_gib: u32,
        /// Up to where RDS grows the storage by itself, in GiB; null: it does not.
        #[serde(rename = "maxStorageGiB")]
        max_storage_gib: Option<u32>,
        /// Whether a standby in a second availability zone takes over when the first fails.
        multi_az: bool,
        /// For how many days automated backups are kept.
        backup_retention_days: u32,
        /// The PostgreSQL version: a floor.
        #[schema(example = "17")]
        engine_version: String,
        /// The database inside.
        database_name: String,
        /// `now` or `maintenance-window`: when changes are made that interrupt the database.
        apply: String,
        /// The snapshot that it began with.
        #[serde(skip_serializing_if = "Option::is_none")]
        from_snapshot: Option<String>,
    },
    /// Somebody else's.
    #[serde(rename_all = "camelCase")]
    Attached {
        /// `instance` or `cluster`.
        kind: &'static str,
        /// The identifier of the DB instance or the DB cluster.
        identifier: String,
        /// The database inside.
        database_name: String,
        /// Where the credentials come from; missing if a person typed them.
        #[serde(skip_serializing_if = "Option::is_none")]
        credentials: Option<SecretWire>,
    },
}

/// A secret that credentials are copied from.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CredentialsSecret)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretWire {
    secret_arn: String,
}

impl From<Settings> for SettingsWire {
    fn from(settings: Settings) -> Self {
        match settings {
            Settings::None => Self::None,
            Settings::Created(CreatedSettings {
                instance_class,
                storage,
                max_storage,
                multi_az,
                backup_retention,
                engine_version,
                database_name,
                apply,
                from_snapshot,
            }) => Self::Created {
                instance_class: instance_class.into(),
                storage_gib: storage.get(),
                max_storage_gib: max_storage.map(StorageGiB::get),
                multi_az,
                backup_retention_days: backup_retention.days(),
                engine_version: engine_version.to_string(),
                database_name: database_name.into(),
                apply: apply.to_string(),
                from_snapshot: from_snapshot.map(Into::into),
            },
            Settings::Attached(AttachedSettings { kind, identifier, database_name, secret_arn }) => {
                Self::Attached {
                    kind: kind.as_str(),
                    identifier: identifier.into(),
                    database_name: database_name.into(),
                    credentials: secret_arn.map(|arn| SecretWire { secret_arn: arn.into() }),
                }
            }
        }
    }
}

/// A stage's database.
#[derive(Serialize, ToSchema)]
#[schema(as = Database)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DatabaseWire {
    /// `none`, `removing`, `missing`, or RDS's word for the status.
    state: String,
    settings: SettingsWire,
    /// What RDS shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveWire>,
    changeable: ChangeableWire,
    /// Other stages that the same attached database serves, as `{stack}/{stage}`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    used_by: Vec<String>,
}

/// What RDS shows of a database.
#[derive(Serialize, ToSchema)]
#[schema(as = LiveDatabase)]
#[serde(rename_all = "camelCase")]
struct LiveWire {
    identifier: String,
    /// RDS's word.
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<EndpointWire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_class: Option<String>,
    /// In GiB. It may be more than what was chosen.
    #[serde(rename = "storageGiB", skip_serializing_if = "Option::is_none")]
    storage_gib: Option<u32>,
    #[serde(rename = "maxStorageGiB", skip_serializing_if = "Option::is_none")]
    max_storage_gib: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_az: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_retention_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_protection: Option<bool>,
    /// Every week, in UTC, such as `sun:05:00-sun:06:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    maintenance_window: Option<String>,
    /// What waits for the maintenance window, or is about to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<PendingWire>,
}

/// Where applications connect to.
#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointWire {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Changes that RDS has accepted and not made.
#[derive(Serialize, ToSchema)]
#[schema(as = PendingChanges)]
#[serde(rename_all = "camelCase")]
struct PendingWire {
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_class: Option<String>,
    #[serde(rename = "storageGiB", skip_serializing_if = "Option::is_none")]
    storage_gib: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_az: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_retention_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_version: Option<String>,
}

/// What a Save may change now.
#[derive(Serialize, ToSchema)]
#[schema(as = Changeable)]
#[serde(rename_all = "camelCase")]
struct ChangeableWire {
    /// The sources that the next Save may have.
    sources: Vec<&'static str>,
    /// Nothing may be changed while a rebuild runs, or the instance is not available.
    instance_class: bool,
    /// Whether storage may grow.
    storage: bool,
    /// When storage may grow again, if it has to rest after its last change.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    storage_earliest: Option<OffsetDateTime>,
    /// The least that storage may grow to; staying as it is is always possible.
    #[serde(rename = "minStorageGiB")]
    min_storage_gib: u32,
    #[serde(rename = "maxStorageGiB")]
    max_storage_gib: u32,
    /// The versions that the database can be upgraded to.
    engine_versions: Vec<String>,
    database_name: bool,
}

impl SettingsApi {
    pub(crate) async fn get_database(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        let settings = settings(&stack);
        let at_rest = is_at_rest(&stack);
        let tag = etag(&stack);
        let wire = if let Settings::Attached(attached) = settings {
            self.attached(stage, attached, at_rest).await?
        } else {
            let instance = self.databases.instance(&stage.identifier()).await?;
            // An instance of that name which another stack made is none of this stage's.
            let own = instance.filter(|i| i.owner.as_ref().is_some_and(|o| o.stage_stack_id == stack.id));
            self.own(stage, settings, own, at_rest, call.now).await?
        };
        Ok(Reply::json(200, &wire).with_etag(tag))
    }

    async fn own(
        &self,
        of: &Stage,
        settings: Settings,
        live: Option<Instance>,
        at_rest: bool,
        now: OffsetDateTime,
    ) -> Result<DatabaseWire, Problem> {
        let is_created = matches!(settings, Settings::Created(_));
        let usable = live.as_ref().is_none_or(|i| matches!(i.status, Status::Usable { .. }));
        let optimizing =
            live.as_ref().is_some_and(|i| matches!(i.status, Status::Usable { optimizing: true }));
        let mut earliest = None;
        let mut upgrades = Vec::new();
        if let Some(live) = live.as_ref().filter(|_| is_created) {
            let changed_at = self.databases.storage_changed_at(&of.identifier()).await?;
            earliest = earliest_storage_change(changed_at, now);
            if let Some(version) = live.engine_version {
                upgrades = self.databases.upgrades(version).await?;
            }
        }
        let state = match (&live, is_created) {
            (None, true) => "missing".to_owned(),
            (None, false) => "none".to_owned(),
            (Some(live), false) if live.status == Status::Deleting => "removing".to_owned(),
            (Some(live), _) => live.status.to_string(),
        };
        Ok(DatabaseWire {
            state,
            settings: settings.into(),
            changeable: ChangeableWire {
                sources: if is_created { vec!["created"] } else { vec!["created", "attached"] },
                instance_class: at_rest && usable,
                storage: at_rest && usable && !optimizing && earliest.is_none(),
                storage_earliest: earliest,
                min_storage_gib: live
                    .as_ref()
                    .map_or(StorageGiB::MIN.get(), |i| minimum_growth(i.storage_gib)),
                max_storage_gib: StorageGiB::MAX.get(),
                engine_versions: upgrades.iter().map(EngineVersion::to_string).collect(),
                database_name: at_rest && !is_created,
            },
            live: live.map(|live| own_live(of.identifier(), live)),
            used_by: Vec::new(),
        })
    }

    async fn attached(
        &self,
        stage: &Stage,
        attached: AttachedSettings,
        at_rest: bool,
    ) -> Result<DatabaseWire, Problem> {
        let found = self.databases.find(attached.kind, attached.identifier.as_ref()).await?;
        let mut others = Vec::new();
        if let Some(found) = &found {
            let groups: Vec<&str> = found.database.security_groups.iter().map(String::as_str).collect();
            others = used_by(found, &self.security_groups.rules_of(&groups).await?);
        }
        Ok(DatabaseWire {
            state: found.as_ref().map_or_else(|| "missing".to_owned(), |found| found.status.clone()),
            settings: Settings::Attached(attached).into(),
            live: found.map(|found| LiveWire {
                identifier: found.identifier,
                status: found.status,
                endpoint: found.database.endpoint.map(|e| EndpointWire { host: e.host, port: e.port }),
                engine_version: Some(found.engine_version),
                instance_class: found.instance_class,
                storage_gib: None,
                max_storage_gib: None,
                multi_az: None,
                backup_retention_days: None,
                deletion_protection: None,
                maintenance_window: None,
                pending: None,
            }),
            changeable: ChangeableWire {
                sources: vec!["attached"],
                instance_class: false,
                storage: false,
                storage_earliest: None,
                min_storage_gib: StorageGiB::MIN.get(),
                max_storage_gib: StorageGiB::MAX.get(),
                engine_versions: Vec::new(),
                database_name: at_rest,
            },
            used_by: others.iter().filter(|other| *other != stage).map(ToString::to_string).collect(),
        })
    }
}

fn own_live(identifier: String, instance: Instance) -> LiveWire {
    let pending = instance.pending;
    let is_pending = pending != database::Pending::default();
    LiveWire {
        identifier,
        status: instance.status.to_string(),
        endpoint: instance.endpoint.map(|e| EndpointWire { host: e.host, port: e.port }),
        engine_version: instance.engine_version.map(|version| version.to_string()),
        instance_class: Some(instance.instance_class),
        storage_gib: Some(instance.storage_gib),
        max_storage_gib: instance.max_storage_gib,
        multi_az: Some(instance.multi_az),
        backup_retention_days: Some(instance.backup_retention_days),
        deletion_protection: Some(instance.deletion_protection),
        maintenance_window: instance.maintenance_window,
        pending: is_pending.then(|| PendingWire {
            instance_class: pending.instance_class,
            storage_gib: pending.storage_gib,
            multi_az: pending.multi_az,
            backup_retention_days: pending.backup_retention_days,
            engine_version: pending.engine_version.map(|version| version.to_string()),
        }),
    }
}
