-- name: visit.of_delivery
-- Who read it, from the first on.
SELECT e.seq, e.at, e.app, e.kind, e.delivery, e.previous, e.data
FROM visit v JOIN event e ON e.node = (v.event & 63) AND e.seq = v.event
WHERE v.delivery = $1 ORDER BY v.event LIMIT $2
