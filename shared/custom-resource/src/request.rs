//! CloudFormation's requests, parsed in two phases.

use std::{collections::BTreeMap, fmt};

use database::{After, Asked, Connection, InvalidParameter, Login, Stage, hex};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Where to send the answer. It's a presigned URL that anyone could answer with, so its Debug doesn't show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseUrl(String);

impl ResponseUrl {
    /// The URL itself, to send the answer.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Where to send the answer, and for which request: the first phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// Where to send the answer.
    pub response_url: ResponseUrl,
    /// The ARN of the stack, repeated in the answer.
    pub stack_id: String,
    /// The ID of the request, repeated in the answer.
    pub request_id: String,
    /// The resource's logical ID, repeated in the answer.
    pub logical_id: String,
    /// The physical ID that an earlier answer gave to the resource. A Create has none.
    pub physical_id: Option<String>,
}

/// An event that doesn't say where to send the answer.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the event has no {0}, so it can't be answered")]
pub struct Unanswerable(&'static str);

impl Addressee {
    /// Where to send the answer to this event.
    ///
    /// # Errors
    /// A field that the answer needs is missing.
    pub fn from_event(event: &Value) -> Result<Self, Unanswerable> {
        let text = |name: &'static str| {
            let text = event.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or(Unanswerable(name))
        };
        Ok(Self {
            response_url: ResponseUrl(text("ResponseURL")?),
            stack_id: text("StackId")?,
            request_id: text("RequestId")?,
            logical_id: text("LogicalResourceId")?,
            physical_id: text("PhysicalResourceId").ok(),
        })
    }

    /// Identifies the request in calls to AWS that are safe to repeat: the same for every delivery, 64 characters long.
    #[must_use]
    pub fn token(&self) -> String {
        let hash = Sha256::new().chain_update(&self.stack_id).chain_update(&self.request_id);
        let hash = hash.chain_update(&self.logical_id).finalize();
        hex(&hash)
    }
}

/// What CloudFormation asks for: the second phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Whether the resource is created, updated, or deleted.
    pub request_type: RequestType,
    /// The type in the template, such as `Custom::PostgresDatabase`.
    pub resource_type: String,
    /// The desired properties.
    pub properties: Properties,
    /// The properties before the update. Only an Update has them.
    pub old_properties: Properties,
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestType {
    /// The resource is new.
    Create,
    /// The resource's properties changed, forward or in a rollback.
    Update,
    /// The resource is deleted.
    Delete,
}

/// What's wrong with a request that can be answered.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidRequest {
    /// Not Create, Update, or Delete.
    #[error("RequestType must be Create, Update, or Delete")]
    RequestType,
    /// The function doesn't handle this resource type.
    #[error("ResourceType must be {0}")]
    ResourceType(&'static str),
    /// A property is missing.
    #[error("the property {0} is missing")]
    Missing(&'static str),
    /// A property isn't valid. The message doesn't repeat the value, because it may be anything.
    #[error("the property {name} {reason}")]
    Invalid {
        /// The property.
        name: &'static str,
        /// What is allowed.
        reason: String,
    },
}

impl From<InvalidParameter> for InvalidRequest {
    fn from(invalid: InvalidParameter) -> Self {
        match invalid {
            InvalidParameter::Missing(name) => Self::Missing(name),
            InvalidParameter::Invalid { name, reason } => Self::Invalid { name, reason },
        }
    }
}

impl Request {
    /// Parses what an event asks for.
    ///
    /// # Errors
    /// The event isn't a CloudFormation request.
    pub fn from_event(event: &Value) -> Result<Self, InvalidRequest> {
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        let properties =
            |name: &str| Properties(event.get(name).and_then(Value::as_object).cloned().unwrap_or_default());
        Ok(Self {
            request_type: match text("RequestType") {
                "Create" => RequestType::Create,
                "Update" => RequestType::Update,
                "Delete" => RequestType::Delete,
                _ => return Err(InvalidRequest::RequestType),
            },
            resource_type: text("ResourceType").to_owned(),
            properties: properties("ResourceProperties"),
            old_properties: properties("OldResourceProperties"),
        })
    }
}

impl Request {
    /// The physical ID of the resource, derived from its stage and its type alone.
    ///
    /// # Errors
    /// `Stack` or `Stage` is missing or isn't valid.
    pub fn physical_id(&self) -> Result<String, InvalidRequest> {
        Ok(self.properties.stage()?.resource_id(&self.resource_type))
    }

    /// The request as the events of its stack show it, and the requests that must be over before it starts.
    #[must_use]
    pub fn asked(&self, addressee: &Addressee, after: &'static [After]) -> Asked {
        Asked {
            logical_id: addressee.logical_id.clone(),
            status: match self.request_type {
                RequestType::Create => "CREATE_IN_PROGRESS",
                RequestType::Update => "UPDATE_IN_PROGRESS",
                RequestType::Delete => "DELETE_IN_PROGRESS",
            },
            properties: self.properties.texts(),
            old_properties: self.old_properties.texts(),
            after,
        }
    }
}

/// A resource's properties. CloudFormation sends every scalar as a string.
#[derive(Clone, Default, PartialEq)]
pub struct Properties(Map<String, Value>);

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Properties {
    /// A property's text.
    ///
    /// # Errors
    /// It's missing, empty, or not a string.
    pub fn text(&self, name: &'static str) -> Result<&str, InvalidRequest> {
        match self.0.get(name) {
            None | Some(Value::Null) => Err(InvalidRequest::Missing(name)),
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            Some(Value::String(_)) => {
                Err(InvalidRequest::Invalid { name, reason: "must not be empty".to_owned() })
            }
            Some(_) => Err(InvalidRequest::Invalid { name, reason: "must be a string".to_owned() }),
        }
    }

    /// A property's text, if it exists. Rollbacks and deletions may send properties from an earlier version of the
    /// template, which didn't have it.
    ///
    /// # Errors
    /// It's empty, or not a string.
    pub fn optional(&self, name: &'static str) -> Result<Option<String>, InvalidRequest> {
        match self.text(name) {
            Err(InvalidRequest::Missing(_)) => Ok(None),
            text => text.map(|text| Some(text.to_owned())),
        }
    }

    /// The properties that are strings, which is nearly all of them.
    fn texts(&self) -> BTreeMap<String, String> {
        let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        self.0.iter().filter_map(text).collect()
    }

    /// A property as a type that checks it.
    ///
    /// # Errors
    /// It's missing, not a string, or not valid for the type.
    pub fn parse<T>(&self, name: &'static str) -> Result<T, InvalidRequest>
    where
        T: TryFrom<String, Error: fmt::Display>,
    {
        T::try_from(self.text(name)?.to_owned())
            .map_err(|error| InvalidRequest::Invalid { name, reason: error.to_string() })
    }

    /// The resource's stage.
    ///
    /// # Errors
    /// `Stack` or `Stage` is missing or isn't valid.
    pub fn stage(&self) -> Result<Stage, InvalidRequest> {
        Ok(Stage { stack: self.parse("Stack")?, stage: self.parse("Stage")? })
    }

    /// The login. A stage that never had the app login has none, and neither had an earlier version of the template.
    ///
    /// # Errors
    /// It isn't valid.
    pub fn login(&self) -> Result<Option<Login>, InvalidRequest> {
        match self.optional("Login")?.as_deref() {
            None | Some("none") => Ok(None),
            Some(_) => self.parse("Login").map(Some),
        }
    }

    /// A TCP port.
    ///
    /// # Errors
    /// It's missing, or not a port.
    pub fn port(&self, name: &'static str) -> Result<u16, InvalidRequest> {
        let reason = "must be a port, 1 to 65535".to_owned();
        u16::try_from(self.number(name)?).map_err(|_| InvalidRequest::Invalid { name, reason })
    }

    /// Where the database is.
    ///
    /// # Errors
    /// A property is missing or isn't valid.
    pub fn connection(&self) -> Result<Connection, InvalidRequest> {
        Ok(Connection {
            port: self.port("Port")?,
            identifier: self.text("Identifier")?.to_owned(),
            host: self.text("Host")?.to_owned(),
            database_name: self.parse("DatabaseName")?,
        })
    }

    /// A whole number.
    ///
    /// # Errors
    /// It's missing, or not a whole number.
    pub fn number(&self, name: &'static str) -> Result<i64, InvalidRequest> {
        let reason = || InvalidRequest::Invalid { name, reason: "must be a whole number".to_owned() };
        self.text(name)?.parse().map_err(|_| reason())
    }
}
