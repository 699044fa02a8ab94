-- name: incarnation.begin
-- A process begins; it owns what it takes from now on.
INSERT INTO incarnation (pid, node, number, started_at, beat_at, until, schema, version, roles)
VALUES (0, $1, $2, CAST(unixepoch('subsec') * 1000 AS INTEGER), CAST(unixepoch('subsec') * 1000 AS INTEGER), CAST(unixepoch('subsec') * 1000 AS INTEGER) + $3, $4, $5, $6) RETURNING id

-- name: incarnation.beat
-- A sign of life. No row comes back where another node has ended it.
UPDATE incarnation SET beat_at = CAST(unixepoch('subsec') * 1000 AS INTEGER), until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + $2, load = $3
WHERE id = $1 AND ended_at IS NULL
RETURNING (SELECT d.version FROM directory d WHERE d.id = 1),
          (SELECT coalesce(sum(s.errors), 0) FROM server s),
          (SELECT n.draining FROM node n WHERE n.number = incarnation.number),
          beat_at

-- name: incarnation.renew
-- A sign of life over a new connection.
UPDATE incarnation SET pid = 0, beat_at = CAST(unixepoch('subsec') * 1000 AS INTEGER), until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + $2
WHERE id = $1 AND ended_at IS NULL RETURNING id

-- name: incarnation.late
-- Lives that gave no sign in time.
SELECT id, number, node FROM incarnation
WHERE ended_at IS NULL AND until < CAST(unixepoch('subsec') * 1000 AS INTEGER) AND id <> $1 ORDER BY id

-- name: incarnation.end
-- It is over: another node says so, after it has made sure that nothing more is committed by it.
UPDATE incarnation SET ended_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE id = $1 AND ended_at IS NULL AND until < CAST(unixepoch('subsec') * 1000 AS INTEGER)
RETURNING id

-- name: incarnation.recover
-- What it owned is freed in this transaction; no row comes back where somebody was faster.
UPDATE incarnation SET recovered = 1, ended_at = coalesce(ended_at, CAST(unixepoch('subsec') * 1000 AS INTEGER))
WHERE id = $1 AND recovered = 0 RETURNING id

-- name: incarnation.now
-- The clock of the database, in milliseconds.
SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)

-- name: node.alone
-- This directory is one node, whatever it was called before.
INSERT INTO node (number, name, place) VALUES (0, $1, $2)
ON CONFLICT (number) DO UPDATE SET name = excluded.name, place = excluded.place
