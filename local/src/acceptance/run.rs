//! The walk through the whole life cycle, and what it finds out.
#![expect(clippy::indexing_slicing, reason = "what isn't in a JSON value reads as null")]

mod looks;

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{
    account::{Account, Place},
    findings::Findings,
    names::{APP, INSTANCE, NAME, STACK, STAGE, THEIRS, USERNAME},
};
use crate::{ApiAnswer, Rebuild};

/// Longer than RDS takes for anything here.
const LIMIT: Duration = Duration::from_mins(45);

/// An access token, and since when it's valid.
struct Token {
    text: String,
    since: Instant,
}

/// Half as long as a token is valid.
const TOKEN_USED: Duration = Duration::from_mins(7);

/// A step of the walk and how long it took.
pub(super) struct Lap {
    pub(super) what: &'static str,
    pub(super) took: Duration,
}

/// The walk.
pub(super) struct Run<'a> {
    account: &'a Account,
    url: String,
    token: RefCell<Token>,
    pool: String,
    client: String,
    password: String,
    pub(super) findings: RefCell<Findings>,
    pub(super) laps: RefCell<Vec<Lap>>,
}

impl<'a> Run<'a> {
    /// Starts with what was deployed.
    pub(super) fn new(account: &'a Account, password: &str) -> anyhow::Result<Self> {
        let url = output(account, NAME, "ApiUrl")?;
        let url = match &account.place {
            Place::Local(local) => local.reachable(&url)?,
            Place::Aws { .. } => url,
        };
        let pool = output(account, NAME, "UserPoolId")?;
        let client = output(account, NAME, "UserPoolClientId")?;
        let token = RefCell::new(sign_in(account, &pool, &client, password)?);
        Ok(Self {
            account,
            url,
            token,
            pool,
            client,
            password: password.to_owned(),
            findings: RefCell::default(),
            laps: RefCell::default(),
        })
    }

    /// Goes through everything.
    pub(super) fn walk(&self) -> anyhow::Result<()> {
        let first = self.find("the service-linked role of RDS exists before", || {
            Ok(self
                .account
                .aws(&["iam", "get-role", "--role-name", "AWSServiceRoleForRDS"])
                .is_ok()
                .to_string())
        });
        self.step("look at the sign-in", Self::sign_in_findings)?;
        first?;
        self.step("register", Self::register)?;
        self.step("create a database", Self::create)?;
        self.step("resize it", Self::resize)?;
        self.step("refuse what is impossible", Self::refuse)?;
        self.step("deploy without the variables", Self::deploy_without_variables)?;
        self.step("deploy with the team's own stack", Self::deploy_with_cloudformation)?;
        self.step("cancel an update", Self::cancel)?;
        self.step("upgrade it", Self::upgrade)?;
        self.step("remove it", Self::remove)?;
        self.step("attach another", Self::attach)?;
        self.step("detach it", Self::detach)?;
        self.step("restore the first", Self::restore)?;
        self.step("remove it again", Self::remove)?;
        self.step("delete the stage", Self::delete)
    }

    fn step(&self, what: &'static str, step: impl FnOnce(&Self) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.account.note(&format!("---- {what}"))?;
        let since = Instant::now();
        step(self).with_context(|| format!("could not {what}"))?;
        self.laps.borrow_mut().push(Lap { what, took: since.elapsed() });
        Ok(())
    }

    fn find(&self, name: &str, look: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<()> {
        let seen = look()?;
        self.account.note(&format!("found: {name}: {seen}"))?;
        self.findings.borrow_mut().add(name, seen);
        Ok(())
    }

    // ---- Signing in

    fn sign_in_findings(&self) -> anyhow::Result<()> {
        self.find("a token of the admin flow is accepted by the API", || {
            Ok(self.api("GET", "/api/stacks", None)?.status.to_string())
        })?;
        self.find("what failed in the first deployment", || {
            let failed: Vec<_> =
                self.stack_events(NAME)?.into_iter().filter(|event| event.ends_with("_FAILED")).collect();
            Ok(if failed.is_empty() { "nothing".to_owned() } else { failed.join(", ") })
        })?;
        self.find("the API without a token", || {
            let answer = self.account.api(&self.url, "none", "GET", "/api/stacks", None)?;
            Ok(answer.status.to_string())
        })
    }

    // ---- The API

    fn api(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<ApiAnswer> {
        if self.token.borrow().since.elapsed() > TOKEN_USED {
            *self.token.borrow_mut() = sign_in(self.account, &self.pool, &self.client, &self.password)?;
        }
        self.account.api(&self.url, &self.token.borrow().text, method, path, body)
    }

    fn stage(
        &self,
        method: &str,
        rest: &str,
        body: Option<&Value>,
        expected: u16,
    ) -> anyhow::Result<ApiAnswer> {
        let path = format!("/api/stacks/{STACK}/stages/{STAGE}{rest}");
        let answer = self.api(method, &path, body)?;
        ensure!(answer.status == expected, "{method} {path}: expected {expected}: {}", answer.in_words());
        Ok(answer)
    }

    /// Waits for the end of the rebuild.
    fn follow(&self, expected: &str) -> anyhow::Result<()> {
        let rebuild = self.account.until("the rebuild", LIMIT, || {
            let answer = self.stage("GET", "/rebuild", None, 200)?;
            let rebuild: Rebuild = serde_json::from_value(answer.body)?;
            Ok((!["updating", "redeploying"].contains(&rebuild.phase.as_str())).then_some(rebuild))
        })?;
        let reason = rebuild.reason.unwrap_or_default();
        ensure!(rebuild.phase == expected, "the rebuild ended as {}: {reason}", rebuild.phase);
        Ok(())
    }

    fn save(&self, settings: &Value) -> anyhow::Result<()> {
        self.stage("PUT", "/database", Some(settings), 202)?;
        self.follow("complete")
    }

    // ---- The steps

    fn register(&self) -> anyhow::Result<()> {
        let body = json!({"services": [{"cluster": NAME, "name": "web", "container": "web"}]});
        self.stage("PUT", "", Some(&body), 202)?;
        self.follow("complete")?;
        self.find("a stage stack has termination protection", || {
            Ok(self.stage_stack()?["EnableTerminationProtection"].to_string())
        })
    }

    fn create(&self) -> anyhow::Result<()> {
        let preview = self.stage("POST", "/database/preview", Some(&created()), 200)?;
        self.find("a preview lists changes", || Ok((!preview.body["changes"].is_null()).to_string()))?;
        self.save(&created())?;
        self.connect("app")?;
        self.find("a copy of a task definition differs in", || self.differences())?;
        self.find("the tags of a created instance", || self.tags_of_instance())?;
        self.find("the events of a created instance", || self.events_of_instance())?;
        let since = Instant::now();
        self.api("GET", "/api/instance-classes", None)?;
        let took = since.elapsed();
        self.find("the orderable classes are listed within 29 s", || {
            Ok((took < Duration::from_secs(29)).to_string())
        })
    }

    fn resize(&self) -> anyhow::Result<()> {
        let mut settings = created();
        settings["storageGiB"] = json!(22);
        settings["instanceClass"] = json!("db.t4g.small");
        self.save(&settings)?;
        self.connect("app")
    }

    fn refuse(&self) -> anyhow::Result<()> {
        let mut smaller = created();
        smaller["storageGiB"] = json!(20);
        smaller["instanceClass"] = json!("db.t4g.small");
        let answer = self.stage("PUT", "/database", Some(&smaller), 422)?;
        self.find("less storage is refused", || Ok(answer.body["errors"][0]["pointer"].to_string()))
    }

    fn deploy_without_variables(&self) -> anyhow::Result<()> {
        let definition = output(self.account, APP, "DefinitionArn")?;
        self.purge()?;
        self.account.aws(&[
            "ecs",
            "update-service",
            "--cluster",
            NAME,
            "--service",
            "web",
            "--task-definition",
            &definition,
        ])?;
        let since = Instant::now();
        self.account.until("the variables are restored", Duration::from_mins(10), || {
            Ok((self.variables()?.len() == 5).then_some(()))
        })?;
        self.account
            .note(&format!("the variables were restored after {:.1} s", since.elapsed().as_secs_f64()))?;
        self.steady()?;
        self.find("the events of a deployment that is restored", || self.deployment_events())
    }

    /// The team's stack owns the service. While CloudFormation waits for its deployment, stagedb deploys the service again.
    fn deploy_with_cloudformation(&self) -> anyhow::Result<()> {
        self.account.aws(&[
            "cloudformation",
            "update-stack",
            "--stack-name",
            APP,
            "--use-previous-template",
            "--capabilities",
            "CAPABILITY_NAMED_IAM",
            "--parameters",
            "ParameterKey=Version,ParameterValue=2",
            "ParameterKey=Password,UsePreviousValue=true",
            "ParameterKey=Image,UsePreviousValue=true",
        ])?;
        let status = self.account.until("the update of the team's stack", LIMIT, || {
            let stack = self.account.aws(&["cloudformation", "describe-stacks", "--stack-name", APP])?;
            let status = stack["Stacks"][0]["StackStatus"].as_str().unwrap_or_default().to_owned();
            Ok((!status.ends_with("_IN_PROGRESS")).then_some(status))
        })?;
        self.find("CloudFormation says about a service that stagedb deployed again", || Ok(status))?;
        self.account.until("the variables are restored", Duration::from_mins(10), || {
            Ok((self.variables()?.len() == 5).then_some(()))
        })?;
        self.steady()
    }

    /// An update of the stage is canceled while RDS changes the instance.
    fn cancel(&self) -> anyhow::Result<()> {
        let mut settings = created();
        settings["storageGiB"] = json!(22);
        self.stage("PUT", "/database", Some(&settings), 202)?;
        let name = self.stage_stack()?["StackId"].as_str().unwrap_or_default().to_owned();
        self.account.until("the instance changes", LIMIT, || {
            let events = self.last_operation(&name)?;
            Ok(events.iter().any(|event| event == "Database UPDATE_IN_PROGRESS").then_some(()))
        })?;
        self.account.aws(&["cloudformation", "cancel-update-stack", "--stack-name", &name])?;
        self.follow("rolled-back")?;
        self.find("the events of a canceled update", || Ok(self.last_operation(&name)?.join(", ")))?;
        self.connect("app")
    }

    fn upgrade(&self) -> anyhow::Result<()> {
        let mut settings = created();
        settings["storageGiB"] = json!(22);
        settings["instanceClass"] = json!("db.t4g.small");
        settings["engineVersion"] = json!("17");
        settings["confirm"] = json!(INSTANCE);
        self.save(&settings)?;
        self.connect("app")
    }

    fn remove(&self) -> anyhow::Result<()> {
        self.stage("DELETE", "/database", Some(&json!({"confirm": INSTANCE})), 202)?;
        self.follow("complete")?;
        ensure!(self.variables()?.is_empty(), "the container still has variables");
        let snapshots = self.stage("GET", "/snapshots", None, 200)?;
        ensure!(
            snapshots.body["snapshots"].as_array().is_some_and(|all| !all.is_empty()),
            "no final snapshot"
        );
        Ok(())
    }

    fn attach(&self) -> anyhow::Result<()> {
        self.account.until("the other database is available", LIMIT, || {
            let find = ["rds", "describe-db-instances", "--db-instance-identifier", THEIRS];
            let found = self.account.aws(&find)?;
            Ok((found["DBInstances"][0]["DBInstanceStatus"] == "available").then_some(()))
        })?;
        let arn = output(self.account, APP, "CredentialsArn")?;
        self.save(&json!({
            "source": "attached", "identifier": THEIRS, "databaseName": "orders",
            "credentials": {"secretArn": arn},
        }))?;
        self.connect("orders")
    }

    fn detach(&self) -> anyhow::Result<()> {
        let confirm = json!({"confirm": THEIRS});
        self.stage("DELETE", "/database", Some(&confirm), 202)?;
        self.follow("complete")?;
        ensure!(self.variables()?.is_empty(), "the container still has variables");
        Ok(())
    }

    fn restore(&self) -> anyhow::Result<()> {
        let snapshots = self.stage("GET", "/snapshots", None, 200)?.body;
        let newest = snapshots["snapshots"][0]["identifier"].as_str().context("no snapshot")?.to_owned();
        let settings = json!({
            "source": "created", "instanceClass": "db.t4g.micro", "storageGiB": 22, "databaseName": "app", "fromSnapshot": newest,
        });
        self.save(&settings)?;
        self.connect("app")?;
        self.find("the tags of a restored instance", || self.tags_of_instance())
    }

    fn delete(&self) -> anyhow::Result<()> {
        let id = self.stage_stack()?["StackId"].as_str().unwrap_or_default().to_owned();
        self.stage("DELETE", "", Some(&json!({"confirm": format!("{STACK}/{STAGE}")})), 202)?;
        self.account.until("the stage stack is deleted", LIMIT, || {
            let stack = self.account.aws(&["cloudformation", "describe-stacks", "--stack-name", &id]);
            match stack {
                Ok(stack) => Ok((stack["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE").then_some(())),
                Err(_) => Ok(Some(())),
            }
        })?;
        self.find("a deleted stack can be described by its ARN", || {
            Ok(self
                .account
                .aws(&["cloudformation", "describe-stacks", "--stack-name", &id])
                .is_ok()
                .to_string())
        })
    }
}

/// The settings of the database that is created first.
fn created() -> Value {
    json!({
        "source": "created", "instanceClass": "db.t4g.micro", "storageGiB": 20, "databaseName": "app", "engineVersion": "16",
    })
}

fn sign_in(account: &Account, pool: &str, client: &str, password: &str) -> anyhow::Result<Token> {
    let since = Instant::now();
    let parameters = format!("USERNAME={USERNAME},PASSWORD={password}");
    let client = ["--user-pool-id", pool, "--client-id", client];
    let flow = ["--auth-flow", "ADMIN_USER_PASSWORD_AUTH", "--auth-parameters", &parameters];
    let answer = account.aws(&[&["cognito-idp", "admin-initiate-auth"][..], &client, &flow].concat())?;
    let token = answer.pointer("/AuthenticationResult/AccessToken").and_then(Value::as_str);
    let text = token.context("Cognito returned no access token")?.to_owned();
    account.hide(&text);
    Ok(Token { text, since })
}

/// An output of a stack.
pub(super) fn output(account: &Account, stack: &str, name: &str) -> anyhow::Result<String> {
    let stacks = account.aws(&["cloudformation", "describe-stacks", "--stack-name", stack])?;
    let outputs = stacks["Stacks"][0]["Outputs"].as_array().cloned().unwrap_or_default();
    let found = outputs.iter().find(|output| output["OutputKey"] == name);
    let value = found.and_then(|output| output["OutputValue"].as_str());
    Ok(value.with_context(|| format!("the stack {stack} has no output {name}"))?.to_owned())
}
