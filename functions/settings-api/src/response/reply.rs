//! An HTTP response.

use aws_lambda_events::{apigw::ApiGatewayV2httpResponse, encodings::Body};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;

/// An HTTP response with a JSON body.
#[derive(Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Reply {
    /// A response with this body.
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // The response is outdated soon, and it's only for the user who sent the request.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // Our wire types have string keys only, so they always serialize.
        Self { status, headers, body: serde_json::to_string(body).unwrap_or_default() }
    }

    /// A response with this text, which must be JSON.
    pub(crate) fn text(status: u16, body: String) -> Self {
        Self { body, ..Self::json(status, &()) }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn with_content_type(self, value: &'static str) -> Self {
        self.with(header::CONTENT_TYPE, value)
    }

    pub(crate) fn with_location(self, location: impl AsRef<str>) -> Self {
        self.with(header::LOCATION, location.as_ref())
    }

    pub(crate) fn with_etag(self, value: impl AsRef<str>) -> Self {
        self.with(header::ETAG, value.as_ref())
    }

    pub(crate) fn with_allow(self, methods: impl AsRef<str>) -> Self {
        self.with(header::ALLOW, methods.as_ref())
    }

    pub(crate) fn with_retry_after(self, seconds: u32) -> Self {
        self.with(header::RETRY_AFTER, &seconds.to_string())
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl From<Reply> for ApiGatewayV2httpResponse {
    fn from(reply: Reply) -> Self {
        let mut response = Self::default();
        response.status_code = i64::from(reply.status);
        response.headers = reply.headers;
        response.body = Some(Body::Text(reply.body));
        response
    }
}
