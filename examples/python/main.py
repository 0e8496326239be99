"""Connects to the stage's Postgres database using only the runtime variables."""

import os

import psycopg

with psycopg.connect(
    host=os.environ["PG_HOST"],
    port=os.environ["PG_PORT"],
    dbname=os.environ["PG_DATABASE"],
    user=os.environ["PG_USER"],
    password=os.environ["PG_CREDENTIALS_SECRET"],
    # Encrypted. To also verify the server, add the RDS CA bundle to your image
    # (https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem) and use
    # sslmode="verify-full", sslrootcert="global-bundle.pem".
    sslmode=os.environ.get("PGSSLMODE", "require"),
) as connection:
    database, user, version = connection.execute(
        "select current_database(), current_user, current_setting('server_version')"
    ).fetchone()
    print(f"connected to {database} as {user} on PostgreSQL {version.split()[0]}")
    print(connection.execute("select 6 * 7 as answer").fetchone())
