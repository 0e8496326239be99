/** Connection examples to copy. */
import type { StageName } from "../api";

/** Reads the secret and starts psql. The password isn't displayed and isn't in the shell's history. */
export function psql(name: StageName, region: string): string {
  return [
    `eval "$(aws secretsmanager get-secret-value --region ${region} \\`,
    `  --secret-id ${name.stage}-${name.stack}-postgres --query SecretString --output text \\`,
    `  | jq -r '"export PGHOST=\\(.host | @sh) PGPORT=\\(.port) PGDATABASE=\\(.dbname | @sh)",`,
    `           "export PGUSER=\\(.username | @sh) PGPASSWORD=\\(.password | @sh)"')"`,
    "PGSSLMODE=require psql",
  ].join("\n");
}

/** The environment variables of the stage's containers. */
export function environment(): string {
  return [
    "PG_HOST                 host",
    "PG_PORT                 port",
    "PG_DATABASE             database name",
    "PG_USER                 username",
    "PG_CREDENTIALS_SECRET   password",
  ].join("\n");
}
