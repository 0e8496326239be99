//! The project's own templates, read as CloudFormation reads them: `stage.yaml` from a call, and the state machine,
//! retries, and rules in `template.yaml`.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Map, Value, json};
use serde_yaml_ng::Value as Yaml;

/// The application's template.
const APPLICATION: &str = include_str!("../../../template.yaml");

/// A template, with CloudFormation's short forms (`!Ref x`) converted to long forms (`{"Ref": "x"}`).
#[derive(Debug)]
pub(crate) struct Template {
    root: Value,
    /// The resources, each after its dependencies.
    pub(crate) order: Vec<String>,
}

/// A resource of a stack.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) physical_id: String,
    pub(crate) properties: Value,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// The values for resolving a template's expressions.
pub(crate) struct Scope<'a> {
    pub(crate) template: &'a Template,
    pub(crate) stack_name: &'a str,
    pub(crate) parameters: &'a BTreeMap<String, String>,
    /// The existing resources.
    pub(crate) resources: &'a BTreeMap<String, Resource>,
}

fn json_of(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => json!(flag),
        Yaml::Number(number) => number.as_i64().map_or_else(|| json!(number.as_f64()), |n| json!(n)),
        Yaml::String(text) => json!(text),
        Yaml::Sequence(items) => items.iter().map(json_of).collect(),
        Yaml::Mapping(pairs) => {
            let text = |key: &Yaml| key.as_str().map_or_else(|| json_of(key).to_string(), str::to_owned);
            Value::Object(pairs.iter().map(|(key, value)| (text(key), json_of(value))).collect())
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let inside = json_of(&tagged.value);
            match tag.trim_start_matches('!') {
                "Ref" => json!({"Ref": inside}),
                "GetAtt" => {
                    let text = inside.as_str().unwrap_or_default();
                    let (resource, attribute) = text.split_once('.').unwrap_or((text, ""));
                    json!({"Fn::GetAtt": [resource, attribute]})
                }
                other => json!({format!("Fn::{other}"): inside}),
            }
        }
    }
}

thread_local! {
    static PARSED: RefCell<BTreeMap<String, Arc<Template>>> = const { RefCell::new(BTreeMap::new()) };
    /// Cached separately, because every step needs it, and comparing its text takes longer than the step.
    static PARSED_APPLICATION: Arc<Template> = Template::read(APPLICATION).expect("template.yaml is YAML");
}

impl Template {
    /// Parses a template. Each text is parsed only once.
    pub(crate) fn read(text: &str) -> Option<Arc<Self>> {
        PARSED.with_borrow_mut(|parsed| {
            if let Some(template) = parsed.get(text) {
                return Some(Arc::clone(template));
            }
            let yaml: Yaml = serde_yaml_ng::from_str(text).ok()?;
            let root = json_of(&yaml);
            let order = order(root.get("Resources")?.as_object()?);
            let template = Arc::new(Self { root, order });
            parsed.insert(text.to_owned(), Arc::clone(&template));
            Some(template)
        })
    }

    /// The application's template.
    pub(crate) fn application() -> Arc<Self> {
        PARSED_APPLICATION.with(Arc::clone)
    }

    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.root.pointer(pointer).unwrap_or(&Value::Null)
    }

    pub(crate) fn resource_type(&self, logical: &str) -> &str {
        self.at(&format!("/Resources/{logical}/Type")).as_str().unwrap_or_default()
    }

    /// The parameters, with defaults for missing ones. The error names a parameter that isn't allowed.
    pub(crate) fn parameters(
        &self,
        given: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let known = self.at("/Parameters").as_object().into_iter().flatten();
        let mut all = BTreeMap::new();
        for (name, parameter) in known {
            let default = match &parameter["Default"] {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            let value = given.get(name).cloned().or(default);
            let value = value.ok_or_else(|| format!("Parameters: [{name}] must have values"))?;
            let allowed = parameter["AllowedValues"].as_array();
            if allowed.is_some_and(|allowed| !allowed.iter().any(|a| a.as_str() == Some(&value))) {
                return Err(format!("Parameter {name} must be one of its AllowedValues"));
            }
            if value.len() > 4096 {
                return Err(format!("Parameter {name} is too long"));
            }
            all.insert(name.clone(), value);
        }
        match given.keys().find(|name| !all.contains_key(*name)) {
            Some(unknown) => Err(format!("Parameters: [{unknown}] do not exist in the template")),
            None => Ok(all),
        }
    }

    /// A resource's properties with every expression resolved and every scalar as a string, as custom resources receive
    /// them.
    pub(crate) fn properties(&self, logical: &str, scope: &Scope<'_>) -> Result<Value, String> {
        resolve(self.at(&format!("/Resources/{logical}/Properties")), scope)
    }

    pub(crate) fn outputs(&self, scope: &Scope<'_>) -> Result<BTreeMap<String, String>, String> {
        let outputs = self.at("/Outputs").as_object().into_iter().flatten();
        let output =
            |(name, output): (&String, &Value)| Ok((name.clone(), text(&resolve(&output["Value"], scope)?)));
        outputs.map(output).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn resolve(value: &Value, scope: &Scope<'_>) -> Result<Value, String> {
    match value {
        Value::Null => Ok(Value::Null),
        Value::Array(items) => items.iter().map(|item| resolve(item, scope)).collect(),
        Value::Object(object) => {
            if let Some((function, argument)) = object.iter().next().filter(|_| object.len() == 1) {
                match function.as_str() {
                    "Ref" => return reference(argument.as_str().unwrap_or_default(), scope),
                    "Fn::GetAtt" => return attribute(&text(&argument[0]), &text(&argument[1]), scope),
                    "Fn::Sub" => return substitute(argument.as_str().unwrap_or_default(), scope),
                    "Fn::If" => {
                        let name = argument[0].as_str().unwrap_or_default();
                        let holds = condition(scope.template.at(&format!("/Conditions/{name}")), scope)?;
                        return resolve(&argument[if holds { 1 } else { 2 }], scope);
                    }
                    "Fn::Select" => {
                        let list = resolve(&argument[1], scope)?;
                        let index = argument[0].as_u64().and_then(|index| usize::try_from(index).ok());
                        return Ok(list[index.unwrap_or_default()].clone());
                    }
                    "Fn::Join" => {
                        let list = resolve(&argument[1], scope)?;
                        let items: Vec<_> = list.as_array().into_iter().flatten().map(text).collect();
                        return Ok(json!(items.join(&text(&argument[0]))));
                    }
                    _ if function.starts_with("Fn::") => {
                        return Err(format!("the model does not know {function}"));
                    }
                    _ => {}
                }
            }
            let pair = |(name, value): (&String, &Value)| Ok((name.clone(), resolve(value, scope)?));
            object.iter().map(pair).collect::<Result<Map<_, _>, String>>().map(Value::Object)
        }
        Value::String(_) => Ok(value.clone()),
        scalar => Ok(Value::String(scalar.to_string())),
    }
}

fn reference(name: &str, scope: &Scope<'_>) -> Result<Value, String> {
    if let Some(value) = scope.parameters.get(name) {
        return Ok(match scope.template.at(&format!("/Parameters/{name}/Type")).as_str() {
            Some(list) if list == "CommaDelimitedList" || list.starts_with("List<") => {
                value.split(',').map(|item| json!(item)).collect()
            }
            _ => json!(value),
        });
    }
    match name {
        "AWS::StackName" => Ok(json!(scope.stack_name)),
        "AWS::Region" => Ok(json!("us-east-1")),
        // The model looks at no property that this removes.
        "AWS::NoValue" => Ok(Value::Null),
        _ => scope
            .resources
            .get(name)
            .map(|found| json!(found.physical_id))
            .ok_or_else(|| format!("Unresolved: {name}")),
    }
}

fn condition(value: &Value, scope: &Scope<'_>) -> Result<bool, String> {
    if let Some(inside) = value.get("Fn::Not") {
        return condition(&inside[0], scope).map(|holds| !holds);
    }
    if let Some(sides) = value.get("Fn::Equals") {
        return Ok(resolve(&sides[0], scope)? == resolve(&sides[1], scope)?);
    }
    Err(format!("the model does not know the condition {value}"))
}

fn attribute(name: &str, attribute: &str, scope: &Scope<'_>) -> Result<Value, String> {
    let attributes = &scope.resources.get(name).ok_or_else(|| format!("Unresolved: {name}"))?.attributes;
    // CloudFormation's own wording.
    let missing = || {
        format!(
            "CustomResource attribute error: Vendor response doesn't contain {attribute} attribute in object"
        )
    };
    attributes.get(attribute).map(|value| json!(value)).ok_or_else(missing)
}

fn substitute(text: &str, scope: &Scope<'_>) -> Result<Value, String> {
    let mut parts = text.split("${");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        let value = match name.split_once('.') {
            Some((resource, of)) => attribute(resource, of, scope)?,
            None => reference(name, scope)?,
        };
        result.push_str(value.as_str().unwrap_or_default());
        result.push_str(rest);
    }
    Ok(json!(result))
}

/// Sorts the resources, so that each comes after those it refers to or depends on.
fn order(resources: &Map<String, Value>) -> Vec<String> {
    let needs: BTreeMap<&String, BTreeSet<String>> = resources
        .iter()
        .map(|(name, resource)| {
            let mut found = BTreeSet::new();
            references(resource, &mut found);
            match &resource["DependsOn"] {
                Value::String(one) => {
                    found.insert(one.clone());
                }
                Value::Array(several) => found.extend(several.iter().map(text)),
                _ => {}
            }
            found.retain(|other| other != name && resources.contains_key(other));
            (name, found)
        })
        .collect();
    let mut order: Vec<String> = Vec::new();
    while order.len() < resources.len() {
        let next = needs
            .iter()
            .find(|(name, needs)| !order.contains(name) && needs.iter().all(|need| order.contains(need)));
        match next {
            Some((name, _)) => order.push((*name).clone()),
            None => break,
        }
    }
    order
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(object) => {
            for (name, inside) in object {
                match (name.as_str(), inside) {
                    ("Ref", Value::String(name)) => {
                        found.insert(name.clone());
                    }
                    ("Fn::GetAtt", Value::Array(parts)) => {
                        found.insert(parts.first().map(text).unwrap_or_default());
                    }
                    ("Fn::Sub", Value::String(text)) => {
                        for part in text.split("${").skip(1) {
                            let name = part.split(['}', '.']).next().unwrap_or_default();
                            found.insert(name.to_owned());
                        }
                    }
                    _ => references(inside, found),
                }
            }
        }
        _ => {}
    }
}
