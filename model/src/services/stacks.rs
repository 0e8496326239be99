//! CloudFormation's API: describes stacks, and starts their operations.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use database::Login;
use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    base::{
        clock,
        wire::{Call, Failure, Reply, element},
    },
    services::{
        begun::Begun,
        template::{Resource, Scope, Template},
    },
};

/// The number of events on the first page, which is the only one our functions read.
const EVENTS: usize = 40;

/// The context of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: u64,
    /// A new number that was never issued before.
    pub(crate) number: u64,
    /// Events appear with a delay: only those up to this time are returned.
    pub(crate) events_until: u64,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Stacks {
    /// By ARN, including deleted ones.
    pub(crate) all: BTreeMap<String, Stack>,
    /// Events which show that CloudFormation is waiting for a request that no operation of the model has sent.
    pub(crate) delivered: Option<StackEvent>,
}

#[derive(Debug, Clone)]
pub(crate) struct Stack {
    pub(crate) name: String,
    pub(crate) status: &'static str,
    pub(crate) template: Arc<Template>,
    pub(crate) template_text: String,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) resources: BTreeMap<String, Resource>,
    pub(crate) events: Vec<StackEvent>,
    pub(crate) created: u64,
    pub(crate) updated: Option<u64>,
    /// When the last rebuild was asked for. A change of the registration isn't one.
    pub(crate) rebuilt: Option<u64>,
    pub(crate) protected: bool,
    pub(crate) token: Option<String>,
    /// Notified when a user cancels the running update.
    pub(crate) cancel: Arc<Notify>,
    /// The state that a failed rollback returns to.
    pub(crate) before: Option<Before>,
    /// Why the last operation failed (the first reason).
    pub(crate) cause: Option<String>,
    /// What updates would do, by the name of the change set. `None` means nothing.
    change_sets: BTreeMap<String, Option<String>>,
}

/// The state before an update, for a rollback.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    pub(crate) template: Arc<Template>,
    pub(crate) template_text: String,
    pub(crate) parameters: BTreeMap<String, String>,
    /// The resources that the update started to change, in this order. A rollback visits them.
    pub(crate) touched: Vec<String>,
    pub(crate) rebuilt: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct StackEvent {
    pub(crate) logical: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) at: u64,
    /// The XML of its description.
    pub(crate) xml: String,
}

impl StackEvent {
    /// Creates an event for a resource, or for the stack itself, whose physical ID is its ARN.
    pub(crate) fn new(
        at: u64,
        (logical, stack_id): (&str, Option<&str>),
        status: &str,
        reason: &str,
        token: Option<&str>,
        properties: Option<&str>,
    ) -> Self {
        // Only the fields that our functions read, because events are parsed more often than anything else.
        let mut xml = "<member>".to_owned();
        element(&mut xml, "LogicalResourceId", logical);
        if let Some(stack_id) = stack_id {
            element(&mut xml, "PhysicalResourceId", stack_id);
        }
        element(&mut xml, "Timestamp", &clock::text(at));
        element(&mut xml, "ResourceStatus", status);
        if !reason.is_empty() {
            element(&mut xml, "ResourceStatusReason", reason);
        }
        if let Some(token) = token {
            element(&mut xml, "ClientRequestToken", token);
        }
        if let Some(properties) = properties {
            element(&mut xml, "ResourceProperties", properties);
        }
        xml.push_str("</member>");
        let text = str::to_owned;
        Self { logical: text(logical), status: text(status), reason: text(reason), at, xml }
    }
}

impl StackEvent {
    /// Creates the event which shows that CloudFormation is waiting for a request. Without it, the functions do
    /// nothing.
    pub(crate) fn waiting(event: &Value, at: u64) -> Option<Self> {
        let request = [event, &event["request"]].into_iter().find(|form| form["RequestType"].is_string())?;
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        let status = format!("{}_IN_PROGRESS", text("RequestType").to_uppercase());
        let ids = (text("LogicalResourceId"), None);
        Some(Self::new(at, ids, &status, "", None, Some(&request["ResourceProperties"].to_string())))
    }
}

impl Stacks {
    /// Finds a stack by ARN, or by name if it isn't deleted.
    pub(crate) fn find(&self, name_or_id: &str) -> Option<(&String, &Stack)> {
        let mut all = self.all.iter();
        all.find(|(id, stack)| {
            *id == name_or_id || (stack.name == name_or_id && stack.status != "DELETE_COMPLETE")
        })
    }

    fn find_mut(&mut self, name_or_id: &str) -> Result<(String, &mut Stack), Failure> {
        let id = self.find(name_or_id).map(|(id, _)| id.clone());
        let words = || validation(format!("Stack [{name_or_id}] does not exist"));
        let id = id.ok_or_else(words)?;
        let stack = self.all.get_mut(&id).ok_or_else(words)?;
        Ok((id, stack))
    }
}

impl Stack {
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            template: &self.template,
            stack_name: &self.name,
            parameters: &self.parameters,
            resources: &self.resources,
        }
    }

    /// The source of its database.
    pub(crate) fn source(&self) -> &str {
        self.parameters.get("Source").map_or("none", String::as_str)
    }

    /// A parameter's value. Without one, it's empty.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// The login that clients use, if the stage has had one of its own.
    pub(crate) fn login(&self) -> Option<Login> {
        self.parameter("Login").to_owned().try_into().ok()
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS")
    }
}

fn validation(words: impl Into<String>) -> Failure {
    Failure::new(400, "ValidationError", words)
}

impl Stacks {
    /// CloudFormation's response, and the operation that the call starts.
    pub(crate) fn call(&mut self, call: &Call, moment: &Moment) -> Result<(Reply, Option<Begun>), Failure> {
        let name = call.text("StackName").unwrap_or_default().to_owned();
        let reply = match call.operation.as_str() {
            "DescribeStacks" => {
                let mut xml = "<Stacks>".to_owned();
                if name.is_empty() {
                    let live = self.all.iter().filter(|(_, stack)| stack.status != "DELETE_COMPLETE");
                    live.for_each(|(id, stack)| describe(&mut xml, id, stack));
                } else {
                    let missing = || validation(format!("Stack with id {name} does not exist"));
                    let (id, stack) = self.find(&name).ok_or_else(missing)?;
                    describe(&mut xml, id, stack);
                }
                Ok(Reply::Xml(xml + "</Stacks>"))
            }
            "DescribeStackEvents" => {
                if let Some(event) = &self.delivered {
                    return Ok((Reply::Xml(format!("<StackEvents>{}</StackEvents>", event.xml)), None));
                }
                let (_, stack) =
                    self.find(&name).ok_or_else(|| validation(format!("Stack [{name}] does not exist")))?;
                let mut xml = "<StackEvents>".to_owned();
                let shown = stack.events.iter().rev().filter(|event| event.at <= moment.events_until);
                // AWS doesn't document the number of events per page, only a maximum of 1 MB.
                // Events that come meanwhile don't move a page.
                let newer: usize = call.text("NextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
                let total = stack.events.len();
                let newer = if newer == 0 { 0 } else { total - newer };
                shown.skip(newer).take(EVENTS).for_each(|event| xml.push_str(&event.xml));
                xml.push_str("</StackEvents>");
                if newer + EVENTS < total {
                    element(&mut xml, "NextToken", &(total - newer - EVENTS).to_string());
                }
                Ok(Reply::Xml(xml))
            }
            "CreateStack" => return self.create(call, &name, moment),
            "UpdateStack" => return self.update(call, &name, moment),
            "CreateChangeSet" => self.create_change_set(call, &name),
            "DescribeChangeSet" => {
                let found = self.find(&name);
                let changes = found.and_then(|(_, stack)| stack.change_sets.get(call.text("ChangeSetName")?));
                let mut xml = String::new();
                match changes {
                    None => return Err(Failure::new(404, "ChangeSetNotFound", "ChangeSet does not exist")),
                    Some(None) => {
                        element(&mut xml, "Status", "FAILED");
                        element(
                            &mut xml,
                            "StatusReason",
                            "The submitted information didn't contain changes.",
                        );
                    }
                    Some(Some(changes)) => {
                        element(&mut xml, "Status", "CREATE_COMPLETE");
                        let _ = write!(xml, "<Changes>{changes}</Changes>");
                    }
                }
                Ok(Reply::Xml(xml))
            }
            "DeleteChangeSet" => {
                let (_, stack) = self.find_mut(&name)?;
                stack.change_sets.remove(call.text("ChangeSetName").unwrap_or_default());
                Ok(Reply::Xml(String::new()))
            }
            "UpdateTerminationProtection" => {
                let (id, stack) = self.find_mut(&name)?;
                stack.protected = call.flag("EnableTerminationProtection");
                Ok(id_reply(&id))
            }
            "ContinueUpdateRollback" => return self.continue_rollback(call, &name),
            "DeleteStack" => return self.delete(&name).map(|begun| (Reply::Xml(String::new()), begun)),
            other => Err(Failure::new(400, "InvalidAction", other)),
        };
        reply.map(|reply| (reply, None))
    }
}

fn id_reply(id: &str) -> Reply {
    let mut xml = String::new();
    element(&mut xml, "StackId", id);
    Reply::Xml(xml)
}

/// A template, its text, and its parameters.
type Asked = (Arc<Template>, String, BTreeMap<String, String>);

/// The template and the parameters of a call. A parameter without a value keeps its previous value.
fn asked(call: &Call, before: &BTreeMap<String, String>) -> Result<Asked, Failure> {
    let text = call.text("TemplateBody").unwrap_or_default().to_owned();
    let template = Template::read(&text).ok_or_else(|| validation("Template format error"))?;
    let prefix = "Parameters.member";
    let mut given = call.pairs(prefix, "ParameterKey", "ParameterValue");
    for number in 1.. {
        let Some(key) = call.text(&format!("{prefix}.{number}.ParameterKey")) else { break };
        if call.flag(&format!("{prefix}.{number}.UsePreviousValue"))
            && let Some(value) = before.get(key)
        {
            given.insert(key.to_owned(), value.clone());
        }
    }
    let parameters = template.parameters(&given).map_err(validation)?;
    Ok((template, text, parameters))
}

impl Stacks {
    fn create(
        &mut self,
        call: &Call,
        name: &str,
        moment: &Moment,
    ) -> Result<(Reply, Option<Begun>), Failure> {
        let (template, template_text, parameters) = asked(call, &BTreeMap::new())?;
        let token = call.text("ClientRequestToken").map(str::to_owned);
        let (number, now) = (moment.number, moment.now);
        if let Some((id, stack)) = self.find(name) {
            // The same request again.
            if token.is_some() && stack.token == token && stack.updated.is_none() {
                return Ok((id_reply(id), None));
            }
            return Err(Failure::new(
                400,
                "AlreadyExistsException",
                format!("Stack [{name}] already exists"),
            ));
        }
        let id = format!("arn:aws:cloudformation:us-east-1:123456789012:stack/{name}/{number:08}");
        let stack = Stack {
            name: name.to_owned(),
            status: "CREATE_IN_PROGRESS",
            template,
            template_text,
            parameters,
            tags: call.pairs("Tags.member", "Key", "Value"),
            outputs: BTreeMap::new(),
            resources: BTreeMap::new(),
            events: Vec::new(),
            created: now,
            updated: None,
            rebuilt: None,
            protected: call.flag("EnableTerminationProtection"),
            token,
            cancel: Arc::new(Notify::new()),
            before: None,
            cause: None,
            change_sets: BTreeMap::new(),
        };
        self.all.insert(id.clone(), stack);
        Ok((id_reply(&id), Some(Begun::Create(id))))
    }

    fn update(
        &mut self,
        call: &Call,
        name: &str,
        moment: &Moment,
    ) -> Result<(Reply, Option<Begun>), Failure> {
        let token = call.text("ClientRequestToken").map(str::to_owned);
        let now = moment.now;
        let (id, stack) = self.find_mut(name)?;
        if token.is_some() && stack.token == token {
            return Ok((id_reply(&id), None));
        }
        let updatable = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"];
        if !updatable.contains(&stack.status) {
            return Err(validation(format!(
                "Stack:{id} is in {} state and can not be updated.",
                stack.status
            )));
        }
        let (template, template_text, parameters) = asked(call, &stack.parameters)?;
        if parameters == stack.parameters && template_text == stack.template_text {
            return Err(validation("No updates are to be performed."));
        }
        let before = Before {
            template: std::mem::replace(&mut stack.template, template),
            template_text: std::mem::replace(&mut stack.template_text, template_text),
            parameters: std::mem::replace(&mut stack.parameters, parameters),
            touched: Vec::new(),
            rebuilt: stack.rebuilt,
        };
        stack.before = Some(before);
        stack.status = "UPDATE_IN_PROGRESS";
        stack.updated = Some(now);
        stack.token = token;
        stack.cancel = Arc::new(Notify::new());
        stack.cause = None;
        Ok((id_reply(&id), Some(Begun::Update(id))))
    }

    /// What an update would do, as far as this is known in advance. Consequences of other changes aren't.
    fn create_change_set(&mut self, call: &Call, name: &str) -> Result<Reply, Failure> {
        let (id, stack) = self.find_mut(name)?;
        if stack.is_busy() {
            return Err(validation(format!(
                "Stack:{id} is in {} state and can not be updated.",
                stack.status
            )));
        }
        let (template, _, parameters) = asked(call, &stack.parameters)?;
        let mut changes = String::new();
        for logical in &template.order {
            let scope = Scope {
                template: &template,
                stack_name: &stack.name,
                parameters: &parameters,
                resources: &stack.resources,
            };
            let before = stack.resources.get(logical);
            let after = template.properties(logical, &scope);
            let action = match (before, after) {
                (None, _) => "Add",
                (Some(before), Ok(after)) if before.properties == after => continue,
                (Some(_), _) => "Modify",
            };
            changes.push_str("<member><Type>Resource</Type><ResourceChange>");
            element(&mut changes, "Action", action);
            element(&mut changes, "LogicalResourceId", logical);
            element(&mut changes, "ResourceType", template.resource_type(logical));
            element(&mut changes, "Replacement", "False");
            changes.push_str("</ResourceChange></member>");
        }
        let set = call.text("ChangeSetName").unwrap_or_default().to_owned();
        stack.change_sets.insert(set, (!changes.is_empty()).then_some(changes));
        Ok(id_reply(&id))
    }

    fn continue_rollback(&mut self, call: &Call, name: &str) -> Result<(Reply, Option<Begun>), Failure> {
        let token = call.text("ClientRequestToken").map(str::to_owned);
        let (id, stack) = self.find_mut(name)?;
        if token.is_some() && stack.token == token {
            return Ok((Reply::Xml(String::new()), None));
        }
        if stack.status != "UPDATE_ROLLBACK_FAILED" {
            let words =
                format!("Stack [{id}] is in {} state and can not continue its rollback.", stack.status);
            return Err(validation(words));
        }
        stack.status = "UPDATE_ROLLBACK_IN_PROGRESS";
        stack.token = token;
        Ok((Reply::Xml(String::new()), Some(Begun::ContinueRollback(id))))
    }

    /// Starts to delete a stack. Safe to repeat.
    pub(crate) fn delete(&mut self, name: &str) -> Result<Option<Begun>, Failure> {
        let Ok((id, stack)) = self.find_mut(name) else { return Ok(None) };
        if stack.protected {
            let words = format!("Stack [{name}] cannot be deleted while TerminationProtection is enabled");
            return Err(validation(words));
        }
        if stack.status.starts_with("DELETE") && stack.status != "DELETE_FAILED" {
            return Ok(None);
        }
        if stack.is_busy() {
            return Err(validation(format!(
                "Stack [{name}] cannot be deleted while in status {}",
                stack.status
            )));
        }
        stack.status = "DELETE_IN_PROGRESS";
        Ok(Some(Begun::Delete(id)))
    }
}

pub(crate) fn describe(xml: &mut String, id: &str, stack: &Stack) {
    xml.push_str("<member>");
    element(xml, "StackId", id);
    element(xml, "StackName", &stack.name);
    element(xml, "CreationTime", &clock::text(stack.created));
    if let Some(updated) = stack.updated {
        element(xml, "LastUpdatedTime", &clock::text(updated));
    }
    element(xml, "StackStatus", stack.status);
    let _ = write!(xml, "<EnableTerminationProtection>{}</EnableTerminationProtection>", stack.protected);
    pairs(xml, "Parameters", ("ParameterKey", "ParameterValue"), &stack.parameters);
    pairs(xml, "Outputs", ("OutputKey", "OutputValue"), &stack.outputs);
    pairs(xml, "Tags", ("Key", "Value"), &stack.tags);
    xml.push_str("</member>");
}

fn pairs(xml: &mut String, list: &str, (key, value): (&str, &str), pairs: &BTreeMap<String, String>) {
    let _ = write!(xml, "<{list}>");
    for (name, text) in pairs {
        xml.push_str("<member>");
        element(xml, key, name);
        element(xml, value, text);
        xml.push_str("</member>");
    }
    let _ = write!(xml, "</{list}>");
}
