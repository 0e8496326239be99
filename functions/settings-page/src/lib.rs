//! The settings page: the files that `npm run build` creates in `web/`, and the page's configuration.
//!
//! The page is public, because it has to sign users in. It contains no data: everything it shows comes from `/api`,
//! behind the authorizer.

mod configuration;
mod files;

use std::sync::Arc;

use aws_lambda_events::{
    apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse},
    encodings::Body,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use lambda::Invocation;
use thiserror::Error;
use tracing::info;

pub use configuration::Configuration;
use files::{FILES, File};

/// The response for a path without a file, with status 200: the page decides what to show.
const INDEX: &str = "index.html";
/// Every file name under this prefix contains the hash of the file, so the file never changes.
const HASHED: &str = "assets/";
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><title>stagedb</title><p>The settings page hasn't been built. \
                         Run <code>npm ci &amp;&amp; npm run build</code> in <code>web/</code>, then deploy again.";

/// What is served.
#[derive(Debug)]
pub struct Page {
    files: &'static [File],
    configuration: String,
    policy: String,
}

/// An event that isn't an API Gateway HTTP request with payload format 2.0.
#[derive(Debug, Error)]
#[error("the event isn't an HTTP API request")]
pub struct NotARequest(#[source] serde_json::Error);

impl Page {
    /// The page that was built into this function.
    #[must_use]
    pub fn embedded(configuration: &Configuration) -> Self {
        Self {
            files: FILES,
            configuration: configuration.for_the_page(),
            policy: content_security_policy(&configuration.login_url),
        }
    }

    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Answer {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Answer::text(405, "Use GET or HEAD.").with(header::ALLOW, "GET, HEAD");
        }
        let path = path.trim_start_matches('/');
        if path == "config.json" {
            return Answer::new(200, "application/json", self.configuration.as_bytes())
                .with(header::CACHE_CONTROL, "no-cache");
        }
        if let Some(file) = self.files.iter().find(|file| file.path == path && path != INDEX) {
            let cache =
                if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
            return file_answer(file, headers).with(header::CACHE_CONTROL, cache);
        }
        // An asset of an earlier build, or a file that never existed, doesn't get the page.
        let is_page = !path.starts_with(HASHED) && !path.rsplit('/').next().unwrap_or_default().contains('.');
        if !is_page {
            return Answer::text(404, "File not found.").with(header::CACHE_CONTROL, "no-store");
        }
        let index = self.files.iter().find(|file| file.path == INDEX);
        let answer = index.map_or_else(
            || Answer::new(503, "text/html; charset=utf-8", NOT_BUILT.as_bytes()),
            |file| file_answer(file, headers),
        );
        answer
            .with(header::CACHE_CONTROL, "no-cache")
            .with(header::CONTENT_SECURITY_POLICY, &self.policy)
            .with(header::X_FRAME_OPTIONS, "DENY")
            .with(header::REFERRER_POLICY, "no-referrer")
            .with(HeaderName::from_static("cross-origin-opener-policy"), "same-origin-allow-popups")
            .with(HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()")
    }
}

fn file_answer(file: &File, headers: &HeaderMap) -> Answer {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let (content, encoding) = file.encoded(accepted.unwrap_or_default());
    let answer = Answer::new(200, file.content_type(), content).with(header::VARY, "accept-encoding");
    match encoding {
        Some(encoding) => answer.with(header::CONTENT_ENCODING, encoding),
        None => answer,
    }
}

/// The browser may run, load, and contact only what this function and the login serve. `data:` is for the icons in
/// Cloudscape's styles.
fn content_security_policy(login_url: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self' {login_url}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// An HTTP answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    content: Vec<u8>,
}

impl Answer {
    fn new(status: u16, content_type: &'static str, content: &[u8]) -> Self {
        let answer = Self { status, headers: HeaderMap::new(), content: content.to_owned() };
        answer
            .with(header::CONTENT_TYPE, content_type)
            .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .with(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000")
    }

    fn text(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.as_bytes())
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

impl From<Answer> for ApiGatewayV2httpResponse {
    fn from(answer: Answer) -> Self {
        let mut response = Self::default();
        response.status_code = i64::from(answer.status);
        response.headers = answer.headers;
        response.is_base64_encoded = true;
        response.body = Some(Body::Binary(answer.content));
        response
    }
}

/// Handles one request.
///
/// # Errors
/// The event isn't a request.
#[expect(clippy::unused_async, reason = "`lambda::run` needs an asynchronous handler")]
pub async fn handle(
    page: Arc<Page>,
    invocation: Invocation,
) -> Result<ApiGatewayV2httpResponse, NotARequest> {
    let request: ApiGatewayV2httpRequest = serde_json::from_value(invocation.event).map_err(NotARequest)?;
    let http = &request.request_context.http;
    let path = request.raw_path.as_deref().unwrap_or_default();
    let mut answer = page.answer(&http.method, path, &request.headers);
    if http.method == Method::HEAD {
        answer.content.clear();
    }
    info!(method = %http.method, status = answer.status, "answered");
    Ok(answer.into())
}
