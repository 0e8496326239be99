//! Error responses (RFC 9457).
//!
//! What the user reads and what the log holds are separate: `detail` and `errors` are for the user, `internal` is for
//! the log only. An unexpected failure is a fixed 500 with the request ID.

use aws::AwsError;
use database::{Forbidden, InvalidParameter};
use serde::Serialize;
use utoipa::ToSchema;

use crate::response::Reply;

/// An error response.
#[derive(Debug)]
pub(crate) struct Problem(Box<Content>);

#[derive(Debug)]
struct Content {
    status: u16,
    slug: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    location: Option<String>,
    retry_after_seconds: Option<u32>,
    allow: Option<String>,
    internal: Option<String>,
}

/// What's wrong with one field of the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// A JSON Pointer (RFC 6901) to the field.
    pub(crate) pointer: String,
    /// What's allowed, as the end of a sentence that starts with the field name.
    pub(crate) detail: String,
}

/// An error (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProblemWire<'a> {
    /// The kind of problem, for programs.
    #[schema(example = "urn:stagedb:problem:conflict")]
    r#type: String,
    /// The same for every problem of this kind.
    title: &'a str,
    /// The HTTP status code.
    status: u16,
    /// What's wrong, and what you can do about it.
    detail: &'a str,
    /// What's wrong with each field of the body.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// The path of the rebuild that is running.
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<&'a str>,
    /// The request ID, to find the request in the logs.
    request_id: &'a str,
}

/// Someone changed a stage stack's parameters to something that can't be read.
impl From<InvalidParameter> for Problem {
    fn from(error: InvalidParameter) -> Self {
        Self::conflict(format!("The stage stack can't be read: {error}. Register the stage again."))
    }
}

impl Problem {
    fn new(status: u16, slug: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Content {
            status,
            slug,
            title,
            detail,
            errors: Vec::new(),
            location: None,
            retry_after_seconds: None,
            allow: None,
            internal: None,
        }))
    }

    /// The body, or its Content-Type, can't be read.
    pub(crate) fn unreadable(status: u16, detail: impl Into<String>) -> Self {
        Self::new(status, "unreadable-body", "The body can't be read", detail)
    }

    /// Fields of the body aren't valid.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{} {}.", one.pointer, one.detail),
            _ => "Several fields aren't valid.".to_owned(),
        };
        let mut problem = Self::new(422, "invalid-fields", "The body isn't valid", detail);
        problem.0.errors = errors;
        problem
    }

    /// One field of the body isn't valid.
    pub(crate) fn field(pointer: &str, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { pointer: pointer.to_owned(), detail: detail.into() }])
    }

    /// Part of the path or the query isn't valid.
    pub(crate) fn address(detail: impl Into<String>) -> Self {
        Self::new(400, "invalid-address", "The URL isn't valid", detail)
    }

    /// A header isn't valid.
    pub(crate) fn header(detail: impl Into<String>) -> Self {
        Self::new(400, "invalid-header", "A header isn't valid", detail)
    }

    /// The settings have changed since the client read them.
    pub(crate) fn changed_meanwhile() -> Self {
        let detail = "The settings have changed since you read them. Read them again before you change them.";
        Self::new(412, "changed-meanwhile", "The settings have changed", detail)
    }

    /// The key was used for a different request before.
    pub(crate) fn reused_key() -> Self {
        let detail =
            "This Idempotency-Key was used for a different request before. Use a new key for each request.";
        Self::new(422, "reused-key", "The Idempotency-Key was used before", detail)
    }

    /// The user's role isn't enough.
    pub(crate) fn forbidden(reason: &Forbidden) -> Self {
        Self::new(403, "forbidden", "Your role doesn't allow this", reason.to_string())
    }

    /// The history can't be written, and nothing starts without a record.
    pub(crate) fn not_recorded(error: &AwsError) -> Self {
        let detail = "The history can't be written now, so nothing was started. Try again in a minute.";
        let mut problem = Self::new(503, "history-unavailable", "The history can't be written", detail);
        problem.0.internal = Some(format!("{}: {}", lambda::chain(error), error.message));
        problem.retry_after_seconds(20)
    }

    /// There is nothing at this URL.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(404, "not-found", "Not found", detail)
    }

    /// The URL has other methods.
    pub(crate) fn method(allowed: &[&str]) -> Self {
        let detail = format!("Use {}.", in_words(allowed));
        let mut problem = Self::new(405, "method-not-allowed", "The method isn't allowed", detail);
        problem.0.allow = Some(allowed.join(", "));
        problem
    }

    /// The current state doesn't allow the request.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(409, "conflict", "The stage's current state doesn't allow this", detail)
    }

    /// A rebuild is running.
    pub(crate) fn busy(rebuild: String) -> Self {
        let detail = "A rebuild of this stage is running. Try again when it's done.";
        let mut problem = Self::new(409, "rebuild-running", "A rebuild is running", detail);
        problem.0.location = Some(rebuild);
        problem
    }

    /// Tells the client when to try again.
    pub(crate) fn retry_after_seconds(mut self, seconds: u32) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// A token that RDS or CloudFormation refuses.
    pub(crate) fn stale_token() -> Self {
        Self::address(
            "nextToken must be the nextToken of the previous page. It may have expired. Start again without it.",
        )
    }

    /// Whether nothing has started. If AWS doesn't respond, nobody knows.
    pub(crate) fn is_final(&self) -> bool {
        self.0.status != 503
    }

    /// What the user reads.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The cause, for the log.
    pub(crate) fn internal(&self) -> Option<&str> {
        self.0.internal.as_deref()
    }

    /// The response.
    pub(crate) fn into_reply(self, request_id: &str) -> Reply {
        let Content {
            status,
            slug,
            title,
            detail,
            errors,
            location,
            retry_after_seconds,
            allow,
            internal: _,
        } = *self.0;
        let wire = ProblemWire {
            r#type: format!("urn:stagedb:problem:{slug}"),
            title,
            status,
            detail: &detail,
            errors: &errors,
            rebuild: location.as_deref(),
            request_id,
        };
        let mut reply = Reply::json(status, &wire).with_content_type("application/problem+json");
        if let Some(location) = location {
            reply = reply.with_location(location);
        }
        if let Some(seconds) = retry_after_seconds {
            reply = reply.with_retry_after(seconds);
        }
        if let Some(methods) = allow {
            reply = reply.with_allow(methods);
        }
        reply
    }
}

/// `GET`, `GET or PUT`, `GET, PUT, or DELETE`.
fn in_words(methods: &[&str]) -> String {
    match methods {
        [one, other] => format!("{one} or {other}"),
        [others @ .., last] if !others.is_empty() => format!("{}, or {last}", others.join(", ")),
        _ => methods.concat(),
    }
}

impl Problem {
    /// AWS is too slow.
    pub(crate) fn unavailable() -> Self {
        let detail = "AWS didn't respond in time. The change may or may not have started. Check the rebuild, then try again.";
        Self::new(503, "aws-unavailable", "AWS didn't respond", detail)
    }
}

impl From<AwsError> for Problem {
    fn from(error: AwsError) -> Self {
        if !error.refused {
            let mut problem = Self::unavailable();
            problem.0.internal = Some(lambda::chain(&error));
            return problem;
        }
        let detail = "Something went wrong. Look for the request ID in the log of settings-api.";
        let internal = format!("{}: {}", lambda::chain(&error), error.message);
        let mut problem = Self::new(500, "internal", "Internal error", detail);
        problem.0.internal = Some(internal);
        problem
    }
}
