//! CloudFormation: the stacks of the stages.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_cloudformation::{
    Client,
    error::ProvideErrorMetadata,
    types::{ChangeAction, ChangeSetStatus, ChangeSetType, Output, Parameter, Stack, Tag},
};
use aws_smithy_types::date_time::Format;
use database::{Login, StackEvent, StackName, StackStatus, Stage, StageName, Target};
use serde_json::Value;
use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    AwsError, Rebuilt, TAG_STACK, TAG_STAGE,
    config::{Lazy, client},
    error::failed,
    instant::instant,
};

/// The stacks in this account and Region.
#[derive(Debug, Clone)]
pub struct Stacks {
    client: Lazy<Client>,
}

/// The stack of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageStack {
    /// Its ARN.
    pub id: String,
    /// The stage in its tags.
    pub stage: Stage,
    /// Its status, by what it means.
    pub status: StackStatus,
    /// Its status in CloudFormation's own words.
    pub status_text: String,
    /// The start time of its last operation, which is different for every update.
    pub operation: String,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// Whether it has termination protection.
    pub is_protected: bool,
}

impl StageStack {
    /// Where the stage's database comes from: `none`, `created`, or `attached`.
    #[must_use]
    pub fn source(&self) -> &str {
        self.parameters.get("Source").map_or("none", String::as_str)
    }

    /// The login that it publishes, or published before it lost its database.
    #[must_use]
    pub fn login(&self) -> Option<Login> {
        self.parameters.get("Login")?.clone().try_into().ok()
    }

    /// Whether the stage has a database with the app login.
    #[must_use]
    pub fn has_app_login(&self) -> bool {
        self.source() == "created" && self.login().is_some_and(|login| !login.is_master)
    }

    /// Whether the stage has a database, even if its other parameters aren't valid.
    #[must_use]
    pub fn has_database(&self) -> bool {
        self.source() != "none"
    }

    /// When its last operation started.
    #[must_use]
    pub fn operation_at(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(&self.operation, &Rfc3339).ok()
    }

    /// Whether CloudFormation accepts an update.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        matches!(self.status, StackStatus::Complete | StackStatus::RolledBack)
    }

    /// The variables that the containers should have, according to the stack.
    #[must_use]
    pub fn target(&self) -> Target {
        match (self.has_database(), self.outputs.get("SecretArn")) {
            (true, Some(secret_arn)) => Target::Published { secret_arn: secret_arn.clone() },
            _ => Target::Removed,
        }
    }

    /// The value of the service's tag once the containers match the stack.
    #[must_use]
    pub fn rebuilt(&self) -> Rebuilt {
        Rebuilt {
            stage: self.stage.to_string(),
            operation: self.operation.clone(),
            // An earlier version of the template doesn't have this output.
            secret_version: self.outputs.get("SecretVersion").cloned().unwrap_or_default(),
            token: self.parameters.get("Rebuild").cloned().unwrap_or_default(),
        }
    }
}

/// The result of looking up a stack by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// There is no such stack.
    Missing,
    /// A stack that isn't a stage stack.
    Foreign,
    /// The stack of a stage, but not necessarily of the stage that the name was derived from.
    Found(Box<StageStack>),
}

/// What an operation would do to one resource of a stack, according to a change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChange {
    /// The logical ID of the resource.
    pub logical_id: String,
    /// Its type.
    pub resource_type: String,
    /// The action in CloudFormation's own words, such as `Modify`.
    pub action: String,
    /// Whether it's replaced, in CloudFormation's own words: `True`, `False`, or `Conditional`.
    pub replacement: Option<String>,
}

/// How far a change set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeSet {
    /// Not ready yet.
    Pending,
    /// What the operation would do.
    Ready(Vec<ResourceChange>),
    /// CloudFormation would refuse the operation, for this reason.
    Refused(String),
}

/// A page of stage stacks. It can be empty and still have a next page, because other stacks are skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackPage {
    /// The stage stacks of this page.
    pub stacks: Vec<StageStack>,
    /// The token for the next page.
    pub next_token: Option<String>,
}

/// The most pages of events to read.
const PAGES_MAX: usize = 5;

/// Why a stack wasn't created or updated.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// Nothing changes.
    #[error("nothing would change")]
    NoChange,
    /// Another operation is running, or a failed one has to be resolved first.
    #[error("the stack can't be updated in its current state")]
    WrongState(#[source] AwsError),
    /// The stack already exists.
    #[error("the stack already exists")]
    Exists(#[source] AwsError),
    /// AWS failed.
    #[error(transparent)]
    Aws(AwsError),
}

impl Stacks {
    /// Stacks in this account and Region.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: client!(aws_sdk_cloudformation, config) }
    }

    /// The stack with this name or ARN. By its ARN, even a deleted one.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn stack(&self, name_or_id: &str) -> Result<Lookup, AwsError> {
        let reply = match self.client.describe_stacks().stack_name(name_or_id).send().await {
            Ok(reply) => reply,
            Err(error) if is_validation(&error, "does not exist") => return Ok(Lookup::Missing),
            Err(error) => return Err(failed("DescribeStacks")(error)),
        };
        Ok(match reply.stacks.unwrap_or_default().into_iter().next() {
            None => Lookup::Missing,
            Some(stack) => stage_stack(stack).map_or(Lookup::Foreign, |stack| Lookup::Found(Box::new(stack))),
        })
    }

    /// One page of all stacks, reduced to the stage stacks. One call, no matter how many there are.
    ///
    /// # Errors
    /// AWS failed. A token that isn't valid is `refused`.
    pub async fn page(&self, token: Option<String>) -> Result<StackPage, AwsError> {
        let reply = self.client.describe_stacks().set_next_token(token).send().await;
        let reply = reply.map_err(failed("DescribeStacks"))?;
        let stacks = reply.stacks.unwrap_or_default().into_iter().filter_map(stage_stack).collect();
        Ok(StackPage { stacks, next_token: reply.next_token })
    }

    /// The latest events of a stack, newest first: at most one page of 100. The events of `with_properties_of` also
    /// have their properties.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn events(
        &self,
        id: &str,
        with_properties_of: Option<&str>,
    ) -> Result<Vec<StackEvent>, AwsError> {
        Ok(self.events_page(id, with_properties_of, None).await?.0)
    }

    /// The latest events of a stack, newest first: those since a time, and at most five pages. Also whether these are all.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn events_since(
        &self,
        id: &str,
        since: OffsetDateTime,
    ) -> Result<(Vec<StackEvent>, bool), AwsError> {
        let (mut events, mut token) = self.events_page(id, None, None).await?;
        for _ in 1..PAGES_MAX {
            if token.is_none() || events.last().is_some_and(|event| event.at < since) {
                return Ok((events, true));
            }
            let (page, next) = self.events_page(id, None, token).await?;
            events.extend(page);
            token = next;
        }
        Ok((events, token.is_none()))
    }

    async fn events_page(
        &self,
        id: &str,
        with_properties_of: Option<&str>,
        token: Option<String>,
    ) -> Result<(Vec<StackEvent>, Option<String>), AwsError> {
        let reply = self.client.describe_stack_events().stack_name(id).set_next_token(token).send().await;
        let reply = reply.map_err(failed("DescribeStackEvents"))?;
        let next = reply.next_token.clone();
        let event = |e: aws_sdk_cloudformation::types::StackEvent| {
            let logical_id = e.logical_resource_id?;
            let shown = e.resource_properties.filter(|_| with_properties_of == Some(&logical_id));
            Some(StackEvent {
                logical_id,
                is_stack: e.physical_resource_id.as_deref() == Some(id),
                status: e.resource_status?.as_str().to_owned(),
                reason: e.resource_status_reason.filter(|reason| !reason.is_empty()),
                at: instant(&e.timestamp?),
                token: e.client_request_token,
                properties: shown.as_deref().map(properties).unwrap_or_default(),
            })
        };
        Ok((reply.stack_events.unwrap_or_default().into_iter().filter_map(event).collect(), next))
    }

    /// Creates the stack of a stage. `token` makes a repeat harmless.
    ///
    /// It doesn't ask for termination protection. That takes a permission which can be limited to stacks with a stage's
    /// tags only once the stack has them.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn create(
        &self,
        stage: &Stage,
        template: &str,
        parameters: &BTreeMap<String, String>,
        role_arn: &str,
        token: &str,
    ) -> Result<(), ChangeError> {
        let call = self
            .client
            .create_stack()
            .stack_name(stage.stage_stack_name())
            .template_body(template)
            .set_parameters(Some(to_parameters(parameters)))
            .tags(Tag::builder().key(TAG_STACK).value(stage.stack.as_ref()).build())
            .tags(Tag::builder().key(TAG_STAGE).value(stage.stage.as_ref()).build())
            .role_arn(role_arn)
            .client_request_token(token);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("AlreadyExistsException") => {
                Err(ChangeError::Exists(failed("CreateStack")(error)))
            }
            Err(error) => Err(ChangeError::Aws(failed("CreateStack")(error))),
        }
    }

    /// Continues a rollback that failed, without the resources in `skip`. `token` makes a repeat harmless.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn continue_rollback(
        &self,
        id: &str,
        role_arn: &str,
        token: &str,
        skip: &[String],
    ) -> Result<(), ChangeError> {
        let call = self.client.continue_update_rollback().stack_name(id).role_arn(role_arn);
        let call = call.set_resources_to_skip((!skip.is_empty()).then(|| skip.to_vec()));
        match call.client_request_token(token).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ValidationError") => {
                Err(ChangeError::WrongState(failed("ContinueUpdateRollback")(error)))
            }
            Err(error) => Err(ChangeError::Aws(failed("ContinueUpdateRollback")(error))),
        }
    }

    /// Starts to create a change set for an update. The stack itself doesn't change.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn create_change_set(
        &self,
        id: &str,
        name: &str,
        template: &str,
        parameters: &BTreeMap<String, String>,
        role_arn: &str,
    ) -> Result<(), ChangeError> {
        let call = self
            .client
            .create_change_set()
            .stack_name(id)
            .change_set_name(name)
            .change_set_type(ChangeSetType::Update)
            .template_body(template)
            .set_parameters(Some(to_parameters(parameters)))
            .role_arn(role_arn);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_validation(&error, "") => {
                Err(ChangeError::WrongState(failed("CreateChangeSet")(error)))
            }
            Err(error) => Err(ChangeError::Aws(failed("CreateChangeSet")(error))),
        }
    }

    /// How far a change set is.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn change_set(&self, id: &str, name: &str) -> Result<ChangeSet, AwsError> {
        let call = self.client.describe_change_set().stack_name(id).change_set_name(name);
        let reply = call.send().await.map_err(failed("DescribeChangeSet"))?;
        let change = |change: &aws_sdk_cloudformation::types::Change| {
            let change = change.resource_change()?;
            Some(ResourceChange {
                logical_id: change.logical_resource_id()?.to_owned(),
                resource_type: change.resource_type()?.to_owned(),
                action: change.action().map_or("", ChangeAction::as_str).to_owned(),
                replacement: change.replacement().map(|r| r.as_str().to_owned()),
            })
        };
        let reason = reply.status_reason().unwrap_or_default();
        Ok(match reply.status() {
            Some(ChangeSetStatus::CreateComplete) => {
                ChangeSet::Ready(reply.changes().iter().filter_map(change).collect())
            }
            Some(ChangeSetStatus::Failed)
                if reason.contains("didn't contain changes") || reason.contains("No updates") =>
            {
                ChangeSet::Ready(Vec::new())
            }
            Some(ChangeSetStatus::Failed) => ChangeSet::Refused(reason.to_owned()),
            _ => ChangeSet::Pending,
        })
    }

    /// Deletes a change set. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn delete_change_set(&self, id: &str, name: &str) -> Result<(), AwsError> {
        let call = self.client.delete_change_set().stack_name(id).change_set_name(name);
        call.send().await.map(|_| ()).map_err(failed("DeleteChangeSet"))
    }

    /// Turns a stack's termination protection on or off. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn protect(&self, id: &str, is_on: bool) -> Result<(), AwsError> {
        let call =
            self.client.update_termination_protection().stack_name(id).enable_termination_protection(is_on);
        call.send().await.map(|_| ()).map_err(failed("UpdateTerminationProtection"))
    }

    /// Turns off termination protection, and starts to delete a stack that has no database. Safe to repeat.
    ///
    /// # Errors
    /// AWS failed.
    pub async fn delete(&self, id: &str, role_arn: &str, token: &str) -> Result<(), AwsError> {
        self.protect(id, false).await?;
        let call = self.client.delete_stack().stack_name(id).role_arn(role_arn).client_request_token(token);
        call.send().await.map(|_| ()).map_err(failed("DeleteStack"))
    }

    /// Updates the stack of a stage to this template and these parameters, and keeps its tags. `token` makes a repeat
    /// harmless.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn update(
        &self,
        id: &str,
        template: &str,
        parameters: &BTreeMap<String, String>,
        role_arn: &str,
        token: &str,
    ) -> Result<(), ChangeError> {
        let call = self
            .client
            .update_stack()
            .stack_name(id)
            .template_body(template)
            .set_parameters(Some(to_parameters(parameters)))
            .role_arn(role_arn)
            .client_request_token(token);
        match call.send().await {
            Ok(_) => Ok(()),
            // The SDK has no types for these errors, so only their messages tell them apart.
            Err(error) if is_validation(&error, "No updates are to be performed") => {
                Err(ChangeError::NoChange)
            }
            Err(error) if is_validation(&error, "state and can not be updated") => {
                Err(ChangeError::WrongState(failed("UpdateStack")(error)))
            }
            Err(error) if error.code() == Some("TokenAlreadyExistsException") => {
                Err(ChangeError::Exists(failed("UpdateStack")(error)))
            }
            Err(error) => Err(ChangeError::Aws(failed("UpdateStack")(error))),
        }
    }
}

fn is_validation(error: &impl ProvideErrorMetadata, words: &str) -> bool {
    error.code() == Some("ValidationError") && error.message().is_some_and(|message| message.contains(words))
}

/// The properties of a resource in an event: a JSON object in a string.
fn properties(text: &str) -> BTreeMap<String, String> {
    let object: serde_json::Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let scalar = |(name, value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Number(_) | Value::Bool(_) => Some((name, value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    object.into_iter().filter_map(scalar).collect()
}

fn to_parameters(parameters: &BTreeMap<String, String>) -> Vec<Parameter> {
    let parameter = |(key, value)| Parameter::builder().parameter_key(key).parameter_value(value).build();
    parameters.iter().map(parameter).collect()
}

fn stage_stack(stack: Stack) -> Option<StageStack> {
    let tag = |key: &str| stack.tags().iter().find(|t| t.key() == Some(key)).and_then(|t| t.value());
    let stage = Stage {
        stack: StackName::try_from(tag(TAG_STACK)?).ok()?,
        stage: StageName::try_from(tag(TAG_STAGE)?).ok()?,
    };
    let status_text = stack.stack_status()?.as_str().to_owned();
    let began = stack.last_updated_time.or(stack.creation_time)?;
    let parameter = |p: Parameter| Some((p.parameter_key?, p.parameter_value?));
    let output = |o: Output| Some((o.output_key?, o.output_value?));
    Some(StageStack {
        id: stack.stack_id?,
        stage,
        status: StackStatus::from(status_text.as_str()),
        status_text,
        operation: began.fmt(Format::DateTime).ok()?,
        parameters: stack.parameters.unwrap_or_default().into_iter().filter_map(parameter).collect(),
        outputs: stack.outputs.unwrap_or_default().into_iter().filter_map(output).collect(),
        is_protected: stack.enable_termination_protection.unwrap_or(false),
    })
}
