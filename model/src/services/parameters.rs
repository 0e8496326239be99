//! Systems Manager: parameters, with every version.

use std::collections::BTreeMap;

use serde_json::json;

use crate::base::wire::{Call, Failure, Reply};

#[derive(Debug, Default, Clone)]
pub(crate) struct Parameters {
    /// The values of each parameter, oldest first.
    versions: BTreeMap<String, Vec<String>>,
}

impl Parameters {
    /// The tokens of all changes of protections.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = String> {
        self.versions.values().flatten().filter_map(|value| Some(value.split_once(' ')?.1.to_owned()))
    }

    pub(crate) fn call(&mut self, call: &Call) -> Result<Reply, Failure> {
        let name = call.text("Name").unwrap_or_default();
        if call.operation == "PutParameter" {
            let versions = self.versions.entry(name.to_owned()).or_default();
            versions.push(call.text("Value").unwrap_or_default().to_owned());
            return Ok(Reply::Json(json!({"Version": versions.len()})));
        }
        let Some(versions) = self.versions.get(name) else {
            return Err(Failure::new(400, "ParameterNotFound", ""));
        };
        match call.operation.as_str() {
            "GetParameter" => Ok(Reply::Json(json!({"Parameter": {"Name": name, "Value": versions.last()}}))),
            "GetParameterHistory" => {
                let version = |value: &String| json!({"Name": name, "Value": value});
                let versions: Vec<_> = versions.iter().map(version).collect();
                Ok(Reply::Json(json!({"Parameters": versions})))
            }
            other => Err(Failure::new(400, "UnknownOperationException", other)),
        }
    }
}
