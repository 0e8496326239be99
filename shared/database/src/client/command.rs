//! What a client task runs.

/// The name of the container in the client's task definitions.
pub const CLIENT: &str = "client";
/// How many seconds `psql` waits for a connection to each address of the host.
const CONNECT_SECONDS: u64 = 10;
/// How many seconds the command can take. A task that nobody watches ends by itself.
pub(super) const COMMAND_SECONDS: u64 = 30;

/// How all statements begin.
const BEGIN: &str = include_str!("sql/begin.sql");
/// The statements that give objects to the owner. Those below include them in this place.
const TAKE: &str = include_str!("sql/take.sql");
const TAKE_HERE: &str = "-- @take\n";
/// The statements that give a login its password.
const LOGINS: &str = include_str!("sql/logins.sql");
/// The statements that disable what is obsolete.
const SETTLE: &str = include_str!("sql/settle.sql");

/// The command that connects once.
#[must_use]
pub fn connect_command() -> String {
    command("--command='SELECT 1'", "")
}

/// The command that gives a login its password, as the master user.
#[must_use]
pub fn logins_command() -> String {
    statements(LOGINS)
}

/// The command that disables obsolete logins, as the master user.
#[must_use]
pub fn settle_command() -> String {
    statements(SETTLE)
}

/// Statements for `psql`, which reads their values from variables of the environment. So no value is ever part of a statement.
fn statements(sql: &str) -> String {
    let variables = ["login", "verifier", "since", "obsolete", "master"];
    let variables = variables.map(|name| format!("\\getenv {name} STAGEDB_{}\n", name.to_uppercase()));
    let (variables, sql) = (variables.concat(), sql.replace(TAKE_HERE, TAKE));
    command("--file=-", &format!(" <<'SQL'\n{variables}{BEGIN}{sql}COMMIT;\nSQL"))
}

/// A command for a container whose entry point is `sh -c`. It verifies the server's certificate if the Region's root certificates
/// are known. The libraries' variables (`PGHOST`, `PGPASSWORD`, and so on) are already set.
fn command(work: &str, input: &str) -> String {
    format!(
        r#"if [ -n "${{RDS_CERTIFICATES:-}}" ]; then
  PGSSLROOTCERT=$(mktemp) && printf '%s\n' "$RDS_CERTIFICATES" > "$PGSSLROOTCERT" || exit 70
  export PGSSLROOTCERT PGSSLMODE=verify-full
else
  export PGSSLMODE=require
fi
export LC_ALL=C PGCLIENTENCODING=UTF8 PGAPPNAME=stagedb PGCONNECT_TIMEOUT={CONNECT_SECONDS}
exec timeout {COMMAND_SECONDS} \
  psql --no-psqlrc --no-password --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 {work}{input}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_no_credentials_and_sets_none() {
        for command in [connect_command(), logins_command(), settle_command()] {
            for name in ["PGPASSWORD", "PGUSER", "PGHOST"] {
                assert!(!command.contains(name), "{command}");
            }
        }
    }

    #[test]
    fn both_kinds_of_statements_are_one_transaction_that_gives_objects_to_the_owner() {
        for command in [logins_command(), settle_command()] {
            for part in [BEGIN, TAKE, "COMMIT;\nSQL"] {
                assert_eq!(command.matches(part).count(), 1, "{part}");
            }
        }
    }

    /// The limit of ECS for all overrides of a task (`RunTask`, `overrides`) is 8,192 characters.
    #[test]
    fn a_command_fits_into_the_overrides_of_a_task() {
        for command in [connect_command(), logins_command(), settle_command()] {
            assert!(command.len() < 7_500, "{}", command.len());
        }
    }
}
