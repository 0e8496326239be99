// Connects to the stage's Postgres database using only the runtime variables. Run `npm ci` in this folder first.
const { Client } = require("pg");

async function main() {
  const client = new Client({
    host: process.env.PG_HOST,
    port: Number(process.env.PG_PORT),
    database: process.env.PG_DATABASE,
    user: process.env.PG_USER,
    password: process.env.PG_CREDENTIALS_SECRET,
    // Encrypted. To also verify the server, add the RDS CA bundle to your image
    // (https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem) and use
    // ssl: { ca: require("node:fs").readFileSync("global-bundle.pem", "utf8") }.
    ssl: process.env.PGSSLMODE === "disable" ? false : { rejectUnauthorized: false },
  });
  await client.connect();
  const { rows } = await client.query(
    "select current_database() as database, current_user as user, current_setting('server_version') as version",
  );
  const [{ database, user, version }] = rows;
  console.log(`connected to ${database} as ${user} on PostgreSQL ${version.split(" ")[0]}`);
  console.log((await client.query("select 6 * 7 as answer")).rows);
  await client.end();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
