//! Cargo, started by a program that Cargo started.

use std::{env, process::Command};

/// What Cargo sets for a program that it runs. Some build scripts run again when it changes, and then everything above
/// them is built again.
const OF_THE_OUTER_CARGO: [&str; 5] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];

/// Gives a command that runs Cargo the environment that it would have in a shell.
#[must_use]
pub fn as_in_a_shell(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        let name_in_utf8 = name.to_string_lossy();
        if OF_THE_OUTER_CARGO.iter().any(|prefix| name_in_utf8.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::as_in_a_shell;

    #[test]
    fn cargo_gets_none_of_the_variables_that_cargo_set_for_this_program() {
        let names = |mut command: Command| -> Vec<String> {
            let output = command.output().expect("env is a program everywhere");
            let lines = String::from_utf8_lossy(&output.stdout).into_owned();
            lines.lines().filter(|line| line.starts_with("CARGO_PKG_NAME=")).map(str::to_owned).collect()
        };
        assert_eq!(names(Command::new("env")), ["CARGO_PKG_NAME=local"], "or this test shows nothing");
        assert_eq!(names(as_in_a_shell(Command::new("env"))), [] as [&str; 0]);
    }
}
