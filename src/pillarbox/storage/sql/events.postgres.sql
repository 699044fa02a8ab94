-- name: event.after
-- The log behind a cursor for each node.
SELECT e.* FROM generate_series(0, 63) AS n(number)
LEFT JOIN unnest(string_to_array($1, ',')::bigint[]) AS c(seq) ON (c.seq & 63) = n.number
CROSS JOIN LATERAL (
    SELECT seq, at, app, kind, delivery, previous, data FROM event
    WHERE node = n.number AND seq > coalesce(c.seq, -1) ORDER BY seq LIMIT $2) e
ORDER BY e.seq LIMIT $2

-- name: event.position
-- Where the log of each node ends now.
SELECT e.seq FROM generate_series(0, 63) AS n(number) CROSS JOIN LATERAL (
    SELECT seq FROM event WHERE node = n.number ORDER BY seq DESC LIMIT 1) e

-- name: event.newest
-- The log backwards.
SELECT e.* FROM generate_series(0, 63) AS n(number) CROSS JOIN LATERAL (
    SELECT seq, at, app, kind, delivery, previous, data FROM event
    WHERE node = n.number AND seq < $1 ORDER BY seq DESC LIMIT $2) e
ORDER BY e.seq DESC LIMIT $2

-- name: event.one
-- One link of a history.
SELECT seq, at, app, kind, delivery, previous, data FROM event WHERE node = ($1::bigint & 63) AND seq = $1::bigint
