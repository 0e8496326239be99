/** Lines to copy. */
import type { StageName } from "../api";

/** Reads the secret and begins psql, without a password on the screen or in the shell's history. */
export function psql(name: StageName, region: string): string {
  return [
    `eval "$(aws secretsmanager get-secret-value --region ${region} \\`,
    `  --secret-id ${name.stage}-${name.stack}-postgres --query SecretString --output text \\`,
    `  | jq -r '"export PGHOST=\\(.host | @sh) PGPORT=\\(.port) PGDATABASE=\\(.dbname | @sh)",`,
    `           "export PGUSER=\\(.username | @sh) PGPASSWORD=\\(.password | @sh)"')"`,
    "PGSSLMODE=require psql",
  ].join("\n");
}

/** The variables, as a container has them. */
export function environment(): string {
  return [
    "PG_HOST                 the host",
    "PG_PORT                 the port",
    "PG_DATABASE             the database inside",
    "PG_USER                 the user",
    "PG_CREDENTIALS_SECRET   the password",
  ].join("\n");
}
