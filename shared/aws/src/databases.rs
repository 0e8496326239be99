//! RDS for PostgreSQL.

use std::future::Future;

use aws_config::SdkConfig;
use aws_sdk_rds::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{DbInstance, DbSnapshot, Tag},
};
use database::{
    Changes, Created, Endpoint, Instance, InstanceClass, Observed, Owner, Pending, Snapshot, SnapshotId,
    SnapshotStatus, Stage, Status,
};
use thiserror::Error;

use crate::{
    AwsError, Credentials, TAG_GENERATION, TAG_LOGICAL_ID, TAG_STACK, TAG_STAGE, TAG_STAGE_STACK_ID,
    error::failed,
};

/// RDS's word for PostgreSQL.
const ENGINE: &str = "postgres";
/// For how many days RDS keeps automated backups.
const BACKUP_RETENTION_DAYS: i32 = 7;
/// No fee for versions that are past their standard support: RDS then upgrades them.
const NO_EXTENDED_SUPPORT: &str = "open-source-rds-extended-support-disabled";

/// The databases of this account and region.
#[derive(Debug, Clone)]
pub struct Databases {
    client: Client,
}

/// Why a change was not begun.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The instance is in another state than it was a moment ago, perhaps by an earlier try: observe it again.
    #[error("the instance is in another state than it was observed in")]
    ObserveAgain(#[source] AwsError),
    /// RDS says no, in its words.
    #[error("{0}")]
    Refused(String),
    /// AWS failed.
    #[error(transparent)]
    Aws(AwsError),
}

/// What RDS says of an instance class that can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orderable {
    /// The least gp3 storage in GiB.
    pub min_storage_gib: u32,
    /// The most gp3 storage in GiB.
    pub max_storage_gib: u32,
}

impl Databases {
    /// Databases in this account and region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// The instance of this identifier, whoever it belongs to.
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

    /// The instance of this identifier and its snapshots.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn observe(&self, identifier: &str) -> Result<Observed, AwsError> {
        // The instance first: once it is seen to be gone, its final snapshot is there to be seen.
        let instance = self.instance(identifier).await?;
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
        Ok(Observed { instance, snapshots })
    }

    /// Whether a class can be ordered for this version, and with how much storage.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn orderable(
        &self,
        class: &InstanceClass,
        engine_version: &str,
    ) -> Result<Option<Orderable>, AwsError> {
        let Some(version) = self.full_version(engine_version).await? else {
            return Ok(None);
        };
        let call =
            self.client.describe_orderable_db_instance_options().engine(ENGINE).engine_version(version);
        let call = call.db_instance_class(class.as_ref()).vpc(true);
        let reply = match call.send().await {
            Ok(reply) => reply,
            Err(error) if error.code().is_some_and(|code| code.starts_with("InvalidParameter")) => {
                return Ok(None);
            }
            Err(error) => return Err(failed("DescribeOrderableDBInstanceOptions")(error)),
        };
        let gib =
            |size: Option<i32>, otherwise| size.and_then(|gib| u32::try_from(gib).ok()).unwrap_or(otherwise);
        Ok(reply.orderable_db_instance_options().iter().find(|o| o.storage_type() == Some("gp3")).map(|o| {
            Orderable {
                min_storage_gib: gib(o.min_storage_size(), 20),
                max_storage_gib: gib(o.max_storage_size(), 65_536),
            }
        }))
    }

    /// The version that RDS would create: of a major version alone, its default minor version.
    async fn full_version(&self, engine_version: &str) -> Result<Option<String>, AwsError> {
        if engine_version.contains('.') {
            return Ok(Some(engine_version.to_owned()));
        }
        let call = self.client.describe_db_engine_versions().engine(ENGINE).engine_version(engine_version);
        let reply = call.default_only(true).send().await.map_err(failed("DescribeDBEngineVersions"))?;
        Ok(reply.db_engine_versions().first().and_then(|v| v.engine_version()).map(str::to_owned))
    }

    /// Begins to create an empty instance. Safe to repeat: the identifier exists once.
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
        let call = self
            .client
            .create_db_instance()
            .db_instance_identifier(stage.identifier())
            .engine(ENGINE)
            .engine_version(&created.engine_version)
            .engine_lifecycle_support(NO_EXTENDED_SUPPORT)
            .db_instance_class(created.instance_class.as_ref())
            .allocated_storage(gib(created.storage.get()))
            .storage_type("gp3")
            .storage_encrypted(true)
            .db_name(created.database_name.as_ref())
            .master_username(&credentials.username)
            .master_user_password(credentials.password.expose())
            .db_subnet_group_name(&created.subnet_group)
            .vpc_security_group_ids(&created.security_group)
            .publicly_accessible(false)
            .backup_retention_period(BACKUP_RETENTION_DAYS)
            .copy_tags_to_snapshot(true)
            .auto_minor_version_upgrade(true)
            .set_tags(Some(tags(stage, owner, created)));
        write("CreateDBInstance", call.send()).await
    }

    /// Begins to create an instance from a snapshot, with that snapshot's data and credentials. Safe to repeat: the
    /// identifier exists once.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn restore(
        &self,
        stage: &Stage,
        owner: &Owner,
        created: &Created,
        snapshot: &SnapshotId,
    ) -> Result<(), WriteError> {
        let call = self
            .client
            .restore_db_instance_from_db_snapshot()
            .db_instance_identifier(stage.identifier())
            .db_snapshot_identifier(snapshot.as_ref())
            .engine_lifecycle_support(NO_EXTENDED_SUPPORT)
            .db_instance_class(created.instance_class.as_ref())
            .db_subnet_group_name(&created.subnet_group)
            .vpc_security_group_ids(&created.security_group)
            .publicly_accessible(false)
            .copy_tags_to_snapshot(true)
            .auto_minor_version_upgrade(true)
            .set_tags(Some(tags(stage, owner, created)));
        write("RestoreDBInstanceFromDBSnapshot", call.send()).await
    }

    /// Begins changes at once, not in the next maintenance window. Safe to repeat: it names the end, not the way.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn modify(&self, identifier: &str, changes: &Changes) -> Result<(), WriteError> {
        let call = self
            .client
            .modify_db_instance()
            .db_instance_identifier(identifier)
            .apply_immediately(true)
            .set_db_instance_class(changes.instance_class.as_ref().map(ToString::to_string))
            .set_allocated_storage(changes.storage_gib.map(gib))
            .set_deletion_protection(changes.deletion_protection)
            .set_vpc_security_group_ids(changes.security_group.clone().map(|id| vec![id]));
        write("ModifyDBInstance", call.send()).await
    }

    /// Begins to delete an instance. Safe to repeat: an instance that is being deleted is not deleted again.
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
            // Automated backups are kept until their retention ends: one more way back.
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
        _ if error.refused => WriteError::Refused(error.message),
        _ => WriteError::Aws(error),
    })
}

fn gib(gib: u32) -> i32 {
    i32::try_from(gib).unwrap_or(i32::MAX)
}

fn tags(stage: &Stage, owner: &Owner, created: &Created) -> Vec<Tag> {
    [
        (TAG_STACK, stage.stack.to_string()),
        (TAG_STAGE, stage.stage.to_string()),
        (TAG_STAGE_STACK_ID, owner.stage_stack_id.clone()),
        (TAG_LOGICAL_ID, owner.logical_id.clone()),
        (TAG_GENERATION, created.generation.to_string()),
    ]
    .map(|(key, value)| Tag::builder().key(key).value(value).build())
    .into()
}

fn tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value()
}

fn owner(tags: &[Tag]) -> Option<Owner> {
    Some(Owner {
        stage_stack_id: tag(tags, TAG_STAGE_STACK_ID)?.to_owned(),
        logical_id: tag(tags, TAG_LOGICAL_ID)?.to_owned(),
    })
}

fn generation(tags: &[Tag]) -> Option<database::Generation> {
    tag(tags, TAG_GENERATION)?.to_owned().try_into().ok()
}

fn instance(db: &DbInstance) -> Instance {
    let tags = db.tag_list();
    let pending = db.pending_modified_values();
    let storage = |gib: i32| u32::try_from(gib).ok();
    Instance {
        status: Status::from(db.db_instance_status().unwrap_or_default()),
        owner: owner(tags),
        generation: generation(tags),
        instance_class: db.db_instance_class().unwrap_or_default().to_owned(),
        storage_gib: db.allocated_storage().and_then(storage).unwrap_or_default(),
        pending: Pending {
            instance_class: pending.and_then(|p| p.db_instance_class()).map(str::to_owned),
            storage_gib: pending.and_then(|p| p.allocated_storage()).and_then(storage),
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
    }
}

fn snapshot(found: &DbSnapshot) -> Option<Snapshot> {
    let status = match found.status() {
        Some("available") => SnapshotStatus::Available,
        Some("failed") => SnapshotStatus::Failed,
        _ => SnapshotStatus::Creating,
    };
    let tags = found.tag_list();
    let id = SnapshotId::from(found.db_snapshot_identifier()?.to_owned());
    Some(Snapshot { id, status, owner: owner(tags), generation: generation(tags) })
}
