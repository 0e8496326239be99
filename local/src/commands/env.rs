//! `cargo local env`: the environment variables for using the local AWS from a shell.

use local::LocalAws;

/// Prints `export` lines with a fresh token.
#[expect(clippy::print_stdout, reason = "the shell reads it")]
pub(crate) fn env(port: Option<u16>) -> anyhow::Result<()> {
    let local = LocalAws::attach(port)?;
    // A profile or session of a real account would interfere with these variables.
    println!("unset AWS_PROFILE AWS_SESSION_TOKEN");
    let own = [("STAGEDB_URL", local.api_url().to_owned()), ("STAGEDB_TOKEN", local.token().to_owned())];
    for (name, value) in own.into_iter().chain(local.aws_environment()) {
        println!("export {name}={}", quoted(&value));
    }
    Ok(())
}

/// Quotes a value for any POSIX shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_takes_values_as_they_are() {
        assert_eq!(quoted("http://a/$default"), "'http://a/$default'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
