-- name: message.one
-- A message row.
SELECT id, app, submitter, mode, size, return_path, author, subject, message_id, expires_at,
       uncertain, answer_by, scheduled_at, facts
FROM message WHERE id = $1

-- name: message.newest
-- Messages backwards from an id: backwards in time.
SELECT id, app, submitter, mode, size, return_path, author, subject, message_id, expires_at,
       uncertain, answer_by, scheduled_at, facts
FROM message WHERE id < $1 AND id >= $2 ORDER BY id DESC LIMIT $3

-- name: delivery.of_message
-- The final deliveries of a message.
SELECT id, recipient, state, attempts, at, last_event, uncertain FROM delivery
WHERE id BETWEEN $1 AND $2 ORDER BY id

-- name: delivery.one
-- A final delivery.
SELECT id, recipient, state, attempts, at, last_event, uncertain FROM delivery WHERE id = $1

-- name: content.of_message
-- All blocks of a message in order.
SELECT codec, body FROM content WHERE id BETWEEN $1 AND $2 ORDER BY id

-- name: content.block
-- One block.
SELECT codec, body FROM content WHERE id = $1

-- name: content.old
-- Content rows of older messages of which nothing waits.
SELECT c.id FROM content c
WHERE c.id < $1
  AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.id BETWEEN ((c.id >> 10) << 10) AND ((c.id >> 10) << 10) + 1023)
  AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.message = (c.id >> 10))
ORDER BY c.id LIMIT $2

-- name: content.delete
-- Retention.
DELETE FROM content WHERE id = $1

-- name: message.old
-- Messages of which nothing waits and whose content is gone.
SELECT m.id FROM message m
WHERE m.id < $1
  AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.id BETWEEN (m.id << 10) AND (m.id << 10) + 1023)
  AND NOT EXISTS (SELECT 1 FROM content c WHERE c.id BETWEEN (m.id << 10) AND (m.id << 10) + 1023)
ORDER BY m.id LIMIT $2

-- name: message.delete
-- Retention.
DELETE FROM message WHERE id = $1

-- name: delivery.delete_range
-- Retention: a message's deliveries.
DELETE FROM delivery WHERE id BETWEEN $1 AND $2

-- name: content.oldest
-- The oldest content that is kept.
SELECT min(id) FROM content

-- name: queue.oldest
-- The oldest delivery that waits.
SELECT min(id) FROM queue

-- name: upload.oldest
-- The oldest message that is arriving.
SELECT min(message) FROM upload

-- name: event.delete_before
-- Retention: by number, which carries its time; and by time, for numbers given before they did.
DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE seq < $1 ORDER BY seq LIMIT $3) AND at < $2
RETURNING 1

-- name: session.delete_before
-- Retention: connections whose attempts are gone.
DELETE FROM session WHERE id IN (SELECT id FROM session WHERE id < $1 ORDER BY id LIMIT $3) AND at < $2
RETURNING 1

-- name: idempotency.delete_before
-- Retention.
DELETE FROM idempotency WHERE (scope, key) IN
    (SELECT scope, key FROM idempotency WHERE at < $1 ORDER BY at LIMIT $2)
RETURNING 1
