//! An acceptance run: the whole life cycle in a real account, or in the local AWS, and what is different between the two.
//!
//! It deploys a release under its own name, in a network of its own, and removes everything at the end.

mod account;
mod cleanup;
mod findings;
mod names;
mod report;
mod run;

use std::{
    fs,
    io::{BufRead as _, Write as _},
    path::PathBuf,
};

use account::{Account, Place};
use anyhow::{Context as _, bail, ensure};
use findings::{Compared, Findings};
use names::{APP, NAME, THEIRS, USERNAME};
use report::{Told, report};
use run::Run;

use crate::{Build, LocalAws, Options, Workspace, cognito, interrupt, python, release};

/// The template of the stack with what the run needs besides.
const APP_TEMPLATE: &str = include_str!("acceptance/app.yaml");
/// What the local AWS did, from the project's root.
const REMEMBERED: &str = "local/acceptance.json";

/// The report of a run in the local AWS, from the project's root.
const EXAMPLE: &str = "docs/acceptance.md";

/// Where and how to run.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// In the local AWS instead of a real account.
    pub is_local: bool,
    /// The profile of the AWS CLI.
    pub profile: Option<String>,
    /// The Region.
    pub region: Option<String>,
    /// Only remove what an earlier run has left.
    pub clean_up: bool,
    /// Remember what the local AWS does, and keep its report.
    pub accept: bool,
}

/// What it says before it starts.
const PLAN: &str = "\
This creates, in the account {account} and the Region {region}:
  - the stack stagedb-acceptance-app: a VPC, an ECS cluster with one Fargate task, a db.t4g.micro, a queue, and a role
  - the stack stagedb-acceptance: stagedb, as for users
  - the stage stagedb-acceptance/test: a db.t4g.micro, later a db.t4g.small, with 20 to 22 GiB, and two final snapshots
  - a bucket for the functions
It takes about 2 hours, and costs less than 3 USD. Everything is removed at the end, also after Ctrl-C.
";

/// Runs it.
///
/// # Errors
/// It can't start, or something didn't go as it should. The report says what was seen until then.
pub fn accept(options: &Acceptance, say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let folder = workspace.path("target/acceptance");
    let place = if options.is_local {
        let started = LocalAws::start(&Options { page: true, ..Options::default() })?;
        Place::Local(Box::new(started))
    } else {
        python::make(&workspace, || {
            say("creating the Python environment (only once; takes about a minute)");
        })?;
        let region = options.region.clone().context("--region is required, for example us-east-1")?;
        Place::Aws { profile: options.profile.clone(), region }
    };
    let account = Account::new(&workspace, place, &folder.join("transcript.txt"))?;
    if options.clean_up {
        let left = cleanup::leftovers(&account)?;
        ensure!(!left.is_empty(), "no acceptance run has left anything");
        confirm(
            &account,
            &format!("This deletes, in {{account}} and {{region}}:\n  - {}\n", left.join("\n  - ")),
            say,
        )?;
        return finished(&cleanup::clean_up(&account)?);
    }
    check_before(&account)?;
    if !options.is_local {
        confirm(&account, PLAN, say)?;
    }

    say("making a release");
    let build = if options.is_local { Build::Quick } else { Build::Arm64 };
    let made = release(&workspace, build, &folder.join("release"), say)?;
    let password = cognito::random_password()?;
    account.hide(&password);
    let mut findings = Findings::default();
    let mut laps = Vec::new();
    let mut walk = || {
        deploy(&account, &made.folder, &password, say)?;
        let run = Run::new(&account, &password)?;
        let walked = run.walk();
        findings = run.findings.into_inner();
        laps = run.laps.into_inner();
        walked
    };
    let walked = walk();
    if walked.is_err() && interrupt::requested() {
        say("interrupted; removing everything (press Ctrl-C again to leave it)");
        interrupt::resume();
    }
    say("removing everything");
    let left = cleanup::clean_up(&account)?;

    let remembered = Findings::read(&workspace.path(REMEMBERED))?;
    let compared = findings.compared_with(&remembered);
    let told = Told {
        place: if options.is_local { "the local AWS".to_owned() } else { "AWS".to_owned() },
        date: today()?,
        failure: walked.as_ref().err().map(|error| format!("{error:#}")),
        laps: &laps,
        compared: &compared,
        left: &left,
    };
    let path = folder.join("report.md");
    let text = report(&told);
    account.check_secrets(&text)?;
    fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    say(&format!("the report is in {}", path.display()));
    walked?;
    finished(&left)?;
    if options.is_local && options.accept {
        fs::write(workspace.path(EXAMPLE), &text).with_context(|| format!("cannot write {EXAMPLE}"))?;
        return findings.write(&workspace.path(REMEMBERED));
    }
    let different: Vec<_> = compared.iter().filter(|compared| !compared.is_same()).map(name).collect();
    if options.is_local && !different.is_empty() {
        bail!("the local AWS no longer does what {REMEMBERED} says: {}", different.join(", "));
    }
    Ok(())
}

fn name(compared: &Compared) -> &str {
    &compared.name
}

fn finished(left: &[String]) -> anyhow::Result<()> {
    ensure!(left.is_empty(), "these are still there: {}. Run it with --clean-up", left.join(", "));
    Ok(())
}

/// Whether a run in this local AWS could start. It changes nothing.
///
/// # Errors
/// Why it can't.
pub fn can_start(local: LocalAws) -> anyhow::Result<()> {
    let (workspace, transcript) = (local.workspace().clone(), local.run_dir().join("transcript.txt"));
    check_before(&Account::new(&workspace, Place::Local(Box::new(local)), &transcript)?)
}

/// Whether the run can start. It changes nothing.
fn check_before(account: &Account) -> anyhow::Result<()> {
    account.aws(&["sts", "get-caller-identity"]).context("the credentials aren't valid")?;
    let reads: [&[&str]; 5] = [
        &["ec2", "describe-vpcs"],
        &["ecs", "list-clusters"],
        &["iam", "list-roles", "--max-items", "1"],
        &["secretsmanager", "list-secrets", "--max-items", "1"],
        &["sqs", "list-queues"],
    ];
    for read in reads {
        account.aws(read).context("the credentials may not do this, so nothing was created")?;
    }
    let left =
        cleanup::leftovers(account).context("the credentials may not do this, so nothing was created")?;
    ensure!(
        left.is_empty(),
        "nothing was created, because an acceptance run has left {}. Run it with --clean-up first",
        left.join(", ")
    );
    Ok(())
}

/// Asks the user to type the account ID.
fn confirm(account: &Account, plan: &str, say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let Place::Aws { region, .. } = &account.place else { return Ok(()) };
    let id = account.id()?;
    say(&plan.replace("{account}", &id).replace("{region}", region));
    say("Type the account ID to go on:");
    std::io::stdout().flush()?;
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    ensure!(typed.trim() == id, "nothing was created, because {:?} isn't the account ID", typed.trim());
    Ok(())
}

fn deploy(
    account: &Account,
    folder: &std::path::Path,
    password: &str,
    say: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let app = folder.with_file_name("app.yaml");
    fs::write(&app, APP_TEMPLATE)?;
    let file = |path: PathBuf| path.to_string_lossy().into_owned();
    say("deploying a network, a service, and a database of another team");
    account.run(&[
        "cloudformation",
        "deploy",
        "--stack-name",
        APP,
        "--template-file",
        &file(app),
        "--capabilities",
        "CAPABILITY_NAMED_IAM",
        "--tags",
        "stagedb-acceptance=true",
        "--parameter-overrides",
        &format!("Password={password}"),
    ])?;
    create_their_database(account, password)?;
    let bucket = account.bucket()?;
    let region = match &account.place {
        Place::Aws { region, .. } if region != "us-east-1" => Some(format!("LocationConstraint={region}")),
        Place::Aws { .. } | Place::Local(_) => None,
    };
    let create = ["s3api", "create-bucket", "--bucket", &bucket];
    let elsewhere: Vec<&str> =
        region.iter().flat_map(|region| ["--create-bucket-configuration", region.as_str()]).collect();
    account.aws(&[&create[..], &elsewhere].concat())?;
    say("deploying stagedb");
    let (template, packaged) = (folder.join("template.yaml"), folder.join("packaged.yaml"));
    account.run(&[
        "cloudformation",
        "package",
        "--template-file",
        &file(template),
        "--s3-bucket",
        &bucket,
        "--output-template-file",
        &file(packaged.clone()),
    ])?;
    let roles = run::output(account, APP, "ExecutionRoleArn")?;
    account.run(&[
        "cloudformation",
        "deploy",
        "--template-file",
        &file(packaged),
        "--s3-bucket",
        &bucket,
        "--stack-name",
        NAME,
        "--capabilities",
        "CAPABILITY_IAM",
        "CAPABILITY_AUTO_EXPAND",
        "--tags",
        "stagedb-acceptance=true",
        "--parameter-overrides",
        &format!("TaskRoles={roles}"),
    ])?;
    let pool = run::output(account, NAME, "UserPoolId")?;
    let user = ["--user-pool-id", &pool, "--username", USERNAME];
    let create = ["cognito-idp", "admin-create-user", "--message-action", "SUPPRESS"];
    account.aws(&[&create[..], &user].concat())?;
    let set = ["cognito-idp", "admin-set-user-password", "--permanent", "--password", password];
    account.aws(&[&set[..], &user].concat())?;
    let add = ["cognito-idp", "admin-add-user-to-group", "--group-name", cognito::ADMINS];
    account.aws(&[&add[..], &user].concat()).map(drop)
}

/// Another team's database. It's ready long before it's attached.
fn create_their_database(account: &Account, password: &str) -> anyhow::Result<()> {
    let group = run::output(account, APP, "DatabaseSecurityGroupId")?;
    let subnets = run::output(account, APP, "DatabaseSubnets")?;
    let create = [
        "rds",
        "create-db-instance",
        "--db-instance-identifier",
        THEIRS,
        "--engine",
        "postgres",
        "--engine-version",
        "17",
        "--db-instance-class",
        "db.t4g.micro",
        "--allocated-storage",
        "20",
        "--backup-retention-period",
        "0",
        "--no-publicly-accessible",
        "--db-name",
        "orders",
        "--master-username",
        "clerk",
        "--master-user-password",
        password,
        "--db-subnet-group-name",
        &subnets,
        "--vpc-security-group-ids",
        &group,
        "--tags",
        "Key=stagedb-acceptance,Value=true",
    ];
    account.aws(&create).map(drop)
}

fn today() -> anyhow::Result<String> {
    let mut command = std::process::Command::new("date");
    let output = crate::process::run(command.arg("+%Y-%m-%d"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
