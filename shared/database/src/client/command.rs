//! What a client task runs.

use std::time::Duration;

/// The name of the container in the client's task definitions.
pub const CLIENT: &str = "client";
/// How many seconds `psql` can take. A task that nobody watches ends by itself.
pub(super) const COMMAND_SECONDS: u64 = 30;

/// For how long a client measures downtime. The state machine ends an execution after 58 minutes.
pub const MEASURED_AT_MOST: Duration = Duration::from_mins(55);

/// How all statements begin.
const BEGIN: &str = include_str!("sql/begin.sql");
/// The statements that give objects to the owner. Those below include them in this place.
const TAKE: &str = include_str!("sql/take.sql");
const TAKE_HERE: &str = "-- @take\n";
/// The statements that give a login its password.
const LOGINS: &str = include_str!("sql/logins.sql");
/// The statements that disable what is obsolete.
const SETTLE: &str = include_str!("sql/settle.sql");
/// The statement that ends sessions, after those have taken effect.
const END_SESSIONS: &str = include_str!("sql/end_sessions.sql");

/// What all commands begin with. It verifies the server's certificate if the Region's root certificates are known. The libraries'
/// variables (`PGHOST`, `PGPASSWORD`, and so on) are already set.
const SETTINGS: &str = r#"if [ -n "${RDS_CERTIFICATES:-}" ]; then
  PGSSLROOTCERT=$(mktemp) && printf '%s\n' "$RDS_CERTIFICATES" > "$PGSSLROOTCERT" || exit 70
  export PGSSLROOTCERT PGSSLMODE=verify-full
else
  export PGSSLMODE=require
fi
export LC_ALL=C PGCLIENTENCODING=UTF8 PGAPPNAME=stagedb PGCONNECT_TIMEOUT=10
"#;

/// The command that connects once.
#[must_use]
pub fn connect_command() -> String {
    let psql = psql();
    format!("{SETTINGS}exec {psql} --command='SELECT 1'")
}

/// The command that connects every second until it's stopped, and writes a line whenever that begins to work or to fail
/// ([`measured`](crate::measured)). A shell has no time of day, so the time is in seconds since 1970.
#[must_use]
pub fn downtime_command() -> String {
    let seconds = MEASURED_AT_MOST.as_secs();
    format!(
        r#"{SETTINGS}export PGCONNECT_TIMEOUT=2
end=$(($(date +%s) + {seconds}))
before=
at=$(date +%s)
while [ "$at" -lt "$end" ]; do
  sleep 1 &
  state=down
  timeout 3 psql --no-psqlrc --no-password --quiet --command='SELECT 1' > /dev/null 2>&1 && state=up
  [ "$state" = "$before" ] || echo "$state $at"
  before=$state
  wait
  at=$(date +%s)
done"#
    )
}

/// The command that gives a login its password, as the master user.
#[must_use]
pub fn logins_command() -> String {
    statements(LOGINS, END_SESSIONS)
}

/// The command that disables obsolete logins, as the master user.
#[must_use]
pub fn settle_command() -> String {
    statements(SETTLE, END_SESSIONS)
}

/// Statements for `psql`, which reads their values from variables of the environment. So no value is ever part of a statement.
/// They are one transaction, and something after it. While the master user's password is being rotated, the server has the next
/// one or still the current one, and exit code 2 says that `psql` couldn't connect.
fn statements(transaction: &str, afterward: &str) -> String {
    let variables = ["login", "verifier", "since", "obsolete", "master", "sessions"];
    // A task definition from before doesn't have every variable.
    let variable =
        |name: &str| format!("\\set {name} none\n\\getenv {name} STAGEDB_{}\n", name.to_uppercase());
    let variables = variables.map(variable);
    let (variables, transaction) = (variables.concat(), transaction.replace(TAKE_HERE, TAKE));
    let psql = psql();
    format!(
        r#"{SETTINGS}sql=$(mktemp) && cat > "$sql" <<'SQL' || exit 70
{variables}{BEGIN}{transaction}COMMIT;
{afterward}SQL
{psql} --file="$sql"
code=$?
if [ $code = 2 ] && [ "${{STAGEDB_NEXT_PASSWORD:-none}}" != none ]; then
  PGPASSWORD=$STAGEDB_NEXT_PASSWORD {psql} --file="$sql"
  code=$?
fi
exit $code"#
    )
}

/// `psql`, with a time limit.
fn psql() -> String {
    format!(
        "timeout {COMMAND_SECONDS} \\\n  psql --no-psqlrc --no-password --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [String; 4] {
        [connect_command(), downtime_command(), logins_command(), settle_command()]
    }

    #[test]
    fn a_command_has_no_credentials_and_sets_none_but_the_next_password() {
        for command in all() {
            let command = command.replace("PGPASSWORD=$STAGEDB_NEXT_PASSWORD ", "");
            for name in ["PGPASSWORD", "PGUSER", "PGHOST"] {
                assert!(!command.contains(name), "{command}");
            }
        }
    }

    #[test]
    fn every_command_verifies_the_certificate_if_the_root_certificates_are_known() {
        for command in all() {
            let rest = command.strip_prefix(SETTINGS).unwrap();
            assert!(!rest.contains("SSL"), "{rest}");
        }
        assert!(SETTINGS.contains("export PGSSLROOTCERT PGSSLMODE=verify-full\n"));
    }

    #[test]
    fn both_kinds_of_statements_are_one_transaction_that_gives_objects_to_the_owner() {
        for command in [logins_command(), settle_command()] {
            for part in [BEGIN, TAKE, "COMMIT;\n"] {
                assert_eq!(command.matches(part).count(), 1, "{part}");
            }
        }
        for command in [logins_command(), settle_command()] {
            assert!(command.contains(&format!("COMMIT;\n{END_SESSIONS}SQL\n")), "{command}");
        }
    }

    /// The limit of ECS for all overrides of a task (`RunTask`, `overrides`) is 8,192 characters.
    #[test]
    fn a_command_fits_into_the_overrides_of_a_task() {
        for command in all() {
            assert!(command.len() < 7_500, "{}", command.len());
        }
    }
}
