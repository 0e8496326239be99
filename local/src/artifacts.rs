//! The bucket for the functions' bundles and for large templates, as `sam package` uses one.

use crate::http::Http;

/// The name of the bucket.
pub(crate) const BUCKET: &str = "stagedb-artifacts";

/// Creates the bucket. Safe to repeat.
pub(crate) fn make_bucket(http: &Http) -> anyhow::Result<()> {
    http.call("PUT", &format!("/{BUCKET}"), Vec::new()).map(drop)
}

/// Uploads one object and returns its S3 URI.
pub(crate) fn upload(http: &Http, key: &str, content: Vec<u8>) -> anyhow::Result<String> {
    http.call("PUT", &format!("/{BUCKET}/{key}"), content)?;
    Ok(format!("s3://{BUCKET}/{key}"))
}
