//! `cargo local test`: every test there is, with all set-up.
#![expect(clippy::print_stdout, reason = "a person reads it")]

use std::process::Command;

use anyhow::{Context as _, bail};
use local::{Workspace, set_up_tests};

/// Sets up what the tests need, then lints the templates and runs the tests of the Rust and the Python parts and of the
/// settings page.
pub(crate) fn test() -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    set_up_tests(&workspace, |news| println!("{news}"))?;

    let mut lint = Command::new(workspace.program("cfn-lint"));
    run(
        "the templates are not clean",
        lint.args(["template.yaml", "stage.yaml", "local/demo.yaml"]),
        &workspace,
    )?;

    let mut rust = Command::new("cargo");
    run("a Rust test failed", rust.args(["test", "--workspace", "--exclude", "model"]), &workspace)?;

    // Thousands of histories, which take three times as long unoptimised.
    let mut model = Command::new("cargo");
    model.args(["test", "--profile", "histories", "--package", "model"]);
    run("a test against the model of AWS failed", &mut model, &workspace)?;

    let mut python = Command::new(workspace.program("python"));
    python.args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "local/aws/tests"]);
    run("a Python test failed", &mut python, &workspace)?;
    super::page::test()
}

fn run(failure: &'static str, command: &mut Command, workspace: &Workspace) -> anyhow::Result<()> {
    println!("$ {}", in_words(command));
    let status = command.current_dir(workspace.path(".")).status();
    let status = status.with_context(|| format!("cannot run {}", in_words(command)))?;
    if !status.success() {
        bail!(failure);
    }
    Ok(())
}

fn in_words(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    [program].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}
