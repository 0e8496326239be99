//! CloudFormation's API: stacks as they are described, and what begins their operations.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    clock, engine,
    template::{Scope, Template},
    wire::{Call, Failure, Reply, element},
    world::Model,
};

/// How many events are on the first page, which is all that our functions read.
const EVENTS: usize = 40;

#[derive(Debug, Default, Clone)]
pub(crate) struct Stacks {
    /// By ARN; deleted ones stay.
    pub(crate) all: BTreeMap<String, Stack>,
    /// What shows that CloudFormation waits for a request that no operation of the model asked.
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
    pub(crate) protected: bool,
    pub(crate) token: Option<String>,
    /// A person cancels the update that runs.
    pub(crate) cancel: Arc<Notify>,
    /// What a rollback that failed goes back to.
    pub(crate) before: Option<engine::Before>,
    /// Why the last operation failed: the first reason.
    pub(crate) cause: Option<String>,
    /// What updates would do, by the names of the change sets; `None`: nothing.
    change_sets: BTreeMap<String, Option<String>>,
}

/// A resource of a stack.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) physical_id: String,
    pub(crate) properties: Value,
    pub(crate) attributes: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(crate) struct StackEvent {
    pub(crate) logical: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) at: u64,
    /// As it is described.
    pub(crate) xml: String,
}

impl StackEvent {
    /// What happens now to a resource, or to the stack itself, which has its ARN as physical id.
    pub(crate) fn new(
        at: u64,
        (logical, stack_id): (&str, Option<&str>),
        status: &str,
        reason: &str,
        token: Option<&str>,
        properties: Option<&str>,
    ) -> Self {
        // Only what our functions read: nothing is parsed as often as these.
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

impl Stacks {
    /// By ARN, or by the name of one that is not deleted.
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
        Scope { stack_name: &self.name, parameters: &self.parameters, resources: &self.resources }
    }

    /// Where its database comes from.
    pub(crate) fn source(&self) -> &str {
        self.parameters.get("Source").map_or("none", String::as_str)
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS")
    }
}

fn validation(words: impl Into<String>) -> Failure {
    Failure::new(400, "ValidationError", words)
}

pub(crate) fn call(model: &Arc<Model>, call: &Call) -> Result<Reply, Failure> {
    let name = call.text("StackName").unwrap_or_default().to_owned();
    match call.operation.as_str() {
        "DescribeStacks" => {
            let world = model.world();
            let mut xml = "<Stacks>".to_owned();
            if name.is_empty() {
                let live = world.stacks.all.iter().filter(|(_, stack)| stack.status != "DELETE_COMPLETE");
                live.for_each(|(id, stack)| describe(&mut xml, id, stack));
            } else {
                let missing = || validation(format!("Stack with id {name} does not exist"));
                let (id, stack) = world.stacks.find(&name).ok_or_else(missing)?;
                describe(&mut xml, id, stack);
            }
            Ok(Reply::Xml(xml + "</Stacks>"))
        }
        "DescribeStackEvents" => {
            // Events show a moment late.
            let mut random = model.random("events");
            let weather = model.plan.weather;
            let is_stale = !model.world().settled && random.chance(weather.stale);
            let until = model.now() - if is_stale { random.within(0, 3_000).min(model.now()) } else { 0 };
            let world = model.world();
            if let Some(event) = &world.stacks.delivered {
                return Ok(Reply::Xml(format!("<StackEvents>{}</StackEvents>", event.xml)));
            }
            let (_, stack) = world
                .stacks
                .find(&name)
                .ok_or_else(|| validation(format!("Stack [{name}] does not exist")))?;
            let mut xml = "<StackEvents>".to_owned();
            let shown = stack.events.iter().rev().filter(|event| event.at <= until);
            // AWS does not say how many are on a page, only that it is 1 MB at most.
            shown.take(EVENTS).for_each(|event| xml.push_str(&event.xml));
            Ok(Reply::Xml(xml + "</StackEvents>"))
        }
        "CreateStack" => create(model, call, &name),
        "UpdateStack" => update(model, call, &name),
        "CreateChangeSet" => create_change_set(model, call, &name),
        "DescribeChangeSet" => {
            let world = model.world();
            let found = world.stacks.find(&name);
            let changes = found.and_then(|(_, stack)| stack.change_sets.get(call.text("ChangeSetName")?));
            let mut xml = String::new();
            match changes {
                None => return Err(Failure::new(404, "ChangeSetNotFound", "ChangeSet does not exist")),
                Some(None) => {
                    element(&mut xml, "Status", "FAILED");
                    element(&mut xml, "StatusReason", "The submitted information didn't contain changes.");
                }
                Some(Some(changes)) => {
                    element(&mut xml, "Status", "CREATE_COMPLETE");
                    let _ = write!(xml, "<Changes>{changes}</Changes>");
                }
            }
            Ok(Reply::Xml(xml))
        }
        "DeleteChangeSet" => {
            let mut world = model.world();
            let (_, stack) = world.stacks.find_mut(&name)?;
            stack.change_sets.remove(call.text("ChangeSetName").unwrap_or_default());
            Ok(Reply::Xml(String::new()))
        }
        "UpdateTerminationProtection" => {
            let mut world = model.world();
            let (id, stack) = world.stacks.find_mut(&name)?;
            stack.protected = call.flag("EnableTerminationProtection");
            Ok(id_reply(&id))
        }
        "ContinueUpdateRollback" => continue_rollback(model, call, &name),
        "DeleteStack" => delete(model, &name).map(|()| Reply::Xml(String::new())),
        other => Err(Failure::new(400, "InvalidAction", other)),
    }
}

fn id_reply(id: &str) -> Reply {
    let mut xml = String::new();
    element(&mut xml, "StackId", id);
    Reply::Xml(xml)
}

/// A template, its text and parameters.
type Asked = (Arc<Template>, String, BTreeMap<String, String>);

/// The template and the parameters of a call. A parameter without a value keeps the one before.
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

fn create(model: &Arc<Model>, call: &Call, name: &str) -> Result<Reply, Failure> {
    let (template, template_text, parameters) = asked(call, &BTreeMap::new())?;
    let token = call.text("ClientRequestToken").map(str::to_owned);
    let (number, now) = (model.issue(), model.now());
    let mut world = model.world();
    if let Some((id, stack)) = world.stacks.find(name) {
        // A repeat of the same request.
        if token.is_some() && stack.token == token && stack.updated.is_none() {
            return Ok(id_reply(id));
        }
        return Err(Failure::new(400, "AlreadyExistsException", format!("Stack [{name}] already exists")));
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
        protected: call.flag("EnableTerminationProtection"),
        token,
        cancel: Arc::new(Notify::new()),
        before: None,
        cause: None,
        change_sets: BTreeMap::new(),
    };
    world.stacks.all.insert(id.clone(), stack);
    drop(world);
    let (model, begun) = (Arc::clone(model), id.clone());
    tokio::spawn(async move { engine::create(&model, &begun).await });
    Ok(id_reply(&id))
}

fn update(model: &Arc<Model>, call: &Call, name: &str) -> Result<Reply, Failure> {
    let token = call.text("ClientRequestToken").map(str::to_owned);
    let now = model.now();
    let mut world = model.world();
    let (id, stack) = world.stacks.find_mut(name)?;
    if token.is_some() && stack.token == token {
        return Ok(id_reply(&id));
    }
    let updatable = ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"];
    if !updatable.contains(&stack.status) {
        return Err(validation(format!("Stack:{id} is in {} state and can not be updated.", stack.status)));
    }
    let (template, template_text, parameters) = asked(call, &stack.parameters)?;
    if parameters == stack.parameters && template_text == stack.template_text {
        return Err(validation("No updates are to be performed."));
    }
    let before = engine::Before {
        template: std::mem::replace(&mut stack.template, template),
        template_text: std::mem::replace(&mut stack.template_text, template_text),
        parameters: std::mem::replace(&mut stack.parameters, parameters),
        touched: Vec::new(),
    };
    stack.before = Some(before);
    stack.status = "UPDATE_IN_PROGRESS";
    stack.updated = Some(now);
    stack.token = token;
    stack.cancel = Arc::new(Notify::new());
    stack.cause = None;
    drop(world);
    let (model, begun) = (Arc::clone(model), id.clone());
    tokio::spawn(async move { engine::update(&model, &begun).await });
    Ok(id_reply(&id))
}

/// Says what an update would do, as far as it is known before: what follows from other changes is not.
fn create_change_set(model: &Arc<Model>, call: &Call, name: &str) -> Result<Reply, Failure> {
    let mut world = model.world();
    let (id, stack) = world.stacks.find_mut(name)?;
    if stack.is_busy() {
        return Err(validation(format!("Stack:{id} is in {} state and can not be updated.", stack.status)));
    }
    let (template, _, parameters) = asked(call, &stack.parameters)?;
    let mut changes = String::new();
    for logical in &template.order {
        let scope = Scope { stack_name: &stack.name, parameters: &parameters, resources: &stack.resources };
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

fn continue_rollback(model: &Arc<Model>, call: &Call, name: &str) -> Result<Reply, Failure> {
    let token = call.text("ClientRequestToken").map(str::to_owned);
    let mut world = model.world();
    let (id, stack) = world.stacks.find_mut(name)?;
    if token.is_some() && stack.token == token {
        return Ok(Reply::Xml(String::new()));
    }
    if stack.status != "UPDATE_ROLLBACK_FAILED" {
        let words = format!("Stack [{id}] is in {} state and can not continue its rollback.", stack.status);
        return Err(validation(words));
    }
    stack.status = "UPDATE_ROLLBACK_IN_PROGRESS";
    stack.token = token;
    drop(world);
    let model = Arc::clone(model);
    tokio::spawn(async move { engine::continue_rollback(&model, &id).await });
    Ok(Reply::Xml(String::new()))
}

/// Begins to delete a stack; safe to repeat.
pub(crate) fn delete(model: &Arc<Model>, name: &str) -> Result<(), Failure> {
    let mut world = model.world();
    let Ok((id, stack)) = world.stacks.find_mut(name) else { return Ok(()) };
    if stack.protected {
        let words = format!("Stack [{name}] cannot be deleted while TerminationProtection is enabled");
        return Err(validation(words));
    }
    if stack.status.starts_with("DELETE") && stack.status != "DELETE_FAILED" {
        return Ok(());
    }
    if stack.is_busy() {
        return Err(validation(format!("Stack [{name}] cannot be deleted while in status {}", stack.status)));
    }
    stack.status = "DELETE_IN_PROGRESS";
    drop(world);
    let model = Arc::clone(model);
    tokio::spawn(async move { engine::delete(&model, &id).await });
    Ok(())
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
