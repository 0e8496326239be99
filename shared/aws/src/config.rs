//! The configuration of every client.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};

/// Region, credentials, and endpoint from Lambda's environment. Throttled calls and lost connections are retried for up
/// to 8 s per call.
pub async fn load() -> SdkConfig {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(retries())
        .timeout_config(timeouts())
        .load()
        .await
}

/// How often a call is retried.
#[must_use]
pub fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(5)
}

/// How long a call, and each attempt, may take.
#[must_use]
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(4))
        .operation_timeout(Duration::from_secs(8))
        .build()
}

/// An unlimited retry budget for a client. The whole process shares the SDK's own budget, so one request in a bad
/// minute could leave the next one without any retries. The number of attempts and the time per call limit retries
/// anyway.
pub(crate) fn retry_partition() -> RetryPartition {
    RetryPartition::custom("stagedb").token_bucket(TokenBucket::unlimited()).build()
}

/// The client of an SDK crate, which keeps its budget of retries there. The crates' types have no trait in common.
macro_rules! client {
    ($sdk:ident, $config:expr) => {
        $sdk::Client::from_conf(
            $sdk::config::Builder::from($config).retry_partition($crate::config::retry_partition()).build(),
        )
    };
}
pub(crate) use client;
