//! CloudWatch metrics of databases.

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::{
    Client,
    types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy},
};
use aws_smithy_types::DateTime;
use database::AttachedKind;
use time::{Duration, OffsetDateTime};

use crate::{
    AwsError,
    config::{Lazy, client},
    error::failed,
    instant::instant,
};

/// The period of one data point: 96 for a day.
const PERIOD_SECONDS: i32 = 900;

/// Metrics of databases.
#[derive(Debug, Clone)]
pub struct Metrics {
    client: Lazy<Client>,
}

/// One data point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The start of its 15 minutes.
    pub at: OffsetDateTime,
    /// The value, in the unit of its series.
    pub value: f64,
}

/// The metrics. Each series is oldest first, and empty if CloudWatch has no data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// The maximum CPU utilization in each 15 minutes, in percent.
    pub cpu_percent: Vec<Point>,
    /// The maximum number of connections in each 15 minutes.
    pub connections: Vec<Point>,
    /// The minimum free storage in each 15 minutes, in bytes. Empty for Aurora clusters, whose storage scales
    /// automatically.
    pub free_storage_bytes: Vec<Point>,
}

impl Metrics {
    /// Metrics in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: client!(aws_sdk_cloudwatch, config) }
    }

    /// The metrics of a database in the 24 hours before `now`.
    ///
    /// # Errors
    /// CloudWatch can't be reached, or refuses.
    pub async fn last_day(
        &self,
        kind: AttachedKind,
        identifier: &str,
        now: OffsetDateTime,
    ) -> Result<Measured, AwsError> {
        let dimension = match kind {
            AttachedKind::Instance => "DBInstanceIdentifier",
            AttachedKind::Cluster => "DBClusterIdentifier",
        };
        let query = |id: &str, name: &str, statistic: &str| {
            let dimension = Dimension::builder().name(dimension).value(identifier).build();
            let metric =
                Metric::builder().namespace("AWS/RDS").metric_name(name).dimensions(dimension).build();
            let of = MetricStat::builder().metric(metric).period(PERIOD_SECONDS).stat(statistic).build();
            MetricDataQuery::builder().id(id).metric_stat(of).build()
        };
        let since = now - Duration::days(1);
        let call = self
            .client
            .get_metric_data()
            .start_time(DateTime::from_secs(since.unix_timestamp()))
            .end_time(DateTime::from_secs(now.unix_timestamp()))
            .scan_by(ScanBy::TimestampAscending)
            .metric_data_queries(query("cpu", "CPUUtilization", "Maximum"))
            .metric_data_queries(query("connections", "DatabaseConnections", "Maximum"))
            .metric_data_queries(query("storage", "FreeStorageSpace", "Minimum"));
        let answer = call.send().await.map_err(failed("GetMetricData"))?;
        let mut measured = Measured::default();
        for result in answer.metric_data_results() {
            let points = result.timestamps().iter().zip(result.values());
            let mut points: Vec<_> =
                points.map(|(at, value)| Point { at: instant(at), value: *value }).collect();
            points.sort_by_key(|point| point.at);
            match result.id() {
                Some("cpu") => measured.cpu_percent = points,
                Some("connections") => measured.connections = points,
                Some("storage") => measured.free_storage_bytes = points,
                _ => {}
            }
        }
        Ok(measured)
    }
}
