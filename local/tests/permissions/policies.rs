//! The policies of the roles in `template.yaml`, as CloudFormation makes them from the local AWS's parameters.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use serde_yaml_ng::Value as Yaml;

const PARTITION: &str = "aws";
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";

/// AWS's managed policies: the one that SAM gives to every function, and the one of execution roles. Nobody can take anything away
/// from them.
pub(crate) const MANAGED: [&str; 2] = ["AWSLambdaBasicExecutionRole", "AmazonECSTaskExecutionRolePolicy"];

/// The statements of each role, by its logical ID.
pub(crate) type Policies = BTreeMap<String, Vec<Value>>;

/// Reads the policies of every role in a template.
pub(crate) fn of(template: &str, parameters: &BTreeMap<String, String>) -> Policies {
    let template: Yaml = serde_yaml_ng::from_str(template).unwrap();
    let resources = template["Resources"].as_mapping().unwrap();
    let stack = Stack { resources: &template["Resources"], parameters };
    let mut policies = Policies::new();
    for (name, resource) in resources {
        let (name, properties) = (name.as_str().unwrap(), &resource["Properties"]);
        let (role, documents): (_, Vec<&Yaml>) = match resource["Type"].as_str().unwrap() {
            "AWS::Serverless::Function" | "AWS::Serverless::StateMachine" => {
                (format!("{name}Role"), properties["Policies"].as_sequence().into_iter().flatten().collect())
            }
            "AWS::IAM::Role" => {
                let all = properties["Policies"].as_sequence().into_iter().flatten();
                (name.to_owned(), all.map(|policy| &policy["PolicyDocument"]).collect())
            }
            _ => continue,
        };
        let statements =
            documents.iter().filter_map(|document| document["Statement"].as_sequence()).flatten();
        let mut statements: Vec<_> = statements.filter_map(|statement| stack.resolved(statement)).collect();
        let logs = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:CreateLogGroup"];
        let [of_functions, of_tasks] = MANAGED;
        let allow = |sid: &str, actions: &[&str]| json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": "*"});
        if resource["Type"] == "AWS::Serverless::Function" {
            statements.push(allow(of_functions, &logs));
        } else if !properties["ManagedPolicyArns"].is_null() {
            statements.push(allow(of_tasks, &logs[..2]));
        }
        policies.insert(role, statements);
        // SAM makes a role for each schedule.
        for (event, about) in properties["Events"].as_mapping().into_iter().flatten() {
            if about["Type"].as_str() == Some("ScheduleV2") {
                let role = format!("{name}{}Role", event.as_str().unwrap());
                let arn = stack.called("!GetAtt", &format!("{name}.Arn").into()).unwrap();
                let call = json!({"Sid": "Call", "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn});
                policies.insert(role, vec![call]);
            }
        }
    }
    policies
}

/// A statement's `Action` or `Resource`, as a list.
pub(crate) fn list(statement: &Value, name: &str) -> Vec<String> {
    match &statement[name] {
        Value::Array(all) => all.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

struct Stack<'a> {
    resources: &'a Yaml,
    parameters: &'a BTreeMap<String, String>,
}

impl Stack<'_> {
    /// The value without CloudFormation's functions. `None` for `AWS::NoValue`.
    fn resolved(&self, value: &Yaml) -> Option<Value> {
        Some(match value {
            Yaml::Tagged(tagged) => return self.called(&tagged.tag.to_string(), &tagged.value),
            Yaml::Mapping(mapping) => {
                let pair =
                    |(key, value): (&Yaml, &Yaml)| Some((key.as_str()?.to_owned(), self.resolved(value)?));
                Value::Object(mapping.iter().filter_map(pair).collect::<Map<_, _>>())
            }
            Yaml::Sequence(all) => {
                // A list in a list is one parameter with several values.
                let flat = |value: Value| match value {
                    Value::Array(all) => all,
                    one => vec![one],
                };
                Value::Array(all.iter().filter_map(|value| self.resolved(value)).flat_map(flat).collect())
            }
            plain => serde_json::to_value(plain).unwrap(),
        })
    }

    fn called(&self, function: &str, argument: &Yaml) -> Option<Value> {
        match function {
            "!Ref" => self.reference(argument.as_str().unwrap()),
            "!GetAtt" => Some(json!(self.arn(argument.as_str().unwrap().strip_suffix(".Arn").unwrap()))),
            "!Sub" => Some(json!(self.substituted(argument.as_str().unwrap()))),
            // Every condition of the template is true with the local AWS's parameters.
            "!If" => self.resolved(&argument[1]),
            other => panic!("policies.rs can't resolve {other}"),
        }
    }

    fn reference(&self, name: &str) -> Option<Value> {
        match (name, self.parameters.get(name)) {
            ("AWS::NoValue", _) => None,
            ("AWS::Region", _) => Some(json!(REGION)),
            (_, Some(value)) if value.contains(',') => Some(json!(value.split(',').collect::<Vec<_>>())),
            (_, Some(value)) => Some(json!(value)),
            (resource, None) => Some(json!(self.arn(resource))),
        }
    }

    fn substituted(&self, text: &str) -> String {
        let mut done = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').unwrap();
            done.push_str(before);
            done.push_str(&match name {
                "AWS::Partition" => PARTITION.to_owned(),
                "AWS::Region" => REGION.to_owned(),
                "AWS::AccountId" => ACCOUNT.to_owned(),
                "AWS::StackName" => "stagedb".to_owned(),
                name => match self.parameters.get(name) {
                    Some(value) => value.clone(),
                    None => self.arn(name.strip_suffix(".Arn").unwrap_or(name)),
                },
            });
            rest = after;
        }
        done + rest
    }

    fn arn(&self, resource: &str) -> String {
        let found = &self.resources[resource];
        let name = |property: &str| {
            self.resolved(&found["Properties"][property]).unwrap().as_str().unwrap().to_owned()
        };
        let (service, rest) = match found["Type"].as_str().unwrap_or_default() {
            "AWS::Serverless::Function" => ("lambda", format!("function:{}", name("FunctionName"))),
            "AWS::Serverless::StateMachine" => ("states", format!("stateMachine:{}", name("Name"))),
            "AWS::IAM::Role" => return format!("arn:{PARTITION}:iam::{ACCOUNT}:role/stagedb-{resource}"),
            // The names that the local AWS gives them.
            "AWS::Logs::LogGroup" => ("logs", format!("log-group:/aws/cloudformation/stagedb/{resource}:*")),
            "AWS::Cognito::UserPool" => ("cognito-idp", format!("userpool/{REGION}_Example")),
            other => panic!("policies.rs doesn't know the ARN of {resource}, a {other}"),
        };
        format!("arn:{PARTITION}:{service}:{REGION}:{ACCOUNT}:{rest}")
    }
}
