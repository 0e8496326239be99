-- Gives a login a password, and at the first change, everything that the master user owns to the role that the login acts as.
-- Safe to repeat. The login that is published stays as it is.

-- A client that was started for an earlier request, and runs only now, would take back what a later one has done.
SELECT :'verifier' NOT LIKE 'SCRAM-SHA-256$%' OR EXISTS (
    SELECT FROM pg_roles
    WHERE rolname = :'login' AND shobj_description(oid, 'pg_authid') COLLATE "C" > :'since' COLLATE "C") AS is_late \gset
\if :is_late
DO $$BEGIN RAISE EXCEPTION 'a later request has changed the login'; END$$;
\endif

-- Comments tell our roles from a team's. A schema of the owner's name would come first in its search path.
SELECT EXISTS (
    SELECT FROM pg_roles
    WHERE rolname = 'app' AND shobj_description(oid, 'pg_authid') IS DISTINCT FROM 'stagedb'
      OR rolname IN ('app_1', 'app_2') AND shobj_description(oid, 'pg_authid') IS NULL) AS is_theirs,
  EXISTS (SELECT FROM pg_namespace WHERE nspname = 'app') AS has_schema,
  NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') AS is_first,
  current_setting('server_version_num')::int < 160000 AS gets_no_admin \gset
\if :is_theirs
DO $$BEGIN RAISE EXCEPTION 'a role app, app_1, or app_2 already exists, and stagedb did not create it. Rename it first'; END$$;
\endif
\if :has_schema
DO $$BEGIN RAISE EXCEPTION 'a schema app already exists, where the app login would find its tables first. Rename it first'; END$$;
\endif

\if :is_first
CREATE ROLE app NOLOGIN;
COMMENT ON ROLE app IS 'stagedb';
\endif
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'login') AS is_missing \gset
\if :is_missing
CREATE ROLE :"login";
\endif
-- So that containers that still log in as the master user, and the master user's own tools, keep their access. Before version 16,
-- whoever creates a role doesn't get this option, which an upgraded server asks for.
\if :gets_no_admin
GRANT app, :"login" TO CURRENT_USER WITH ADMIN OPTION;
\else
GRANT app, :"login" TO CURRENT_USER;
\endif
GRANT app TO :"login";
ALTER ROLE :"login" LOGIN INHERIT NOCREATEDB NOCREATEROLE CONNECTION LIMIT -1 VALID UNTIL 'infinity' PASSWORD :'verifier';
ALTER ROLE :"login" SET role = 'app';
COMMENT ON ROLE :"login" IS :'since';

-- At the first change, and in restored data, nobody uses the other login.
SELECT format('ALTER ROLE %I NOLOGIN PASSWORD NULL', rolname)
  FROM pg_roles
  WHERE :'obsolete' = 'all' AND rolname IN ('app_1', 'app_2') AND rolname <> :'login' AND rolcanlogin \gexec
SELECT :'master' <> 'none' AS takes \gset
-- @take
-- By default, every role can connect to every database. Those that exist keep that; the app logins don't get it.
CREATE TEMPORARY TABLE open_to_all ON COMMIT DROP AS
  SELECT datname, string_agg(privilege_type, ', ') AS privileges
  FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba)))
  WHERE datname <> current_database() AND pg_get_userbyid(datdba) = current_user AND grantee = 0
  GROUP BY datname;
SELECT format('GRANT %s ON DATABASE %I TO %I', privileges, datname, rolname)
  FROM open_to_all, pg_roles
  WHERE rolcanlogin AND rolname NOT IN ('app_1', 'app_2') AND oid >= 16384 \gexec
SELECT format('REVOKE %s ON DATABASE %I FROM PUBLIC', privileges, datname) FROM open_to_all \gexec
