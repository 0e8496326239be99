//! Calls to the application's API, as a client program makes them.

use anyhow::Context as _;
use serde_json::Value;
use ureq::http::{HeaderMap, Request};

use crate::http::Http;

/// The API's response.
#[derive(Clone, Debug)]
pub struct ApiAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers. Names are case-insensitive.
    pub headers: HeaderMap,
    /// The body if it's JSON, otherwise null.
    pub body: Value,
    /// The body as received.
    pub text: String,
}

impl ApiAnswer {
    /// A header's value, if it's present and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The status and the problem's detail on one line, for an error message.
    #[must_use]
    pub fn in_words(&self) -> String {
        let detail = ["detail", "title", "message"].iter().find_map(|name| self.body.get(name)?.as_str());
        format!("{} {}", self.status, detail.unwrap_or(&self.text))
    }
}

/// Makes one call, with exactly these headers and this body.
pub(crate) fn call(
    http: &Http,
    api_url: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> anyhow::Result<ApiAnswer> {
    let mut request = Request::builder().method(method).uri(format!("{api_url}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body).with_context(|| format!("cannot build the request {method} {path}"))?;
    let mut response = http.send(request)?;
    let text = response
        .body_mut()
        .read_to_string()
        .with_context(|| format!("{method} {path}: cannot read the response"))?;
    Ok(ApiAnswer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: serde_json::from_str(&text).unwrap_or_default(),
        text,
    })
}
