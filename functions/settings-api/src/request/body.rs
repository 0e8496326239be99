//! The body of a request: a JSON object in which every field is known and has the right type, or an error that points
//! to it.

use std::{cell::RefCell, collections::BTreeSet, fmt};

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use database::{InvalidField, Setting, SettingValue};
use http::header;
use serde_json::{Map, Value};

use crate::response::{FieldError, Problem};

/// The maximum size of a body, in bytes. The largest one that makes sense, a registration of 20
/// services and 20 jobs with long names, has about 12,000.
const BODY_MAX: usize = 16 * 1024;

/// A body that hasn't been parsed. It may contain a password, so its Debug doesn't show it.
#[derive(Default)]
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

    /// The value of the one field that the body has.
    pub(crate) fn only<T: SettingValue>(&self, name: &'static str) -> Result<T, Problem> {
        let fields = self.object()?;
        let value = fields.read(name);
        let errors = fields.end();
        match value {
            Some(value) if errors.is_empty() => Ok(value),
            _ => Err(Problem::fields(errors)),
        }
    }

    /// The JSON object in the body.
    pub(crate) fn object(&self) -> Result<Fields, Problem> {
        if self.text.len() > BODY_MAX {
            return Err(Problem::unreadable(413, format!("The body must be at most {BODY_MAX} bytes long.")));
        }
        if !self.is_json || self.is_base64 {
            return Err(Problem::unreadable(415, "The Content-Type must be application/json."));
        }
        match serde_json::from_str(&self.text) {
            Ok(Value::Object(fields)) => Ok(Fields::new(fields, String::new())),
            Ok(_) => Err(Problem::unreadable(400, "The body must be a JSON object.")),
            // The message doesn't repeat the text, which may contain a password.
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let detail =
                    format!("The body isn't valid JSON. The error is at line {line}, column {column}.");
                Err(Problem::unreadable(400, detail))
            }
        }
    }
}

/// The fields of a JSON object. Read every known field once; `end` refuses the others.
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

    /// A required field. Errors are collected and returned by `end`.
    pub(crate) fn read<T: SettingValue>(&self, name: &'static str) -> Option<T> {
        let json = self.get(name)?;
        T::from_json(json).map_err(|reason| self.error(name, reason)).ok()
    }

    /// A field that can be missing, or null.
    pub(crate) fn optional<T: SettingValue>(&self, name: &'static str) -> Option<T> {
        if self.has(name) { self.read(name) } else { None }
    }

    /// The fields that are settings.
    pub(crate) fn settings<T>(
        &self,
        all: &'static [Setting],
        from_body: impl FnOnce(&Map<String, Value>, &mut Vec<InvalidField>) -> T,
    ) -> T {
        self.known.borrow_mut().extend(all.iter().map(|setting| setting.name));
        let mut errors = Vec::new();
        let settings = from_body(&self.object, &mut errors);
        for (name, detail) in errors {
            self.error(name, detail);
        }
        settings
    }

    /// Whether a field exists and isn't null.
    pub(crate) fn has(&self, name: &'static str) -> bool {
        self.known.borrow_mut().insert(name);
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// A required field whose value is an object.
    pub(crate) fn object(&self, name: &'static str) -> Option<Fields> {
        let Some(fields) = self.get(name)?.as_object() else {
            self.error(name, "must be an object");
            return None;
        };
        Some(Self::new(fields.clone(), format!("{}/{name}", self.pointer)))
    }

    /// A required field whose value is a list of objects.
    pub(crate) fn list(&self, name: &'static str) -> Option<Vec<Fields>> {
        let Some(items) = self.get(name)?.as_array() else {
            self.error(name, "must be a list of objects");
            return None;
        };
        let fields = |(index, item): (usize, &Value)| {
            let pointer = format!("{}/{name}/{index}", self.pointer);
            item.as_object().map(|object| Self::new(object.clone(), pointer))
        };
        let fields = items.iter().enumerate().map(fields).collect::<Option<Vec<_>>>();
        if fields.is_none() {
            self.error(name, "must be a list of objects");
        }
        fields
    }

    /// Adds an error for a field.
    pub(crate) fn error(&self, name: &str, detail: impl Into<String>) {
        let name: String = name.chars().take(64).collect();
        let pointer = format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"));
        self.errors.borrow_mut().push(FieldError { pointer, detail: detail.into() });
    }

    /// The errors of the fields that were read.
    pub(crate) fn errors(self) -> Vec<FieldError> {
        self.errors.into_inner()
    }

    /// The errors of the fields that were read, and an error for every other field.
    pub(crate) fn end(self) -> Vec<FieldError> {
        let known = self.known.take();
        let names: Vec<_> = known.iter().copied().collect();
        let unknown: Vec<_> =
            self.object.keys().filter(|name| !known.contains(name.as_str())).cloned().collect();
        for name in unknown.iter().take(10) {
            self.error(name, format!("isn't a known field. The known fields are {}", names.join(", ")));
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
