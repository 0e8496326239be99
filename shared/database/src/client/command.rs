//! What a client task runs.

/// The name of the container in the client's task definitions.
pub const CLIENT: &str = "client";
/// How many seconds `psql` waits for a connection to each address of the host.
const CONNECT_SECONDS: u64 = 10;
/// How many seconds the command can take. A task that nobody watches ends by itself.
pub(super) const COMMAND_SECONDS: u64 = 30;
/// The command that connects once, for a container whose entry point is `sh -c`. It verifies the server's certificate if the
/// Region's root certificates are known. The libraries' variables (`PGHOST`, `PGPASSWORD`, and so on) are already set.
#[must_use]
pub fn connect_command() -> String {
    format!(
        r#"if [ -n "${{RDS_CERTIFICATES:-}}" ]; then
  PGSSLROOTCERT=$(mktemp) && printf '%s\n' "$RDS_CERTIFICATES" > "$PGSSLROOTCERT" || exit 70
  export PGSSLROOTCERT PGSSLMODE=verify-full
else
  export PGSSLMODE=require
fi
export LC_ALL=C PGCLIENTENCODING=UTF8 PGAPPNAME=stagedb PGCONNECT_TIMEOUT={CONNECT_SECONDS}
exec timeout {COMMAND_SECONDS} \
  psql --no-psqlrc --no-password --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --command='SELECT 1'"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_has_no_credentials_and_sets_none() {
        let command = connect_command();
        for name in ["PGPASSWORD", "PGUSER", "PGHOST"] {
            assert!(!command.contains(name), "{command}");
        }
    }
}
