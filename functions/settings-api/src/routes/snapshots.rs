//! `GET …/snapshots`: the snapshots that a stage's new database can be restored from.

use database::{Snapshot, SnapshotStatus, Stage};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{
    api::SettingsApi,
    response::{Problem, Reply},
};

/// The snapshots of a stage, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = Snapshots)]
pub(crate) struct SnapshotsWire {
    snapshots: Vec<SnapshotWire>,
}

/// A DB snapshot that stagedb took.
#[derive(Serialize, ToSchema)]
#[schema(as = Snapshot)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotWire {
    identifier: String,
    /// `available`, `creating`, or `failed`.
    status: &'static str,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<OffsetDateTime>,
    /// The allocated storage of its DB instance, in GiB. A restored database needs at least that.
    #[serde(rename = "storageGiB")]
    storage_gib: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database_name: Option<String>,
}

impl From<Snapshot> for SnapshotWire {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            identifier: snapshot.id.into(),
            status: match snapshot.status {
                SnapshotStatus::Available => "available",
                SnapshotStatus::Creating => "creating",
                SnapshotStatus::Failed => "failed",
            },
            created_at: snapshot.created_at,
            storage_gib: snapshot.storage_gib,
            engine_version: snapshot.engine_version.map(|version| version.to_string()),
            database_name: snapshot.database_name.map(Into::into),
        }
    }
}

impl SettingsApi {
    pub(crate) async fn get_snapshots(&self, stage: &Stage) -> Result<Reply, Problem> {
        self.stage_stack(stage).await?;
        let mut snapshots = self.databases.snapshots(&stage.identifier()).await?;
        snapshots.retain(|snapshot| snapshot.stage.as_ref() == Some(stage));
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.created_at));
        Ok(Reply::json(200, &SnapshotsWire { snapshots: snapshots.into_iter().map(Into::into).collect() }))
    }
}
