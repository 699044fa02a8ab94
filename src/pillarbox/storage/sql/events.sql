-- name: event.after
-- The log behind a cursor. There is one writer, so every number follows those committed before.
SELECT seq, at, app, kind, delivery, previous, data FROM event WHERE seq > $1 ORDER BY seq LIMIT $2

-- name: event.position
-- Where the log ends now.
SELECT seq FROM event ORDER BY seq DESC LIMIT 1

-- name: event.newest
-- The log backwards.
SELECT seq, at, app, kind, delivery, previous, data FROM event WHERE seq < $1 ORDER BY seq DESC LIMIT $2

-- name: event.one
-- One link of a history.
SELECT seq, at, app, kind, delivery, previous, data FROM event WHERE seq = $1

-- name: session.insert
-- An outgoing connection.
INSERT INTO session (id, at, facts) VALUES ($1, $2, $3)

-- name: session.one
-- An outgoing connection.
SELECT id, at, facts FROM session WHERE id = $1

-- name: session.highest
-- Where to go on numbering.
SELECT coalesce(max(id), 0) FROM session
