//! How a local AWS is started.

use std::time::Duration;

use serde::Serialize;

use crate::functions::Profile;

/// How to start a local AWS.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The port on 127.0.0.1; a free one if there is none.
    pub port: Option<u16>,
    /// How the functions are built.
    pub profile: Profile,
    /// How long the local AWS takes for what takes AWS minutes.
    pub timings: Timings,
    /// Deploy the demo's services and register their stages.
    pub demo_stages: bool,
    /// Whether the settings page has to be there; otherwise it is left out where Node.js is missing.
    pub page: bool,
    /// Called with each lap of the way as it ends, and with news in between.
    pub report: Option<fn(&Lap)>,
}

/// Seconds the local AWS takes for things. What is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Timings {
    /// Creating a database, beyond what Postgres needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_create_seconds: Option<f64>,
    /// Changing a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_modify_seconds: Option<f64>,
    /// Deleting a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_delete_seconds: Option<f64>,
    /// Optimizing storage after it grew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_optimization_seconds: Option<f64>,
    /// Taking a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_snapshot_seconds: Option<f64>,
    /// How long after a change of the storage another one is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_storage_cooldown_seconds: Option<f64>,
    /// Until a service is steady after a deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecs_steady_seconds: Option<f64>,
}

/// One lap of bringing up.
#[derive(Clone, Debug)]
pub struct Lap {
    /// What was done.
    pub what: String,
    /// How long it took; `None` for news from within a lap.
    pub took: Option<Duration>,
}
