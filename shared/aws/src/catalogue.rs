//! RDS: the DB instance classes it offers, and the databases that exist.

use aws_sdk_rds::types::{DbCluster, DbInstance, OrderableDbInstanceOption};
use aws_sdk_rds::{error::ProvideErrorMetadata, types::Filter};
use database::{
    AttachedDatabase, AttachedKind, Endpoint, EngineVersion, Instance, InstanceClass, Orderable, Snapshot,
    Stage,
};

use crate::{
    AwsError, Databases,
    databases::{ENGINE, instance, snapshot, stage},
    error::failed,
};

/// The number of databases on a page. RDS accepts 20 to 100.
const PAGE: i32 = 50;
/// The number of possible leftovers on a page, each of which may need a look at its stage stack.
const LEFTOVERS_PAGE: i32 = 20;
/// The engines of PostgreSQL clusters: Aurora, and Multi-AZ DB clusters.
const CLUSTER_ENGINES: [&str; 2] = ["aurora-postgresql", ENGINE];

/// A database in this account and Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDatabase {
    /// DB instance or DB cluster.
    pub kind: AttachedKind,
    /// Its identifier.
    pub identifier: String,
    /// The engine in RDS's own words.
    pub engine: String,
    /// The full version.
    pub engine_version: String,
    /// The DB instance class. Aurora clusters don't have one.
    pub instance_class: Option<String>,
    /// The status in RDS's own words.
    pub status: String,
    /// The DB subnet group, which leads to a cluster's VPC.
    pub subnet_group: Option<String>,
    /// The VPC. RDS doesn't return it for a cluster.
    pub vpc_id: Option<String>,
    /// The name of the database that was created with it.
    pub database_name: Option<String>,
    /// The endpoint, if it has one, and the security groups.
    pub database: AttachedDatabase,
    /// The stage that stagedb created it for.
    pub stage: Option<Stage>,
    /// Whether it's a read replica.
    pub is_replica: bool,
    /// The secret in which RDS manages and rotates the password.
    pub managed_secret_arn: Option<String>,
}

/// A page of databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabasePage {
    /// The databases.
    pub databases: Vec<FoundDatabase>,
    /// The token for the next page.
    pub next_token: Option<String>,
}

/// A page of instances and snapshots that stagedb created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedPage {
    /// The instances, with their identifiers.
    pub instances: Vec<(String, Instance, Stage)>,
    /// The snapshots.
    pub snapshots: Vec<Snapshot>,
    /// The token for the next page.
    pub next_token: Option<String>,
}

impl Databases {
    /// What RDS offers for a class in this version.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn orderable(
        &self,
        class: &InstanceClass,
        version: EngineVersion,
    ) -> Result<Option<Orderable>, AwsError> {
        let found = self.orderable_exactly(class, version).await?;
        let major = EngineVersion::from_major(version.major());
        if found.is_some() || version == major {
            return Ok(found);
        }
        // RDS doesn't list versions that it creates no new instances with. Existing instances can still be changed like
        // others of their major version.
        self.orderable_exactly(class, major).await
    }

    async fn orderable_exactly(
        &self,
        class: &InstanceClass,
        version: EngineVersion,
    ) -> Result<Option<Orderable>, AwsError> {
        let Some(version) = self.full_version(version).await? else {
            return Ok(None);
        };
        let call =
            self.client.describe_orderable_db_instance_options().engine(ENGINE).engine_version(version);
        let reply = match call.db_instance_class(class.as_ref()).vpc(true).send().await {
            Ok(reply) => reply,
            Err(error) if error.code().is_some_and(|code| code.starts_with("InvalidParameter")) => {
                return Ok(None);
            }
            Err(error) => return Err(failed("DescribeOrderableDBInstanceOptions")(error)),
        };
        Ok(reply.orderable_db_instance_options().iter().find_map(orderable))
    }

    /// Whether RDS offers a version.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn offers(&self, version: EngineVersion) -> Result<bool, AwsError> {
        let call =
            self.client.describe_db_engine_versions().engine(ENGINE).engine_version(version.to_string());
        let reply = call.include_all(true).send().await.map_err(failed("DescribeDBEngineVersions"))?;
        Ok(!reply.db_engine_versions().is_empty())
    }

    /// One page of the classes that RDS offers in this version, and the token for the next page.
    ///
    /// # Errors
    /// AWS failed. A token that isn't valid is `refused`.
    pub async fn orderable_classes(
        &self,
        version: EngineVersion,
        token: Option<String>,
    ) -> Result<(Vec<(InstanceClass, Orderable)>, Option<String>), AwsError> {
        let Some(version) = self.full_version(version).await? else {
            return Ok((Vec::new(), None));
        };
        let call =
            self.client.describe_orderable_db_instance_options().engine(ENGINE).engine_version(version);
        let reply = call.vpc(true).max_records(1000).set_marker(token).send().await;
        let reply = reply.map_err(failed("DescribeOrderableDBInstanceOptions"))?;
        let class = |option: &OrderableDbInstanceOption| {
            let class = InstanceClass::try_from(option.db_instance_class()?.to_owned()).ok()?;
            Some((class, orderable(option)?))
        };
        let classes = reply.orderable_db_instance_options().iter().filter_map(class).collect();
        Ok((classes, reply.marker().map(str::to_owned)))
    }

    /// The versions that RDS can upgrade a live one to, oldest first.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn upgrades(&self, live: EngineVersion) -> Result<Vec<EngineVersion>, AwsError> {
        let call = self.client.describe_db_engine_versions().engine(ENGINE).engine_version(live.to_string());
        // Also for a version that RDS creates no new instances with.
        let reply = call.include_all(true).send().await.map_err(failed("DescribeDBEngineVersions"))?;
        let targets = reply.db_engine_versions().iter().flat_map(|version| version.valid_upgrade_target());
        let version = |text: &str| EngineVersion::try_from(text.to_owned()).ok();
        let mut upgrades: Vec<_> = targets.filter_map(|target| version(target.engine_version()?)).collect();
        upgrades.sort_unstable();
        Ok(upgrades)
    }

    /// The full version that RDS would create. For a major version alone, its default minor version.
    async fn full_version(&self, version: EngineVersion) -> Result<Option<String>, AwsError> {
        let version = version.to_string();
        if version.contains('.') {
            return Ok(Some(version));
        }
        let call = self.client.describe_db_engine_versions().engine(ENGINE).engine_version(version);
        let reply = call.default_only(true).send().await.map_err(failed("DescribeDBEngineVersions"))?;
        Ok(reply.db_engine_versions().first().and_then(|v| v.engine_version()).map(str::to_owned))
    }

    /// The PostgreSQL instance or cluster with this identifier. An instance that belongs to a cluster doesn't count.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn find(
        &self,
        kind: AttachedKind,
        identifier: &str,
    ) -> Result<Option<FoundDatabase>, AwsError> {
        match kind {
            AttachedKind::Instance => {
                match self.client.describe_db_instances().db_instance_identifier(identifier).send().await {
                    Ok(reply) => Ok(reply.db_instances().first().and_then(found_instance)),
                    Err(error) if error.code() == Some("DBInstanceNotFound") => Ok(None),
                    Err(error) => Err(failed("DescribeDBInstances")(error)),
                }
            }
            AttachedKind::Cluster => {
                match self.client.describe_db_clusters().db_cluster_identifier(identifier).send().await {
                    Ok(reply) => Ok(reply.db_clusters().first().and_then(found_cluster)),
                    Err(error)
                        if matches!(error.code(), Some("DBClusterNotFoundFault" | "DBClusterNotFound")) =>
                    {
                        Ok(None)
                    }
                    Err(error) => Err(failed("DescribeDBClusters")(error)),
                }
            }
        }
    }

    /// The VPC of a DB subnet group.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn vpc_of(&self, subnet_group: &str) -> Result<Option<String>, AwsError> {
        let call = self.client.describe_db_subnet_groups().db_subnet_group_name(subnet_group);
        match call.send().await {
            Ok(reply) => Ok(reply.db_subnet_groups().first().and_then(|g| g.vpc_id()).map(str::to_owned)),
            Err(error) if error.code() == Some("DBSubnetGroupNotFoundFault") => Ok(None),
            Err(error) => Err(failed("DescribeDBSubnetGroups")(error)),
        }
    }

    /// One page of the PostgreSQL databases, instances first.
    ///
    /// # Errors
    /// AWS failed. A token that isn't valid is `refused`.
    pub async fn page(&self, token: Option<&str>) -> Result<DatabasePage, AwsError> {
        let (list, marker) = split(token);
        if list == Some("c") {
            let call = self.client.describe_db_clusters().max_records(PAGE).set_marker(marker);
            let reply = call.send().await.map_err(failed("DescribeDBClusters"))?;
            let databases = reply.db_clusters().iter().filter_map(found_cluster).collect();
            return Ok(DatabasePage { databases, next_token: reply.marker().map(|m| format!("c{m}")) });
        }
        let call = self.client.describe_db_instances().max_records(PAGE).set_marker(marker);
        let engine = Filter::builder().name("engine").values(ENGINE).build();
        let reply = call.filters(engine).send().await.map_err(failed("DescribeDBInstances"))?;
        let databases = reply.db_instances().iter().filter_map(found_instance).collect();
        let next_token = reply.marker().map_or_else(|| "c".to_owned(), |m| format!("i{m}"));
        Ok(DatabasePage { databases, next_token: Some(next_token) })
    }

    /// One page of the instances, and then of the snapshots, that stagedb created.
    ///
    /// # Errors
    /// AWS failed. A token that isn't valid is `refused`.
    pub async fn owned_page(&self, token: Option<&str>) -> Result<OwnedPage, AwsError> {
        let (list, marker) = split(token);
        if list == Some("s") {
            let call = self.client.describe_db_snapshots().snapshot_type("manual");
            let reply = call.max_records(LEFTOVERS_PAGE).set_marker(marker).send().await;
            let reply = reply.map_err(failed("DescribeDBSnapshots"))?;
            let owned = |s: &Snapshot| s.owner.is_some() && s.stage.is_some();
            let snapshots = reply.db_snapshots().iter().filter_map(snapshot).filter(owned).collect();
            let next_token = reply.marker().map(|m| format!("s{m}"));
            return Ok(OwnedPage { instances: Vec::new(), snapshots, next_token });
        }
        let call = self.client.describe_db_instances().max_records(LEFTOVERS_PAGE).set_marker(marker);
        let reply = call.send().await.map_err(failed("DescribeDBInstances"))?;
        let owned = |db: &DbInstance| {
            let found = instance(db);
            let stage = found.owner.as_ref().and_then(|_| stage(db.tag_list()))?;
            Some((db.db_instance_identifier()?.to_owned(), found, stage))
        };
        let instances = reply.db_instances().iter().filter_map(owned).collect();
        let next_token = reply.marker().map_or_else(|| "s".to_owned(), |m| format!("i{m}"));
        Ok(OwnedPage { instances, snapshots: Vec::new(), next_token: Some(next_token) })
    }
}

/// Splits our token into the name of the list and RDS's own marker.
fn split(token: Option<&str>) -> (Option<&str>, Option<String>) {
    let Some((list, marker)) = token.and_then(|token| token.split_at_checked(1)) else {
        return (None, None);
    };
    (Some(list), (!marker.is_empty()).then(|| marker.to_owned()))
}

/// What an option offers, if it has gp3 storage.
fn orderable(option: &OrderableDbInstanceOption) -> Option<Orderable> {
    if option.storage_type() != Some("gp3") {
        return None;
    }
    let gib =
        |size: Option<i32>, otherwise| size.and_then(|gib| u32::try_from(gib).ok()).unwrap_or(otherwise);
    Some(Orderable {
        min_storage_gib: gib(option.min_storage_size(), 20),
        max_storage_gib: gib(option.max_storage_size(), 65_536),
        has_multi_az: option.multi_az_capable().unwrap_or_default(),
        has_autoscaling: option.supports_storage_autoscaling().unwrap_or_default(),
    })
}

fn found_instance(db: &DbInstance) -> Option<FoundDatabase> {
    if db.engine() != Some(ENGINE) || db.db_cluster_identifier().is_some() {
        return None;
    }
    let group = db.db_subnet_group();
    let text = |text: Option<&str>| text.map(str::to_owned);
    Some(FoundDatabase {
        kind: AttachedKind::Instance,
        identifier: db.db_instance_identifier()?.to_owned(),
        engine: ENGINE.to_owned(),
        engine_version: text(db.engine_version()).unwrap_or_default(),
        instance_class: text(db.db_instance_class()),
        status: text(db.db_instance_status()).unwrap_or_default(),
        subnet_group: text(group.and_then(|g| g.db_subnet_group_name())),
        vpc_id: text(group.and_then(|g| g.vpc_id())),
        database_name: text(db.db_name()),
        database: AttachedDatabase {
            endpoint: db.endpoint().and_then(|e| endpoint(e.address(), e.port())),
            security_groups: db
                .vpc_security_groups()
                .iter()
                .filter_map(|g| g.vpc_security_group_id().map(str::to_owned))
                .collect(),
        },
        stage: stage(db.tag_list()),
        is_replica: db.read_replica_source_db_instance_identifier().is_some()
            || db.read_replica_source_db_cluster_identifier().is_some(),
        managed_secret_arn: text(db.master_user_secret().and_then(|s| s.secret_arn())),
    })
}

fn found_cluster(db: &DbCluster) -> Option<FoundDatabase> {
    let engine = db.engine().filter(|engine| CLUSTER_ENGINES.contains(engine))?;
    let text = |text: Option<&str>| text.map(str::to_owned);
    Some(FoundDatabase {
        kind: AttachedKind::Cluster,
        identifier: db.db_cluster_identifier()?.to_owned(),
        engine: engine.to_owned(),
        engine_version: text(db.engine_version()).unwrap_or_default(),
        instance_class: text(db.db_cluster_instance_class()),
        status: text(db.status()).unwrap_or_default(),
        subnet_group: text(db.db_subnet_group()),
        vpc_id: None,
        database_name: text(db.database_name()),
        database: AttachedDatabase {
            // The cluster endpoint always points to the current writer.
            endpoint: endpoint(db.endpoint(), db.port()),
            security_groups: db
                .vpc_security_groups()
                .iter()
                .filter_map(|g| g.vpc_security_group_id().map(str::to_owned))
                .collect(),
        },
        stage: None,
        is_replica: db.replication_source_identifier().is_some_and(|source| !source.is_empty()),
        managed_secret_arn: text(db.master_user_secret().and_then(|s| s.secret_arn())),
    })
}

fn endpoint(host: Option<&str>, port: Option<i32>) -> Option<Endpoint> {
    Some(Endpoint { host: host?.to_owned(), port: u16::try_from(port?).ok()? })
}
