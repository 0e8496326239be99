//! The options for starting a local AWS.

use std::time::Duration;

use serde::Serialize;

use crate::functions::Profile;

/// Options for starting a local AWS.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The port on 127.0.0.1. `None` picks a free one.
    pub port: Option<u16>,
    /// The Cargo profile for building the functions.
    pub profile: Profile,
    /// How long operations take that take minutes on AWS.
    pub timings: Timings,
    /// Whether to deploy the demo's services and register their stages.
    pub demo_stages: bool,
    /// Whether the settings page is required. If not, it is left out when Node.js is missing.
    pub page: bool,
    /// Called when each step finishes, and with progress messages in between.
    pub report: Option<fn(&Lap)>,
}

/// How long operations take in the local AWS, in seconds. `None` leaves a timing unchanged.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Timings {
    /// Creating a database, in addition to the time Postgres needs to start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_create_seconds: Option<f64>,
    /// Changing a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_modify_seconds: Option<f64>,
    /// How long a database is down when a change interrupts it, in addition to the restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_interruption_seconds: Option<f64>,
    /// Deleting a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_delete_seconds: Option<f64>,
    /// Optimizing the storage after it has grown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_optimization_seconds: Option<f64>,
    /// Taking a snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_snapshot_seconds: Option<f64>,
    /// How long after a storage change another one is rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rds_storage_cooldown_seconds: Option<f64>,
    /// How long a service needs to become steady after a deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecs_steady_seconds: Option<f64>,
}

/// One step of starting up.
#[derive(Clone, Debug)]
pub struct Lap {
    /// What was done.
    pub what: String,
    /// How long it took. `None` for a progress message within a step.
    pub took: Option<Duration>,
}
