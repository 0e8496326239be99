//! What the local AWS decided about permissions, and which of it the project remembers.
//!
//! `local/permissions.jsonl` has every decision that the tests lead to, with everything that differs between two runs
//! replaced. It shows what each role really needs, and a second evaluator and mutations of the policies are tried on it
//! (`local/tests/permissions`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use anyhow::{Context as _, bail};
use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{files::Workspace, parameters::PARAMETERS};

/// The parameters of the application's stack in the local AWS.
#[must_use]
pub fn parameters() -> BTreeMap<String, String> {
    PARAMETERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The remembered decisions, from the project's root.
const REMEMBERED: &str = "local/permissions.jsonl";

/// A question to the policies, and the answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Decision {
    /// The logical ID of the role in `template.yaml`, such as `SettingsApiRole`.
    pub role: String,
    /// The action, such as `ecs:UpdateService`.
    pub action: String,
    /// `Allow`, `Deny`, or `ImplicitDeny`.
    pub decision: String,
    /// The ARN of the resource, or `*`.
    pub resource: String,
    /// The condition keys that any of the policies asks for, in lowercase: texts, or lists of texts.
    pub context: BTreeMap<String, Keys>,
}

/// The value of a condition key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Keys {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Decision {
    /// Whether the call was allowed.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.decision == "Allow"
    }

    /// Who did what to which type of resource, and whether that was allowed.
    fn kind(&self) -> (&str, &str, &str, &str) {
        let name = self.resource.split(':').nth(5).unwrap_or(&self.resource);
        let of_type = name.split('/').next().unwrap_or(name);
        (&self.role, &self.action, &self.decision, of_type)
    }
}

/// The file with the decisions of the last run of all tests.
#[must_use]
pub fn record(workspace: &Workspace) -> PathBuf {
    workspace.state().join("decisions.jsonl")
}

/// The environment variable with the file that gets the decisions. By default, each local AWS has a file of its own.
pub const RECORD: &str = "STAGEDB_LOCAL_DECISIONS";

/// Reads the decisions that the project remembers.
///
/// # Errors
/// The file can't be read.
pub fn remembered(workspace: &Workspace) -> anyhow::Result<BTreeSet<Decision>> {
    let path = workspace.path(REMEMBERED);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("{REMEMBERED}: {line}")))
        .collect()
}

/// Reads what local AWSs have recorded, with everything replaced that differs between two runs. Only the decisions about
/// stagedb's own roles: the others belong to services in the tests.
///
/// # Errors
/// The file can't be read.
pub fn recorded(path: &Path) -> anyhow::Result<BTreeSet<Decision>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut decisions = BTreeSet::new();
    for line in text.lines() {
        let found: Value =
            serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()))?;
        decisions.extend(decision(&found));
    }
    Ok(decisions)
}

/// Compares what the tests led to with what the project remembers.
///
/// # Errors
/// There is a new kind of decision, or one that no test leads to anymore. The message names it. Another name or tag
/// doesn't count, because some depend on what happens at the same time.
pub fn compare(remembered: &BTreeSet<Decision>, recorded: &BTreeSet<Decision>) -> anyhow::Result<()> {
    let (new, gone) = (only_in(recorded, remembered), only_in(remembered, recorded));
    if new.is_empty() && gone.is_empty() {
        return Ok(());
    }
    bail!(
        "the decisions about permissions aren't those in {REMEMBERED}. To accept them: cargo local permissions --accept\nnew:\n  \
         {}\nno test leads to:\n  {}",
        new.join("\n  "),
        gone.join("\n  ")
    )
}

/// The decisions of kinds that are only in the first.
fn only_in(one: &BTreeSet<Decision>, other: &BTreeSet<Decision>) -> Vec<String> {
    let kinds: BTreeSet<_> = other.iter().map(Decision::kind).collect();
    let only = one.iter().filter(|decision| !kinds.contains(&decision.kind()));
    only.map(|decision| serde_json::to_string(decision).unwrap_or_default()).collect()
}

/// Remembers the decisions of one run of all tests: the new ones, and those that were remembered before and of a kind
/// that is still there.
///
/// # Errors
/// The file can't be written.
pub fn accept(
    workspace: &Workspace,
    remembered: &BTreeSet<Decision>,
    recorded: &BTreeSet<Decision>,
) -> anyhow::Result<()> {
    let seen: BTreeSet<_> = recorded.iter().map(Decision::kind).collect();
    let kept = remembered.iter().filter(|decision| seen.contains(&decision.kind()));
    let all: BTreeSet<_> = recorded.iter().chain(kept).collect();
    let mut text = String::new();
    for decision in all {
        text.push_str(&serde_json::to_string(decision)?);
        text.push('\n');
    }
    let path = workspace.path(REMEMBERED);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A decision about one of stagedb's roles.
fn decision(found: &Value) -> Option<Decision> {
    let text = |name: &str| found.get(name).and_then(Value::as_str);
    let role = text("role")?.strip_prefix("stagedb-")?.rsplit_once('-')?.0.to_owned();
    let mut context = BTreeMap::new();
    for (key, value) in found.get("context").and_then(Value::as_object)? {
        let key = key.to_lowercase();
        if !ASKED_FOR.iter().any(|asked| key == *asked) {
            continue;
        }
        let is_tag = key.starts_with("aws:re") && key != "aws:resourcetag/stagedb:attachable";
        let keys = match value {
            Value::Array(values) => {
                let mut all: Vec<_> = values.iter().filter_map(Value::as_str).map(replaced).collect();
                all.sort();
                Keys::Many(all)
            }
            // The policies ask only whether it's there.
            _ if is_tag => Keys::One("any".to_owned()),
            other => Keys::One(replaced(other.as_str().unwrap_or_default())),
        };
        context.insert(key, keys);
    }
    let (action, decision) = (text("action")?.to_owned(), text("decision")?.to_owned());
    Some(Decision { role, action, decision, resource: replaced(text("resource")?), context })
}

/// The condition keys that policies in `template.yaml` ask for. `local/tests/permissions` checks that there are no others.
pub const ASKED_FOR: &[&str] = &[
    "aws:requesttag/stagedb:stage",
    "aws:requesttag/stagedb:stage-stack-id",
    "aws:resourcetag/stagedb:attachable",
    "aws:resourcetag/stagedb:client",
    "aws:resourcetag/stagedb:stack",
    "aws:resourcetag/stagedb:stage",
    "aws:resourcetag/stagedb:stage-stack-id",
    "aws:tagkeys",
    "cloudformation:createaction",
    "cloudformation:rolearn",
    "ec2:createaction",
    "ecs:createaction",
    "events:detail-type",
    "events:source",
    "iam:awsservicename",
    "iam:passedtoservice",
];

/// What is random, and what names one of several stages that are alike.
static REPLACEMENTS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let pairs = [
        ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "00000000-0000-0000-0000-000000000000"),
        ("(secret:[A-Za-z0-9/_+=.@!-]+)-[A-Za-z0-9]{6}$", "$1-AbCdEf"),
        ("(role/stagedb)-([A-Za-z]+)-[0-9A-F]{13}$", "$1-$2"),
        ("(role/demo-[A-Za-z]+)-[0-9A-F]{13}$", "$1"),
        ("(role/team-[A-Za-z]+)(-[A-Za-z0-9]+)*$", "role/team-web"),
        ("(subgrp:[a-z0-9-]+-subnetgroup)-[0-9a-f]{13}$", "$1"),
        ("userpool/([a-z0-9-]+)_[A-Za-z0-9]{9}$", "userpool/${1}_Example"),
        ("(sgr|sg|vpc|subnet)-[0-9a-f]{8,17}", "$1-1"),
        ("-[0-9]{8}-[0-9]{6}-[0-9a-f]{8}", "-20260101-120000-00000000"),
        ("(-before-[0-9-]+)-[0-9a-f]{16}$", "$1-0123456789abcdef"),
        // A generated name that a request asks for.
        ("stack/[A-Za-z0-9-]+/\\*$", "stack/shop-dev/*"),
        ("test-django2", "shop"),
        ("shop([-/])(dev|prod|qa|staging)", "shop${1}dev"),
        ("(dev|prod|qa|staging)-shop", "dev-shop"),
        ("(task/demo)/[0-9a-f]{32}$", "$1/0123456789abcdef0123456789abcdef"),
        ("(client/client)/[0-9a-f]{32}$", "$1/0123456789abcdef0123456789abcdef"),
        ("(execution:stagedb-database:test)-[0-9a-f]{32}$", "$1-0123456789abcdef0123456789abcdef"),
        ("(task-definition/stagedb-shop-dev(-test)?):[0-9]+$", "$1:1"),
        ("(service/demo|task-definition)/(shop-web|shop-worker|shop-dev)", "$1/shop-dev"),
    ];
    pairs.into_iter().filter_map(|(pattern, by)| Some((Regex::new(pattern).ok()?, by))).collect()
});

fn replaced(text: &str) -> String {
    REPLACEMENTS
        .iter()
        .fold(text.to_owned(), |text, (pattern, by)| pattern.replace_all(&text, *by).into_owned())
}

/// What a decision looks like in the file, for a message.
impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} {} on {} with {}",
            self.role,
            self.decision,
            self.action,
            self.resource,
            json!(self.context)
        )
    }
}
