//! The bucket the functions' bundles and large templates are uploaded to, as `sam package` does.

use crate::http::Http;

/// Name of the bucket.
pub(crate) const BUCKET: &str = "stagedb-artifacts";

/// Makes the bucket. Repeating it is a success.
pub(crate) fn make_bucket(http: &Http) -> anyhow::Result<()> {
    http.call("PUT", &format!("/{BUCKET}"), Vec::new()).map(drop)
}

/// Uploads one object and returns its S3 URI.
pub(crate) fn upload(http: &Http, key: &str, content: Vec<u8>) -> anyhow::Result<String> {
    http.call("PUT", &format!("/{BUCKET}/{key}"), content)?;
    Ok(format!("s3://{BUCKET}/{key}"))
}
