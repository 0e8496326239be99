-- After a leak. A login that is disabled, or that has just got a password that nobody knows yet, begins no session anymore, so these are
-- the last ones.
SELECT count(pg_terminate_backend(pid))
  FROM pg_stat_activity JOIN pg_roles ON pg_roles.oid = usesysid
  WHERE rolname IN ('app_1', 'app_2') AND shobj_description(usesysid, 'pg_authid') IS NOT NULL
    AND (:'sessions' <> 'none' AND NOT rolcanlogin OR :'sessions' = 'of the login' AND rolname = :'login');
