//! RDS for PostgreSQL: the instance of a stage, and its snapshots.

use std::future::Future;

use aws_config::SdkConfig;
use aws_sdk_rds::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{DbInstance, DbSnapshot, SourceType, Tag},
};
use database::{
    Apply, Changes, Created, CreatedSettings, DatabaseName, Downtime, Endpoint, EngineVersion, Generation,
    Instance, Owner, Pending, Shown, Snapshot, SnapshotId, SnapshotStatus, StackName, Stage, StageName,
    Status, place,
};
use thiserror::Error;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    AwsError, Credentials, Password, TAG_CREDENTIALS, TAG_DATABASE_NAME, TAG_DOWNTIME, TAG_GENERATION,
    TAG_LOGICAL_ID, TAG_PASSWORD_CHANGED, TAG_STACK, TAG_STAGE, TAG_STAGE_STACK_ID,
    config::{Lazy, client},
    error::failed,
    instant::instant,
};

/// RDS's name for the PostgreSQL engine.
pub(crate) const ENGINE: &str = "postgres";
/// No fee for versions past their standard support. RDS upgrades them instead.
const NO_EXTENDED_SUPPORT: &str = "open-source-rds-extended-support-disabled";

/// The databases in this account and Region.
#[derive(Debug, Clone)]
pub struct Databases {
    pub(crate) client: Lazy<Client>,
}

/// Why a change wasn't started.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The state of the instance has changed, perhaps because of an earlier attempt. Observe it again.
    #[error("the state of the instance has changed since it was observed")]
    ObserveAgain(#[source] AwsError),
    /// RDS refused, for this reason.
    #[error("{0}")]
    Refused(String),
    /// AWS failed.
    #[error(transparent)]
    Aws(AwsError),
}

impl Databases {
    /// Databases in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: client!(aws_sdk_rds, config) }
    }

    /// The instance with this identifier, even if it isn't ours.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn instance(&self, identifier: &str) -> Result<Option<Instance>, AwsError> {
        match self.client.describe_db_instances().db_instance_identifier(identifier).send().await {
            Ok(reply) => Ok(reply.db_instances().first().map(instance)),
            Err(error) if error.code() == Some("DBInstanceNotFound") => Ok(None),
            Err(error) => Err(failed("DescribeDBInstances")(error)),
        }
    }

    /// The manual and final snapshots with an identifier, whether or not the instance exists.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn snapshots(&self, identifier: &str) -> Result<Vec<Snapshot>, AwsError> {
        let call = self.client.describe_db_snapshots().db_instance_identifier(identifier);
        let mut pages = call.snapshot_type("manual").into_paginator().items().send();
        let mut snapshots = Vec::new();
        while let Some(found) = pages.next().await {
            match found {
                Ok(found) => snapshots.extend(snapshot(&found)),
                Err(error) if error.code() == Some("DBInstanceNotFound") => break,
                Err(error) => return Err(failed("DescribeDBSnapshots")(error)),
            }
        }
        Ok(snapshots)
    }

    /// When a user or RDS last changed the storage of an instance, if it was so recent that RDS doesn't accept another
    /// change. Only the RDS events show it.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn storage_changed_at(&self, identifier: &str) -> Result<Option<OffsetDateTime>, AwsError> {
        let events = self.events(identifier, database::STORAGE_REST).await?;
        // RDS-EVENT-0017 and -0218 (RDS user guide, "Amazon RDS event categories and event messages").
        let is_change = |message: &str| {
            let message = message.to_ascii_lowercase();
            message.contains("finished") && (message.contains("storage"))
        };
        Ok(events.into_iter().filter(|(_, message)| is_change(message)).map(|(at, _)| at).max())
    }

    /// The RDS events of an instance within the last `within`, oldest first.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn events(
        &self,
        identifier: &str,
        within: Duration,
    ) -> Result<Vec<(OffsetDateTime, String)>, AwsError> {
        let call = self.client.describe_events().source_identifier(identifier);
        let minutes = i32::try_from(within.whole_minutes()).unwrap_or(i32::MAX);
        let call = call.source_type(SourceType::DbInstance).duration(minutes).max_records(100);
        let reply = match call.send().await {
            Ok(reply) => reply,
            // RDS returns an error for an instance that never existed.
            Err(error) if matches!(error.code(), Some("InvalidParameterValue" | "DBInstanceNotFound")) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(failed("DescribeEvents")(error)),
        };
        // Backup events happen all the time, and don't explain anything.
        let is_backup = |e: &&aws_sdk_rds::types::Event| e.event_categories().iter().any(|c| c == "backup");
        let event = |e: &aws_sdk_rds::types::Event| Some((instant(e.date()?), e.message()?.to_owned()));
        Ok(reply.events().iter().filter(|e| !is_backup(e)).filter_map(event).collect())
    }

    /// Starts to create an empty instance. Safe to repeat, because an identifier can exist only once.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn create(
        &self,
        stage: &Stage,
        owner: &Owner,
        created: &Created,
        credentials: &Credentials,
    ) -> Result<(), WriteError> {
        let settings = &created.settings;
        let call = self
            .client
            .create_db_instance()
            .db_instance_identifier(stage.identifier())
            .engine(ENGINE)
            .engine_version(settings.engine_version.to_string())
            .engine_lifecycle_support(NO_EXTENDED_SUPPORT)
            .db_instance_class(settings.instance_class.as_ref())
            .allocated_storage(int(settings.storage.get()))
            .storage_type("gp3")
            .storage_encrypted(true)
            .db_name(settings.database_name.as_ref())
            .master_username(&credentials.username)
            .master_user_password(credentials.password.expose())
            .db_subnet_group_name(&created.subnet_group)
            .vpc_security_group_ids(&created.security_group)
            .publicly_accessible(false)
            .backup_retention_period(int(settings.backup_retention.days()))
            .set_max_allocated_storage(settings.max_storage.map(|max| int(max.get())))
            .multi_az(settings.multi_az)
            .copy_tags_to_snapshot(true)
            .auto_minor_version_upgrade(true)
            .set_tags(Some(tags(stage, owner, created, true)));
        write("CreateDBInstance", call.send()).await
    }

    /// Starts to create an instance from a snapshot, with the snapshot's data and credentials. `has_credentials`: they
    /// are this generation's. Safe to repeat, because an identifier can exist only once.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn restore(
        &self,
        stage: &Stage,
        owner: &Owner,
        created: &Created,
        snapshot: &SnapshotId,
        has_credentials: bool,
    ) -> Result<(), WriteError> {
        let settings = &created.settings;
        let call = self
            .client
            .restore_db_instance_from_db_snapshot()
            .db_instance_identifier(stage.identifier())
            .db_snapshot_identifier(snapshot.as_ref())
            .engine_lifecycle_support(NO_EXTENDED_SUPPORT)
            .db_instance_class(settings.instance_class.as_ref())
            .db_subnet_group_name(&created.subnet_group)
            .vpc_security_group_ids(&created.security_group)
            .publicly_accessible(false)
            .multi_az(settings.multi_az)
            .copy_tags_to_snapshot(true)
            .auto_minor_version_upgrade(true)
            .set_tags(Some(tags(stage, owner, created, has_credentials)));
        write("RestoreDBInstanceFromDBSnapshot", call.send()).await
    }

    /// Starts changes, or defers them to the maintenance window. Safe to repeat, because it states the result.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn modify(&self, identifier: &str, changes: &Changes) -> Result<(), WriteError> {
        let number = |number: Option<u32>| number.map(int);
        let upgrade = changes.engine_version.map(|version| version.to_string());
        let call = self
            .client
            .modify_db_instance()
            .db_instance_identifier(identifier)
            .apply_immediately(changes.apply == Apply::Now)
            .set_db_instance_class(changes.instance_class.as_ref().map(ToString::to_string))
            .set_allocated_storage(number(changes.storage_gib))
            .set_iops(number(changes.iops))
            .set_max_allocated_storage(number(changes.max_storage_gib))
            .set_multi_az(changes.settings.multi_az)
            .set_backup_retention_period(changes.settings.backup_retention.map(|days| int(days.days())))
            .set_allow_major_version_upgrade(upgrade.as_ref().map(|_| true))
            .set_engine_version(upgrade)
            .set_deletion_protection(changes.deletion_protection)
            .set_vpc_security_group_ids(changes.security_group.clone().map(|id| vec![id]));
        write("ModifyDBInstance", call.send()).await
    }

    /// Gives an instance the password of a generation, and tags it accordingly. Safe to repeat.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn set_password(
        &self,
        stage: &Stage,
        owner: &Owner,
        generation: &Generation,
        credentials: &Credentials,
    ) -> Result<(), WriteError> {
        let identifier = stage.identifier();
        self.modify_password(&identifier, &credentials.password).await?;
        self.tag(&identifier, &owner.stage_stack_id, TAG_CREDENTIALS, &generation.to_string()).await
    }

    /// Changes the master user's password, and notes when. Safe to repeat.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn change_password(
        &self,
        identifier: &str,
        stage_stack_id: &str,
        password: &Password,
        now: OffsetDateTime,
    ) -> Result<(), WriteError> {
        // First, so that anyone who hears of the change knows whose it is.
        let now = now.format(&Rfc3339).unwrap_or_default();
        self.tag(identifier, stage_stack_id, TAG_PASSWORD_CHANGED, &now).await?;
        self.modify_password(identifier, password).await
    }

    async fn modify_password(&self, identifier: &str, password: &Password) -> Result<(), WriteError> {
        let call = self.client.modify_db_instance().db_instance_identifier(identifier);
        // A password never waits for the maintenance window, and other changes keep waiting for it.
        let call = call.master_user_password(password.expose()).apply_immediately(false);
        write("ModifyDBInstance", call.send()).await
    }

    /// Notes for how long connections failed during a change. Safe to repeat.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn note_downtime(
        &self,
        identifier: &str,
        stage_stack_id: &str,
        downtime: &Downtime,
    ) -> Result<(), WriteError> {
        self.tag(identifier, stage_stack_id, TAG_DOWNTIME, &downtime.to_string()).await
    }

    /// Tags an instance, which is in the same account and Region as the stage's stack.
    async fn tag(
        &self,
        identifier: &str,
        stage_stack_id: &str,
        key: &str,
        value: &str,
    ) -> Result<(), WriteError> {
        let (partition, region, account) = place(stage_stack_id).unwrap_or_default();
        let arn = format!("arn:{partition}:rds:{region}:{account}:db:{identifier}");
        let tag = Tag::builder().key(key).value(value).build();
        let call = self.client.add_tags_to_resource().resource_name(arn).tags(tag);
        write("AddTagsToResource", call.send()).await
    }

    /// Starts to take a snapshot of a stage's database. Safe to repeat, because an identifier can exist only once.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn take_snapshot(
        &self,
        stage: &Stage,
        owner: &Owner,
        created: &Created,
        snapshot: &SnapshotId,
    ) -> Result<(), WriteError> {
        let call = self.client.create_db_snapshot().db_instance_identifier(stage.identifier());
        let call = call.db_snapshot_identifier(snapshot.as_ref());
        write("CreateDBSnapshot", call.set_tags(Some(tags(stage, owner, created, true))).send()).await
    }

    /// Starts to delete an instance. Safe to repeat, because an instance that is being deleted isn't deleted again.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn delete(
        &self,
        identifier: &str,
        final_snapshot: Option<&SnapshotId>,
    ) -> Result<(), WriteError> {
        let call = self
            .client
            .delete_db_instance()
            .db_instance_identifier(identifier)
            .skip_final_snapshot(final_snapshot.is_none())
            .set_final_db_snapshot_identifier(final_snapshot.map(ToString::to_string))
            // Automated backups are kept until their retention ends, as another way to recover the data.
            .delete_automated_backups(false);
        write("DeleteDBInstance", call.send()).await
    }
}

async fn write<T, E>(
    operation: &'static str,
    call: impl Future<Output = Result<T, SdkError<E, aws_sdk_rds::config::http::HttpResponse>>>,
) -> Result<(), WriteError>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let Err(error) = call.await.map_err(failed(operation)) else {
        return Ok(());
    };
    Err(match error.code.as_str() {
        "InvalidDBInstanceState"
        | "DBInstanceAlreadyExists"
        | "DBInstanceNotFound"
        | "DBSnapshotAlreadyExists"
        | "InvalidDBSnapshotState" => WriteError::ObserveAgain(error),
        _ if error.refused => WriteError::Refused(format!("{} ({})", error.message, error.code)),
        _ => WriteError::Aws(error),
    })
}

/// A number in the SDK's type.
fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn tags(stage: &Stage, owner: &Owner, created: &Created, has_credentials: bool) -> Vec<Tag> {
    let credentials = has_credentials.then(|| (TAG_CREDENTIALS, created.generation.to_string()));
    let always = [
        (TAG_STACK, stage.stack.to_string()),
        (TAG_STAGE, stage.stage.to_string()),
        (TAG_STAGE_STACK_ID, owner.stage_stack_id.clone()),
        (TAG_LOGICAL_ID, owner.logical_id.clone()),
        (TAG_GENERATION, created.generation.to_string()),
        (TAG_DATABASE_NAME, created.settings.database_name.to_string()),
    ];
    let tag = |(key, value): (&str, String)| Tag::builder().key(key).value(value).build();
    always.into_iter().chain(credentials).map(tag).collect()
}

pub(crate) fn tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value()
}

fn owner(tags: &[Tag]) -> Option<Owner> {
    Some(Owner {
        stage_stack_id: tag(tags, TAG_STAGE_STACK_ID)?.to_owned(),
        logical_id: tag(tags, TAG_LOGICAL_ID)?.to_owned(),
    })
}

fn generation(tags: &[Tag], key: &str) -> Option<Generation> {
    tag(tags, key)?.to_owned().try_into().ok()
}

/// The stage in these tags.
pub(crate) fn stage(tags: &[Tag]) -> Option<Stage> {
    let stack = StackName::try_from(tag(tags, TAG_STACK)?).ok()?;
    Some(Stage { stack, stage: StageName::try_from(tag(tags, TAG_STAGE)?).ok()? })
}

fn version(text: Option<&str>) -> Option<EngineVersion> {
    text?.to_owned().try_into().ok()
}

pub(crate) fn instance(db: &DbInstance) -> Instance {
    let tags = db.tag_list();
    let pending = db.pending_modified_values();
    let number = |number: i32| u32::try_from(number).ok();
    Instance {
        status: Status::from(db.db_instance_status().unwrap_or_default()),
        owner: owner(tags),
        generation: generation(tags, TAG_GENERATION),
        instance_class: db.db_instance_class().unwrap_or_default().to_owned(),
        storage_gib: db.allocated_storage().and_then(number).unwrap_or_default(),
        pending: Pending {
            instance_class: pending.and_then(|p| p.db_instance_class()).map(str::to_owned),
            storage_gib: pending.and_then(|p| p.allocated_storage()).and_then(number),
            shown: Shown::default()
                .with(&CreatedSettings::multi_az, pending.and_then(|p| p.multi_az()))
                .with(&CreatedSettings::backup_retention, pending.and_then(|p| p.backup_retention_period())),
            engine_version: version(pending.and_then(|p| p.engine_version())),
            password: pending.is_some_and(|p| p.master_user_password().is_some()),
        },
        endpoint: db.endpoint().and_then(|e| {
            let port = u16::try_from(e.port()?).ok()?;
            Some(Endpoint { host: e.address()?.to_owned(), port })
        }),
        database_name: db.db_name().map(str::to_owned),
        deletion_protection: db.deletion_protection().unwrap_or_default(),
        security_groups: db
            .vpc_security_groups()
            .iter()
            .filter_map(|group| group.vpc_security_group_id().map(str::to_owned))
            .collect(),
        was_available: db.instance_create_time().is_some() || db.latest_restorable_time().is_some(),
        max_storage_gib: db.max_allocated_storage().and_then(number),
        iops: db.iops().and_then(number),
        shown: Shown::default()
            .with(&CreatedSettings::multi_az, Some(db.multi_az().unwrap_or_default()))
            .with(&CreatedSettings::backup_retention, Some(db.backup_retention_period().unwrap_or_default())),
        engine_version: version(db.engine_version()),
        credentials: generation(tags, TAG_CREDENTIALS),
        password_changed_at: tag(tags, TAG_PASSWORD_CHANGED)
            .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok()),
        downtime: tag(tags, TAG_DOWNTIME).and_then(Downtime::from_tag),
        maintenance_window: db.preferred_maintenance_window().map(str::to_owned),
    }
}

pub(crate) fn snapshot(found: &DbSnapshot) -> Option<Snapshot> {
    let tags = found.tag_list();
    Some(Snapshot {
        id: SnapshotId::try_from(found.db_snapshot_identifier()?.to_owned()).ok()?,
        status: match found.status() {
            Some("available") => SnapshotStatus::Available,
            Some("failed") => SnapshotStatus::Failed,
            _ => SnapshotStatus::Creating,
        },
        owner: owner(tags),
        generation: generation(tags, TAG_GENERATION),
        stage: stage(tags),
        credentials: generation(tags, TAG_CREDENTIALS),
        database_name: tag(tags, TAG_DATABASE_NAME).and_then(|n| DatabaseName::try_from(n.to_owned()).ok()),
        created_at: found.snapshot_create_time().map(instant),
        storage_gib: found.allocated_storage().and_then(|gib| u32::try_from(gib).ok()).unwrap_or_default(),
        engine_version: version(found.engine_version()),
    })
}
