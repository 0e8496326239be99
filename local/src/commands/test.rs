//! `cargo local test`: every test, with all setup.
#![expect(clippy::print_stdout, reason = "the user reads it")]

use std::{
    env, fs,
    process::Command,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use local::{Workspace, as_in_a_shell, check_page, permissions, set_up_tests};

/// How many end-to-end tests run at the same time. Each has its own local AWS, and mostly waits for it.
const END_TO_END_THREADS: &str = "5";

/// Sets up what the tests need, lints the templates, and runs all tests. They share one build. The tests that start a
/// local AWS run at the same time.
pub(crate) fn test() -> anyhow::Result<()> {
    // Before the build, which may replace it.
    let program = env::current_exe().context("cannot find this program")?;
    let workspace = Workspace::find()?;
    set_up_tests(&workspace, |news| println!("{news}"))?;
    let steps = Steps { workspace: &workspace, took: Mutex::default() };

    let mut lint = Command::new(workspace.program("cfn-lint"));
    lint.args(["template.yaml", "stage.yaml", "local/demo.yaml"]);
    steps.time("templates", || steps.show(&mut lint))?;
    // Before the build, which embeds the page.
    steps.time("settings page", || check_page(&workspace, |news| println!("{news}")))?;
    steps.time("build", || {
        for more in [&[][..], &["--test", "end_to_end"]] {
            let mut build = as_in_a_shell(Command::new("cargo"));
            build.args(["test", "--quiet", "--workspace", "--no-run"]).args(more);
            steps.show(&mut build)?;
        }
        Ok(())
    })?;
    let record = permissions::record(&workspace);
    fs::write(&record, "").with_context(|| format!("cannot write {}", record.display()))?;
    // These select targets of the whole workspace. A selection of packages has fewer features, and so another build of the
    // dependencies. The tests without a local AWS give way to those that watch a clock.
    let mut rest = as_in_a_shell(Command::new("nice"));
    rest.args(["cargo", "test", "--workspace"]);
    let mut end_to_end = as_in_a_shell(Command::new("cargo"));
    end_to_end.args(["test", "--workspace", "--test", "end_to_end"]);
    end_to_end.env("RUST_TEST_THREADS", END_TO_END_THREADS).env(permissions::RECORD, &record);
    let mut python = Command::new(workspace.program("python"));
    python.args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "local/aws/tests"]);
    let mut browser = Command::new(program);
    browser.args(["test", "--browser"]).env(permissions::RECORD, &record);
    // The tests of the local AWS watch a clock, too, so they don't run beside the end-to-end tests.
    let mut failed = thread::scope(|scope| {
        let rest = scope.spawn(|| steps.beside([("unit tests and the model of AWS", rest)]));
        let mut failed = steps.beside([("the local AWS", python)]);
        failed.extend(steps.beside([("end-to-end tests", end_to_end), ("browser tests", browser)]));
        failed.extend(rest.join().unwrap_or_else(|_| vec!["the unit tests panicked".to_owned()]));
        failed
    });
    let compared =
        permissions::compare(&permissions::remembered(&workspace)?, &permissions::recorded(&record)?);
    failed.extend(compared.err().map(|error| format!("permissions ({error:#})")));
    steps.print();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// Runs the steps, and remembers how long each took.
struct Steps<'a> {
    workspace: &'a Workspace,
    took: Mutex<Vec<(&'static str, Duration)>>,
}

impl Steps<'_> {
    /// Runs a command, and shows its output as it arrives.
    fn show(&self, command: &mut Command) -> anyhow::Result<()> {
        println!("$ {}", in_words(command));
        let status = command.current_dir(self.workspace.path(".")).status();
        let status = status.with_context(|| format!("cannot run {}", in_words(command)))?;
        if !status.success() {
            bail!("{}: failed", in_words(command));
        }
        Ok(())
    }

    fn time(&self, name: &'static str, step: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let started = Instant::now();
        let done = step();
        self.end(name, started);
        done
    }

    /// Runs steps at the same time, and shows the output of each when it ends. Returns those that failed.
    fn beside<const N: usize>(&self, steps: [(&'static str, Command); N]) -> Vec<String> {
        let run = |name: &'static str, mut command: Command| {
            let started = Instant::now();
            let output = command.current_dir(self.workspace.path(".")).output();
            let output = output.with_context(|| format!("cannot run {}", in_words(&command)))?;
            self.end(name, started);
            println!(
                "$ {}\n{}{}",
                in_words(&command),
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            anyhow::Ok(output.status.success())
        };
        thread::scope(|scope| {
            let started = steps.map(|(name, command)| (name, scope.spawn(move || run(name, command))));
            let mut failed = Vec::new();
            for (name, step) in started {
                match step.join() {
                    Ok(Ok(true)) => {}
                    Ok(Ok(false)) => failed.push(name.to_owned()),
                    Ok(Err(error)) => failed.push(format!("{name} ({error:#})")),
                    Err(_) => failed.push(format!("{name} (it panicked)")),
                }
            }
            failed
        })
    }

    fn end(&self, name: &'static str, started: Instant) {
        self.took.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((name, started.elapsed()));
    }

    fn print(&self) {
        for (name, took) in self.took.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            println!("{name:<36}{:>6} s", took.as_secs());
        }
    }
}

fn in_words(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    [program].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}
