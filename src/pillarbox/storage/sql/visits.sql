-- name: visit.insert
-- An event tells of a reader of a delivery.
INSERT INTO visit (delivery, event) VALUES ($1, $2)

-- name: visit.of_delivery
-- Who read it, from the first on.
SELECT e.seq, e.at, e.app, e.kind, e.delivery, e.previous, e.data
FROM visit v JOIN event e ON e.seq = v.event
WHERE v.delivery = $1 ORDER BY v.event LIMIT $2

-- name: visit.delete_before
-- Retention: the events are gone with the messages.
DELETE FROM visit WHERE (delivery, event) IN
    (SELECT delivery, event FROM visit WHERE delivery < $1 ORDER BY delivery, event LIMIT $2)
RETURNING 1

-- name: visit.reached
-- Whose message it is, and when the delivery became final; NULL while it waits.
SELECT m.app, (SELECT d.at FROM delivery d WHERE d.id = $2) FROM message m WHERE m.id = $1

-- name: visit.unsubscribe
-- Nothing where it was told before.
INSERT INTO unsubscribed (delivery) VALUES ($1) ON CONFLICT (delivery) DO NOTHING RETURNING delivery

-- name: visit.unsubscribed
-- Whether it was told.
SELECT delivery FROM unsubscribed WHERE delivery = $1

-- name: visit.forget_unsubscribed
-- Retention: the events are gone with the messages.
DELETE FROM unsubscribed WHERE delivery IN
    (SELECT delivery FROM unsubscribed WHERE delivery < $1 ORDER BY delivery LIMIT $2)
RETURNING 1
