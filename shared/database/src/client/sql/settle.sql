-- Disables the logins whose passwords are obsolete. A password's time never comes back, so this does no harm if it's late: a
-- login that has got another password in the meantime stays enabled. Safe to repeat.

SELECT format('ALTER ROLE %I NOLOGIN PASSWORD NULL', rolname)
  FROM pg_roles
  WHERE rolname IN ('app_1', 'app_2') AND rolcanlogin AND shobj_description(oid, 'pg_authid') IS NOT NULL
    AND (:'obsolete' = 'all' OR shobj_description(oid, 'pg_authid') = ANY (string_to_array(:'obsolete', ','))) \gexec

SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app' AND shobj_description(oid, 'pg_authid') = 'stagedb') AS is_ours \gset
\if :is_ours
SELECT :'login' <> 'none' AND :'master' <> 'none' AS takes, :'login' = 'none'
    AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname IN ('app_1', 'app_2') AND rolcanlogin) AS gives_back \gset
-- @take
\if :gives_back
-- Only now, because the containers before couldn't have used what the master user owns.
SELECT format('ALTER DATABASE %I OWNER TO %I', datname, current_user)
  FROM pg_database WHERE datname = current_database() AND pg_get_userbyid(datdba) = 'app' \gexec
SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, current_user)
  FROM pg_namespace WHERE pg_get_userbyid(nspowner) = 'app' \gexec
REASSIGN OWNED BY app TO CURRENT_USER;
\endif
\endif
