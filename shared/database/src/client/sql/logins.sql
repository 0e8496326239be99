-- Gives a login a password, and everything that the master user owns to the role that the login acts as. Safe to repeat.
-- The login that is published stays as it is.
BEGIN;
SET LOCAL client_min_messages = warning;
-- Containers may be using the tables. They wait for these locks, so this doesn't wait long for theirs.
SET LOCAL lock_timeout = '10s';
SELECT FROM pg_advisory_xact_lock(7811);

-- A client that was started for an earlier request, and runs only now, would take back what a later one has done.
SELECT :'verifier' NOT LIKE 'SCRAM-SHA-256$%' OR EXISTS (
    SELECT FROM pg_roles
    WHERE rolname = :'login' AND shobj_description(oid, 'pg_authid') COLLATE "C" > :'since' COLLATE "C") AS is_late \gset
\if :is_late
DO $$BEGIN RAISE EXCEPTION 'a later request has changed the login'; END$$;
\endif

SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') AS is_missing \gset
\if :is_missing
CREATE ROLE app NOLOGIN;
\endif
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'login') AS is_missing \gset
\if :is_missing
CREATE ROLE :"login";
\endif
ALTER ROLE app NOLOGIN NOCREATEDB NOCREATEROLE;
-- So that containers that still log in as the master user, and the master user's own tools, keep their access.
GRANT app TO CURRENT_USER;
GRANT app TO :"login";
ALTER ROLE :"login" LOGIN INHERIT NOCREATEDB NOCREATEROLE CONNECTION LIMIT -1 VALID UNTIL 'infinity' PASSWORD :'verifier';
ALTER ROLE :"login" SET role = 'app';
COMMENT ON ROLE :"login" IS :'since';

-- In restored data, the other login has an earlier password, which nobody uses.
SELECT format('ALTER ROLE %I NOLOGIN PASSWORD NULL', rolname)
  FROM pg_roles
  WHERE :'obsolete' = 'all' AND rolname IN ('app_1', 'app_2') AND rolname <> :'login' AND rolcanlogin \gexec

-- The new owner must be allowed to create objects where the old ones are.
SELECT format('ALTER DATABASE %I OWNER TO app', datname)
  FROM pg_database WHERE datname = current_database() AND pg_get_userbyid(datdba) = current_user \gexec
SELECT format('ALTER SCHEMA %I OWNER TO app', nspname)
  FROM pg_namespace WHERE pg_get_userbyid(nspowner) = current_user \gexec
REASSIGN OWNED BY CURRENT_USER TO app;
-- That includes other databases, which stay the master user's.
SELECT format('ALTER DATABASE %I OWNER TO %I', datname, current_user)
  FROM pg_database WHERE datname <> current_database() AND pg_get_userbyid(datdba) = 'app' \gexec
-- By default, every role can connect to every database. Those that exist keep that; the app logins don't get it.
SELECT format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', datname, rolname)
  FROM pg_database, pg_roles
  WHERE datname <> current_database() AND pg_get_userbyid(datdba) = current_user
    AND rolcanlogin AND rolname NOT IN ('app_1', 'app_2') AND pg_roles.oid >= 16384 \gexec
SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', datname)
  FROM pg_database WHERE datname <> current_database() AND pg_get_userbyid(datdba) = current_user \gexec
COMMIT;
