//! The contract between the project's adapters and AWS, checked with the local AWS: the same checks as with the model,
//! so that the model can't drift from the local AWS.

#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use aws::SdkConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use database::Stage;
use local::{LocalAws, Options, Timings};
use model::contract::{Ground, databases, executions, secrets, services, stacks};
use serde_json::Value;

fn config(local: &LocalAws) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(local.endpoint())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .retry_config(aws::retries())
        .timeout_config(aws::timeouts())
        .build()
}

fn ground(local: &LocalAws) -> Ground {
    let resources = local
        .aws(&["cloudformation", "describe-stack-resources", "--stack-name", "test-django2-dev"])
        .unwrap();
    let physical = |logical: &str| {
        let mut all = resources["StackResources"].as_array().unwrap().iter();
        let found = all.find(|resource| resource["LogicalResourceId"] == logical).unwrap();
        found["PhysicalResourceId"].as_str().unwrap().to_owned()
    };
    let machines = local.aws(&["stepfunctions", "list-state-machines"]).unwrap();
    let machine = machines["stateMachines"].as_array().unwrap().iter().find_map(|machine| {
        machine["stateMachineArn"]
            .as_str()
            .filter(|arn| arn.ends_with(":stagedb-database"))
            .map(str::to_owned)
    });
    let described =
        local.aws(&["cloudformation", "describe-stacks", "--stack-name", "test-django2-dev"]).unwrap();
    let parameter = |name: &str| {
        let mut all = described["Stacks"][0]["Parameters"].as_array().unwrap().iter();
        let found = all.find(|parameter| parameter["ParameterKey"] == name).map(|p| &p["ParameterValue"]);
        found.and_then(Value::as_str).unwrap().to_owned()
    };
    Ground {
        config: config(local),
        stage: Stage { stack: "test-django2".try_into().unwrap(), stage: "dev".try_into().unwrap() },
        secret: physical("Secret"),
        subnet_group: physical("SubnetGroup"),
        security_group: physical("DatabaseSecurityGroup"),
        service: service(&parameter("Services")),
        state_machine: machine.unwrap(),
    }
}

/// The cluster, the service, and the container of the first one in a list.
fn service(listed: &str) -> (String, String, String) {
    let mut parts = listed.split(',').next().unwrap().split('/').map(str::to_owned);
    (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn the_local_aws_keeps_the_contract() {
    let timings =
        Timings { rds_create_seconds: Some(1.5), ecs_steady_seconds: Some(1.5), ..Timings::default() };
    let local = LocalAws::start(&Options { demo_stages: true, timings, ..Options::default() }).unwrap();
    let ground = ground(&local);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        stacks(&ground).await;
        secrets(&ground).await;
        services(&ground).await;
        databases(&ground).await;
        executions(&ground).await;
    });
}
