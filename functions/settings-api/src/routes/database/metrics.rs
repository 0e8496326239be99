//! `GET …/database/metrics`: the CloudWatch metrics of the stage's database for the last 24 hours.

use aws::Point;
use database::{AttachedKind, Settings, Stage};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{
    api::{Call, SettingsApi},
    response::{Problem, Reply},
    stage_stack::settings,
};

/// The last 24 hours of a stage's database. Each list is oldest first, and empty if CloudWatch has no data.
#[derive(Serialize, ToSchema)]
#[schema(as = Metrics)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetricsWire {
    /// The maximum CPU utilization in each 15 minutes, in percent.
    cpu_percent: Vec<PointWire>,
    /// The maximum number of connections in each 15 minutes.
    connections: Vec<PointWire>,
    /// The minimum free storage in each 15 minutes, in bytes.
    free_storage_bytes: Vec<PointWire>,
}

/// One data point.
#[derive(Serialize, ToSchema)]
#[schema(as = MeasuredPoint)]
struct PointWire {
    /// The start of the 15 minutes.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    value: f64,
}

impl SettingsApi {
    pub(crate) async fn get_metrics(&self, stage: &Stage, call: &Call) -> Result<Reply, Problem> {
        let stack = self.stage_stack(stage).await?;
        let (kind, identifier) = match settings(&stack)? {
            Settings::None => return Err(Problem::conflict("The stage has no database.")),
            Settings::Created(_) => (AttachedKind::Instance, stage.identifier()),
            Settings::Attached(attached) => (attached.target.kind, attached.target.identifier.to_string()),
        };
        let measured = self.metrics.last_day(kind, &identifier, call.now).await?;
        Ok(Reply::json(
            200,
            &MetricsWire {
                cpu_percent: points(&measured.cpu_percent),
                connections: points(&measured.connections),
                free_storage_bytes: points(&measured.free_storage_bytes),
            },
        ))
    }
}

fn points(points: &[Point]) -> Vec<PointWire> {
    points.iter().map(|point| PointWire { at: point.at, value: point.value }).collect()
}
