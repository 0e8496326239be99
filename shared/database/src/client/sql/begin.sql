BEGIN;
SET LOCAL client_min_messages = warning;
-- Containers may be using the tables. They wait for these locks, so this doesn't wait long for theirs.
SET LOCAL lock_timeout = '10s';
SELECT FROM pg_advisory_xact_lock(7811);
