//! The body of a request: a JSON object whose every field is known, with the right type, or an error that points to it.

use std::{cell::RefCell, collections::BTreeSet, fmt};

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use http::header;
use serde_json::{Map, Value};

use crate::problem::{FieldError, Problem};

/// The most bytes of a body. The largest one that makes sense has a few hundred.
const BODY_MAX: usize = 16 * 1024;

/// A body that has not been parsed. It may hold a password, so its Debug shows nothing of it.
pub(crate) struct Body {
    text: String,
    is_json: bool,
    is_base64: bool,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Body {
    pub(crate) fn from_request(request: &ApiGatewayV2httpRequest) -> Self {
        let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let media_type = content_type.and_then(|v| v.split(';').next()).unwrap_or_default().trim();
        Self {
            text: request.body.clone().unwrap_or_default(),
            is_json: media_type.eq_ignore_ascii_case("application/json"),
            is_base64: request.is_base64_encoded,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The JSON object in the body.
    pub(crate) fn object(&self) -> Result<Fields, Problem> {
        if self.text.len() > BODY_MAX {
            return Err(Problem::unreadable(413, format!("A body has at most {BODY_MAX} bytes.")));
        }
        if !self.is_json || self.is_base64 {
            return Err(Problem::unreadable(415, "A body has the Content-Type application/json."));
        }
        match serde_json::from_str(&self.text) {
            Ok(Value::Object(fields)) => Ok(Fields::new(fields, String::new())),
            Ok(_) => Err(Problem::unreadable(400, "The body is a JSON object.")),
            // serde_json names the line and the column; the text itself is not repeated.
            Err(error) => Err(Problem::unreadable(
                400,
                format!("The body is not JSON, at line {}, column {}.", error.line(), error.column()),
            )),
        }
    }
}

/// The fields of a JSON object. Every field must be asked for once; `end` refuses the others.
pub(crate) struct Fields {
    object: Map<String, Value>,
    pointer: String,
    known: RefCell<BTreeSet<&'static str>>,
    errors: RefCell<Vec<FieldError>>,
}

impl Fields {
    fn new(object: Map<String, Value>, pointer: String) -> Self {
        Self { object, pointer, known: RefCell::default(), errors: RefCell::default() }
    }

    /// A string, as a type that checks it. What is wrong is collected, and said by `end`.
    pub(crate) fn parse<T>(&self, name: &'static str) -> Option<T>
    where
        T: TryFrom<String, Error: fmt::Display>,
    {
        let text = self.get(name)?;
        let Some(text) = text.as_str() else {
            self.error(name, "must be a string");
            return None;
        };
        match T::try_from(text.to_owned()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(name, error.to_string());
                None
            }
        }
    }

    /// A string of 1 to 255 characters without control characters.
    pub(crate) fn text(&self, name: &'static str) -> Option<String> {
        let text = self.parse::<String>(name)?;
        if text.is_empty() || text.chars().count() > 255 || text.chars().any(char::is_control) {
            self.error(name, "must be 1 to 255 characters, none of them a control character");
            return None;
        }
        Some(text)
    }

    /// A whole number, as a type that checks it.
    pub(crate) fn number<T>(&self, name: &'static str) -> Option<T>
    where
        T: TryFrom<i64, Error: fmt::Display>,
    {
        let Some(number) = self.get(name)?.as_i64() else {
            self.error(name, "must be a whole number");
            return None;
        };
        T::try_from(number).map_err(|error| self.error(name, error.to_string())).ok()
    }

    /// True or false.
    pub(crate) fn boolean(&self, name: &'static str) -> Option<bool> {
        let value = self.get(name)?.as_bool();
        if value.is_none() {
            self.error(name, "must be true or false");
        }
        value
    }

    /// A field that may be left out, or be null; `read` reads it otherwise.
    pub(crate) fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        if self.has(name) { read(self, name) } else { None }
    }

    /// Whether a field is there and not null.
    pub(crate) fn has(&self, name: &'static str) -> bool {
        self.known.borrow_mut().insert(name);
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether a field is there and null.
    pub(crate) fn is_null(&self, name: &'static str) -> bool {
        self.known.borrow_mut().insert(name);
        self.object.get(name).is_some_and(Value::is_null)
    }

    /// The object inside.
    pub(crate) fn object(&self, name: &'static str) -> Option<Fields> {
        let Some(fields) = self.get(name)?.as_object() else {
            self.error(name, "must be an object");
            return None;
        };
        Some(Self::new(fields.clone(), format!("{}/{name}", self.pointer)))
    }

    /// Notes what is wrong with a field.
    pub(crate) fn error(&self, name: &str, detail: impl Into<String>) {
        let name: String = name.chars().take(64).collect();
        let pointer = format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"));
        self.errors.borrow_mut().push(FieldError { pointer, detail: detail.into() });
    }

    /// What was wrong with any field that was asked for.
    pub(crate) fn errors(self) -> Vec<FieldError> {
        self.errors.into_inner()
    }

    /// What was wrong with any field, and every field that nobody asked for.
    pub(crate) fn end(self) -> Vec<FieldError> {
        let known = self.known.take();
        let names: Vec<_> = known.iter().copied().collect();
        let unknown: Vec<_> =
            self.object.keys().filter(|name| !known.contains(name.as_str())).cloned().collect();
        for name in unknown.iter().take(10) {
            self.error(name, format!("is not known; known are {}", names.join(", ")));
        }
        self.errors.into_inner()
    }

    fn get(&self, name: &'static str) -> Option<&Value> {
        self.known.borrow_mut().insert(name);
        let value = self.object.get(name).filter(|value| !value.is_null());
        if value.is_none() {
            self.error(name, "is required");
        }
        value
    }
}
