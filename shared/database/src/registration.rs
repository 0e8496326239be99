//! What a stage is registered with.

use serde_json::{Map, Value as Json};

use crate::{
    PlainText, VpcId,
    setting::{InvalidField, InvalidParameter, Need, Rule, Setting, SettingValue, settings},
};

settings! {
    /// Where a stage runs.
    Registration, RegistrationPart {
        /// The VPC of the stage's service.
        vpc_id: VpcId = "vpcId" as "VpcId" {
            need: required,
            rule: Rule::Special,
        }
    }
}

settings! {
    /// The ECS service that a stage runs as.
    Service, ServicePart {
        /// The name or the ARN of the cluster.
        cluster: PlainText = "cluster" as "Cluster" {
            need: required,
            example: "demo",
            rule: Rule::Special,
        }
        /// The name of the service.
        name: PlainText = "name" as "Service" {
            need: required,
            example: "test-django2-dev",
            rule: Rule::Special,
        }
        /// The container in the service's task definition that gets the runtime variables.
        container: PlainText = "container" as "Container" {
            need: required,
            example: "web",
            rule: Rule::Special,
        }
    }
}
