//! The configuration of every client.

use std::{
    env,
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider,
    retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::{rt::sleep::default_async_sleep, time::SystemTimeSource};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_types::base64;
use memchr::memmem;
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// Region, credentials, and endpoint from Lambda's environment, and from nowhere else: looking for profiles and
/// instances takes time at every cold start. Throttled calls and lost connections are retried for up to 8 s per call.
#[must_use]
pub fn load() -> SdkConfig {
    let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let region = variable("AWS_REGION");
    let tls = TlsContext::builder().with_trust_store(trust_store(region.as_deref().unwrap_or_default()));
    let mut http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    if let Ok(context) = tls.build() {
        http = http.tls_context(context);
    }
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region.map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .http_client(http.build_https())
        .time_source(SystemTimeSource::new())
        .retry_config(retries())
        .timeout_config(timeouts());
    config.set_endpoint_url(variable("AWS_ENDPOINT_URL"));
    config.set_sleep_impl(default_async_sleep());
    config.build()
}

/// The roots of Amazon Trust Services, which sign the certificates of AWS's endpoints (Amazon Trust Services
/// repository). Reading every root of the system takes several milliseconds at each cold start. In China, others sign.
fn trust_store(region: &str) -> TrustStore {
    if region.starts_with("cn-") {
        return TrustStore::default();
    }
    amazon_roots().fold(TrustStore::empty(), |store, der| {
        let pem =
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", base64::encode(der));
        store.with_pem_certificate(pem)
    })
}

fn amazon_roots() -> impl Iterator<Item = &'static [u8]> {
    let names =
        ["Amazon Root CA ", "Starfield Services Root Certificate Authority - G2"].map(memmem::Finder::new);
    let is_amazons = move |der: &&[u8]| names.iter().any(|name| name.find(der).is_some());
    TLS_SERVER_ROOT_CERTS.iter().map(AsRef::as_ref).filter(is_amazons)
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

/// A client that is made when it's first used. A request uses only some of a function's clients, and making one takes
/// time at a cold start.
pub(crate) type Lazy<T> = Arc<LazyLock<T, Box<dyn FnOnce() -> T + Send>>>;

/// The client of an SDK crate, which keeps its budget of retries there. The crates' types have no trait in common.
macro_rules! client {
    ($sdk:ident, $config:expr) => {{
        let config = $config.clone();
        let make: Box<dyn FnOnce() -> $sdk::Client + Send> = Box::new(move || {
            let config = $sdk::config::Builder::from(&config);
            $sdk::Client::from_conf(config.retry_partition($crate::config::retry_partition()).build())
        });
        std::sync::Arc::new(std::sync::LazyLock::new(make))
    }};
}
pub(crate) use client;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_roots_of_amazon_are_trusted_and_can_be_read() {
        assert_eq!(amazon_roots().count(), 5);
        let config = load();
        assert!(config.http_client().is_some(), "building the client reads the roots");
    }
}
