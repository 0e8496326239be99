//! How long the list of services takes in an account with many of them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use local::LocalAws;
use serde_json::{Value, json};

use super::median::median;

const ECS: &str = "AmazonEC2ContainerServiceV20141113";
/// The number of services in the account.
const SERVICES: u32 = 1000;

/// The figures.
pub(crate) struct Figures {
    /// The median time of the first page.
    pub(crate) first_page: Duration,
    /// The time of all pages, one after the other.
    pub(crate) all_pages: Duration,
    /// The number of pages.
    pub(crate) pages: u32,
}

/// Creates the services, without tasks, and reads the list.
pub(crate) fn measure(local: &LocalAws, repeats: usize) -> anyhow::Result<Figures> {
    let asked = json!({"cluster": "demo", "services": ["test-django2-dev"]});
    let answer = local.post_json(&format!("{ECS}.DescribeServices"), &asked)?;
    let model = answer.pointer("/services/0").context("the demo has a service")?;
    let of_model = |name: &str| model.get(name).cloned().unwrap_or_default();
    for number in 0..SERVICES {
        let service = json!({
            "cluster": "demo", "serviceName": format!("service-{number}"), "desiredCount": 0, "launchType": "FARGATE",
            "taskDefinition": of_model("taskDefinition"), "networkConfiguration": of_model("networkConfiguration"),
        });
        local.post_json(&format!("{ECS}.CreateService"), &service)?;
    }
    let first_page = median((0..repeats).map(|_| {
        let started = Instant::now();
        page(local, None)?;
        Ok(started.elapsed())
    }))?;
    let (started, mut pages, mut token) = (Instant::now(), 0, None);
    loop {
        pages += 1;
        token = page(local, token.as_deref())?;
        if token.is_none() {
            break;
        }
    }
    Ok(Figures { first_page, all_pages: started.elapsed(), pages })
}

/// Reads a page, and returns the token for the next one.
fn page(local: &LocalAws, token: Option<&str>) -> anyhow::Result<Option<String>> {
    let query = token.map(|token| format!("?nextToken={token}")).unwrap_or_default();
    let answer = local.api("GET", &format!("/api/services{query}"), None)?;
    if answer.status != 200 {
        bail!("GET /api/services: {}", answer.in_words());
    }
    Ok(answer.body.get("nextToken").and_then(Value::as_str).map(str::to_owned))
}
