-- name: incarnation.begin
-- A process begins; it owns what it takes from now on.
INSERT INTO incarnation (pid, node, number, started_at, beat_at, until, schema, version, roles)
VALUES (pg_backend_pid(), $1, $2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $3, $4, $5, $6) RETURNING id

-- name: incarnation.beat
-- A sign of life. No row comes back where another node has ended it.
UPDATE incarnation SET beat_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint, until = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2, load = $3
WHERE id = $1 AND ended_at IS NULL
RETURNING (SELECT d.version FROM directory d WHERE d.id = 1),
          (SELECT coalesce(sum(s.errors), 0)::bigint FROM server s),
          (SELECT n.draining FROM node n WHERE n.number = incarnation.number),
          beat_at

-- name: incarnation.renew
-- A sign of life over a new connection.
UPDATE incarnation SET pid = pg_backend_pid(), beat_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint, until = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2
WHERE id = $1 AND ended_at IS NULL RETURNING id

-- name: incarnation.late
-- Lives that gave no sign in time.
SELECT id, number, node FROM incarnation
WHERE ended_at IS NULL AND until < (extract(epoch FROM clock_timestamp()) * 1000)::bigint AND id <> $1 ORDER BY id

-- name: incarnation.end
-- It is over: another node says so, after it has made sure that nothing more is committed by it.
UPDATE incarnation SET ended_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint WHERE id = $1 AND ended_at IS NULL AND until < (extract(epoch FROM clock_timestamp()) * 1000)::bigint
RETURNING id

-- name: incarnation.recover
-- What it owned is freed in this transaction; no row comes back where somebody was faster.
UPDATE incarnation SET recovered = 1, ended_at = coalesce(ended_at, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
WHERE id = $1 AND recovered = 0 RETURNING id

-- name: incarnation.now
-- The clock of the database, in milliseconds.
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint

-- name: takeover.close
-- The session that writes for a life which gave no sign in time writes no more, and is waited for, up to
-- two seconds: it goes by itself, a little later than it is told. Whoever is just taking over holds the
-- same lock, and is left alone.
SELECT pg_terminate_backend(l.pid, 2000) FROM pg_locks l JOIN incarnation i ON i.pid = l.pid
WHERE l.locktype = 'advisory' AND l.classid = $1::bigint::int AND l.objid = $2::bigint::int
  AND l.objsubid = 2 AND l.granted AND i.id = $3
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- name: takeover.fence
-- Nobody writes for that node, and nobody begins to before this transaction is over.
SELECT pg_try_advisory_xact_lock($1::bigint::int, $2::bigint::int)

-- name: event.highest_of_node
-- Where a node goes on numbering.
SELECT coalesce(max(seq), 0) FROM event WHERE node = $1

-- name: commit.note
-- What tells later whether this transaction was committed, where it has no events.
UPDATE incarnation SET last_group = $2 WHERE id = $1

-- name: commit.noted
-- The last of those that were committed.
SELECT last_group FROM incarnation WHERE id = $1

-- name: incarnation.lives
-- Whether a node of that number may be alive.
SELECT id FROM incarnation
WHERE number = $1 AND ended_at IS NULL AND until > (extract(epoch FROM clock_timestamp()) * 1000)::bigint
