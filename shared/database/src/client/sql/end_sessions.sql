-- After a leak. A login that is disabled begins no session anymore, so these are the last ones.
SELECT count(pg_terminate_backend(pid))
  FROM pg_stat_activity JOIN pg_roles ON pg_roles.oid = usesysid
  WHERE :'sessions' = 'now' AND rolname IN ('app_1', 'app_2') AND NOT rolcanlogin
    AND shobj_description(usesysid, 'pg_authid') IS NOT NULL;
