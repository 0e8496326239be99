-- Disables the logins whose passwords are obsolete. A password's time never comes back, so this does no harm if it's late: a
-- login that has got another password in the meantime stays enabled. Safe to repeat.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL lock_timeout = '10s';
SELECT FROM pg_advisory_xact_lock(7811);

SELECT format('ALTER ROLE %I NOLOGIN PASSWORD NULL', rolname)
  FROM pg_roles
  WHERE rolname IN ('app_1', 'app_2') AND rolcanlogin AND shobj_description(oid, 'pg_authid') IS NOT NULL
    AND (:'obsolete' = 'all' OR shobj_description(oid, 'pg_authid') = ANY (string_to_array(:'obsolete', ','))) \gexec

SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app' AND shobj_description(oid, 'pg_authid') = 'stagedb') AS is_ours \gset
\if :is_ours
-- What the logins have created without acting as the owner.
SELECT format('REASSIGN OWNED BY %I TO app', rolname)
  FROM pg_roles WHERE rolname IN ('app_1', 'app_2') AND pg_has_role(oid, 'USAGE') \gexec
SELECT :'login' <> 'none' AND :'master' <> 'none' AS takes, :'login' = 'none'
    AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname IN ('app_1', 'app_2') AND rolcanlogin) AS gives_back \gset
\if :takes
-- What containers have created as the master user until they were replaced.
SELECT format('ALTER SCHEMA %I OWNER TO app', nspname)
  FROM pg_namespace WHERE pg_get_userbyid(nspowner) = current_user \gexec
REASSIGN OWNED BY CURRENT_USER TO app;
SELECT format('ALTER DATABASE %I OWNER TO %I', datname, current_user)
  FROM pg_database WHERE datname <> current_database() AND pg_get_userbyid(datdba) = 'app' \gexec
\endif
\if :gives_back
-- Only now, because the containers before couldn't have used what the master user owns.
SELECT format('ALTER DATABASE %I OWNER TO %I', datname, current_user)
  FROM pg_database WHERE datname = current_database() AND pg_get_userbyid(datdba) = 'app' \gexec
SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, current_user)
  FROM pg_namespace WHERE pg_get_userbyid(nspowner) = 'app' \gexec
REASSIGN OWNED BY app TO CURRENT_USER;
\endif
\endif
COMMIT;
