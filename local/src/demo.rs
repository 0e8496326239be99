//! The demo: a stack with two stages, whose ECS services and job are registered with the application.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use crate::cloudformation;
use crate::local_aws::LocalAws;

/// The demo's stack.
pub const DEMO_STACK: &str = "test-django2";
/// The stages of the demo's stack.
pub const DEMO_STAGES: [&str; 2] = ["dev", "prod"];
/// The database settings that the demo saves for a stage.
pub const DEMO_DATABASE: &str =
    r#"{"source":"created","instanceClass":"db.t4g.micro","storageGiB":20,"databaseName":"app"}"#;

/// Deploys `local/demo.yaml`: a network, a cluster, and the stages' services.
pub(crate) fn deploy(local: &LocalAws) -> anyhow::Result<()> {
    let path = local.workspace().path("local/demo.yaml");
    let template = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    cloudformation::create(local.http(), "demo", &template, &[], Duration::from_mins(1)).map(drop)
}

/// Registers both stages with the application, and waits until their rebuilds are complete.
pub(crate) fn register(local: &LocalAws) -> anyhow::Result<()> {
    for stage in DEMO_STAGES {
        let path = format!("/api/stacks/{DEMO_STACK}/stages/{stage}");
        let name = format!("{DEMO_STACK}-{stage}");
        let web = json!({"cluster": "demo", "name": name, "container": "web"});
        let worker = json!({"cluster": "demo", "name": format!("{name}-worker"), "container": "worker"});
        let migrate = json!({"family": format!("{name}-migrate"), "container": "migrate"});
        let body = match stage {
            "dev" => json!({"services": [web, worker], "jobs": [migrate]}),
            _ => json!({"services": [web]}),
        };
        let answer = local.api("PUT", &path, Some(&body))?;
        if ![200, 201, 202].contains(&answer.status) {
            bail!("PUT {path}: {}", answer.in_words());
        }
    }
    for stage in DEMO_STAGES {
        local.wait_for_rebuild(DEMO_STACK, stage, |_| ())?;
    }
    Ok(())
}
