//! What CloudFormation asks, in two phases.

use std::{collections::BTreeMap, fmt};

use database::{After, Asked, Stage};
use serde_json::{Map, Value};
use thiserror::Error;

/// Where an answer goes to. It is a presigned URL: whoever has it can answer, so its Debug shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseUrl(String);

impl ResponseUrl {
    /// The URL, to send the answer to.
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

/// Whom to answer: the first phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// Where the answer goes to.
    pub response_url: ResponseUrl,
    /// The ARN of the stack, verbatim in the answer.
    pub stack_id: String,
    /// The id of the request, verbatim in the answer.
    pub request_id: String,
    /// The resource's name in the template, verbatim in the answer.
    pub logical_id: String,
    /// The id that an earlier answer gave to the resource; Create has none.
    pub physical_id: Option<String>,
}

/// An event that has nobody to answer.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the event has no {0}, so there is nobody to answer")]
pub struct Unanswerable(&'static str);

impl Addressee {
    /// Whom to answer for this event.
    ///
    /// # Errors
    /// A field is missing without which CloudFormation cannot be answered.
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
}

/// What is asked: the second phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Whether the resource is made, changed or deleted.
    pub request_type: RequestType,
    /// The type in the template, such as `Custom::PostgresDatabase`.
    pub resource_type: String,
    /// The desired properties.
    pub properties: Properties,
    /// The properties before; only an Update has them.
    pub old_properties: Properties,
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestType {
    /// The resource is new.
    Create,
    /// The resource's properties changed, forward or in a rollback.
    Update,
    /// The resource goes.
    Delete,
}

/// A request that can be answered, with what is wrong with it.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidRequest {
    /// Not Create, Update or Delete.
    #[error("RequestType must be Create, Update or Delete")]
    RequestType,
    /// A resource type this function does not know.
    #[error("ResourceType must be {0}")]
    ResourceType(&'static str),
    /// A property is not there.
    #[error("the property {0} is missing")]
    Missing(&'static str),
    /// A property is not what it should be. The value is not repeated: it may be anything.
    #[error("the property {name} {reason}")]
    Invalid {
        /// The property.
        name: &'static str,
        /// What is allowed.
        reason: String,
    },
}

impl Request {
    /// What this event asks for.
    ///
    /// # Errors
    /// The event is not a request of CloudFormation's.
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
    /// The id of the resource, derived from its stage and its type alone.
    ///
    /// # Errors
    /// `Stack` or `Stage` is missing or no name.
    pub fn physical_id(&self) -> Result<String, InvalidRequest> {
        Ok(self.properties.stage()?.resource_id(&self.resource_type))
    }

    /// The request as the events of its stack show it, and whose work has to be over before its own.
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
    /// It is missing, empty, or not a string.
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

    /// These properties, with a default for each of these that is missing: what an earlier version of the template had
    /// not comes back in rollbacks and deletions.
    #[must_use]
    pub fn with_defaults(&self, defaults: &[(&str, &str)]) -> Self {
        let mut properties = self.0.clone();
        for (name, value) in defaults {
            properties.entry(*name).or_insert_with(|| Value::String((*value).to_owned()));
        }
        Self(properties)
    }

    /// Those that are texts, as nearly all are.
    fn texts(&self) -> BTreeMap<String, String> {
        let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        self.0.iter().filter_map(text).collect()
    }

    /// A property as a type that checks it.
    ///
    /// # Errors
    /// It is missing, not a string, or the type refuses it.
    pub fn parse<T>(&self, name: &'static str) -> Result<T, InvalidRequest>
    where
        T: TryFrom<String, Error: fmt::Display>,
    {
        T::try_from(self.text(name)?.to_owned())
            .map_err(|error| InvalidRequest::Invalid { name, reason: error.to_string() })
    }

    /// The stage that the resource is of.
    ///
    /// # Errors
    /// `Stack` or `Stage` is missing or no name.
    pub fn stage(&self) -> Result<Stage, InvalidRequest> {
        Ok(Stage { stack: self.parse("Stack")?, stage: self.parse("Stage")? })
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is missing or not a whole number.
    pub fn number(&self, name: &'static str) -> Result<i64, InvalidRequest> {
        let reason = || InvalidRequest::Invalid { name, reason: "must be a whole number".to_owned() };
        self.text(name)?.parse().map_err(|_| reason())
    }
}
