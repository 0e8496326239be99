//! What went wrong, as RFC 9457 says it.
//!
//! What a user reads and what a log holds are kept apart: `detail` and `errors` are written for a person, `internal` goes
//! into the log only. A failure that nobody has words for is a fixed 500 with the request's id.

use aws::AwsError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::reply::Reply;

/// An error answer.
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

/// What is wrong with one field of the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// A JSON pointer (RFC 6901) to the field.
    pub(crate) pointer: String,
    /// What is allowed.
    pub(crate) detail: String,
}

/// An error answer (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProblemWire<'a> {
    /// Names the kind of the problem, for programs.
    #[schema(example = "urn:stagedb:problem:conflict")]
    r#type: String,
    /// The same of every problem of this kind.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What is wrong and what can be done, for a person.
    detail: &'a str,
    /// What is wrong with each field of the body.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// The rebuild that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<&'a str>,
    /// Finds the request in the logs.
    request_id: &'a str,
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

    /// The body, or its Content-Type, cannot be read at all.
    pub(crate) fn unreadable(status: u16, detail: impl Into<String>) -> Self {
        Self::new(status, "unreadable-body", "The body cannot be read", detail)
    }

    /// Fields of the body are not valid.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{} {}.", one.pointer, one.detail),
            _ => "Several fields are not valid.".to_owned(),
        };
        let mut problem = Self::new(422, "invalid-fields", "The body is not valid", detail);
        problem.0.errors = errors;
        problem
    }

    /// One field of the body is not valid.
    pub(crate) fn field(pointer: &str, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { pointer: pointer.to_owned(), detail: detail.into() }])
    }

    /// A part of the path or the query is not valid.
    pub(crate) fn address(detail: impl Into<String>) -> Self {
        Self::new(400, "invalid-address", "The address is not valid", detail)
    }

    /// A header is not valid.
    pub(crate) fn header(detail: impl Into<String>) -> Self {
        Self::new(400, "invalid-header", "A header is not valid", detail)
    }

    /// The settings are not those that the request was made for.
    pub(crate) fn changed_meanwhile() -> Self {
        let detail = "The settings were changed since they were read. Read them again, then decide.";
        Self::new(412, "changed-meanwhile", "The settings were changed meanwhile", detail)
    }

    /// One key stands for one request.
    pub(crate) fn reused_key() -> Self {
        let detail =
            "This Idempotency-Key was given with another request before. Give each request a key of its own.";
        Self::new(422, "reused-key", "The Idempotency-Key was used before", detail)
    }

    /// There is no such address.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(404, "not-found", "Not found", detail)
    }

    /// The address has other methods.
    pub(crate) fn method(allowed: &[&str]) -> Self {
        let detail = format!("This address knows {}.", in_words(allowed));
        let mut problem = Self::new(405, "method-not-allowed", "The method is not allowed", detail);
        problem.0.allow = Some(allowed.join(", "));
        problem
    }

    /// What is asked for does not go with what is there.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(409, "conflict", "The state of the stage does not allow this", detail)
    }

    /// A rebuild runs.
    pub(crate) fn busy(rebuild: String) -> Self {
        let detail = "A rebuild of this stage is running. Save again when it is done.";
        let mut problem = Self::new(409, "rebuild-running", "A rebuild is running", detail);
        problem.0.location = Some(rebuild);
        problem
    }

    /// Says when to try again.
    pub(crate) fn retry_after_seconds(mut self, seconds: u32) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// A token that leads to no page.
    pub(crate) fn stale_token() -> Self {
        Self::address("nextToken is the one that the page before gave, and it may be too old.")
    }

    /// What went wrong inside, for the log.
    pub(crate) fn internal(&self) -> Option<&str> {
        self.0.internal.as_deref()
    }

    /// The answer.
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

/// `GET`, `GET and PUT`, `GET, PUT and DELETE`.
fn in_words(methods: &[&str]) -> String {
    match methods {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => methods.concat(),
    }
}

impl Problem {
    /// AWS is too slow for an answer in time.
    pub(crate) fn unavailable() -> Self {
        let detail = "AWS did not reply in time. What was asked for may or may not have begun; the rebuild shows it. Try again.";
        Self::new(503, "aws-unavailable", "AWS did not reply", detail)
    }
}

impl From<AwsError> for Problem {
    fn from(error: AwsError) -> Self {
        if !error.refused {
            let mut problem = Self::unavailable();
            problem.0.internal = Some(lambda::chain(&error));
            return problem;
        }
        let detail = "Something went wrong on our side. The log of settings-api has the request's id.";
        let internal = format!("{}: {}", lambda::chain(&error), error.message);
        let mut problem = Self::new(500, "internal", "Internal error", detail);
        problem.0.internal = Some(internal);
        problem
    }
}
