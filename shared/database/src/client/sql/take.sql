-- What the logins have created without acting as the owner, for example after DISCARD ALL.
SELECT format('REASSIGN OWNED BY %I TO app', rolname)
  FROM pg_roles WHERE rolname IN ('app_1', 'app_2') AND pg_has_role(oid, 'USAGE') \gexec
\if :takes
-- What the master user owns, also what containers have created as the master user until they were replaced. The new owner must
-- be allowed to create objects where the old ones are.
SELECT format('ALTER DATABASE %I OWNER TO app', datname)
  FROM pg_database WHERE datname = current_database() AND pg_get_userbyid(datdba) = current_user \gexec
SELECT format('ALTER SCHEMA %I OWNER TO app', nspname)
  FROM pg_namespace WHERE pg_get_userbyid(nspowner) = current_user \gexec
REASSIGN OWNED BY CURRENT_USER TO app;
-- That includes other databases, which stay the master user's.
SELECT format('ALTER DATABASE %I OWNER TO %I', datname, current_user)
  FROM pg_database WHERE datname <> current_database() AND pg_get_userbyid(datdba) = 'app' \gexec
\endif
