-- name: message.insert
-- ▣1: the message, never updated afterwards.
INSERT INTO message (id, app, submitter, mode, size, return_path, author, subject, message_id,
                     expires_at, answer_by, scheduled_at, uncertain, facts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)

-- name: content.insert
-- One block of content.
INSERT INTO content (id, codec, body) VALUES ($1, $2, $3)

-- name: upload.insert
-- Content that is arriving and belongs to nobody yet.
INSERT INTO upload (message, owner) VALUES ($1, $2) ON CONFLICT (message) DO NOTHING

-- name: upload.delete
-- ▣1 has named the message, or it was given up.
DELETE FROM upload WHERE message = $1

-- name: upload.of
-- Uploads of a process that is gone.
SELECT message FROM upload WHERE owner = $1

-- name: content.delete_range
-- Content blocks of one message.
DELETE FROM content WHERE id BETWEEN $1 AND $2

-- name: queue.insert
-- A recipient is born.
INSERT INTO queue (id, owner, lane, state, due, attempts, uncertain, last_event, recipient)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: event.insert
-- Appended in commit order, numbered by the only writer.
INSERT INTO event (seq, at, app, kind, delivery, previous, data)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: delivery.insert
-- Final, written once. One that was ended meanwhile keeps its first verdict.
INSERT INTO delivery (id, state, app, attempts, uncertain, at, last_event, recipient)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (id) DO NOTHING

-- name: started.insert
-- These may be leaving.
INSERT INTO started (seq, owner, ids) VALUES ($1, $2, $3)

-- name: queue.delete
-- Final: it leaves the queue.
DELETE FROM queue WHERE id = $1

-- name: started.delete
-- All of its ids are settled.
DELETE FROM started WHERE seq = $1

-- name: queue.defer
-- Back to its lane.
UPDATE queue SET owner = 0, state = $2, due = $3, attempts = $4, uncertain = $5, last_event = $6
WHERE id = $1

-- name: queue.hold_back
-- Until somebody releases it, or its message has outlived its time.
UPDATE queue SET owner = -1, state = 'held', attempts = $2, uncertain = $3, last_event = $4,
    due = (SELECT m.expires_at FROM message m WHERE m.id = (queue.id >> 10))
WHERE id = $1

-- name: obligation.insert
-- Something owed since this settlement.
INSERT INTO obligation (kind, app, delivery, due) VALUES ($1, $2, $3, $4)
ON CONFLICT (delivery, kind) DO NOTHING

-- name: server.error
-- One more consecutive failure whose fault is the server's.
UPDATE server SET errors = errors + 1 WHERE id = $1

-- name: server.fine
-- It works again.
UPDATE server SET errors = 0 WHERE id = $1 AND errors > 0

-- name: obligation.pay
-- Guard: the notice is being accepted in this transaction.
DELETE FROM obligation WHERE id = $1 RETURNING id

-- name: idempotency.record
-- Guard: no row comes back where the call was taken before.
INSERT INTO idempotency (scope, key, digest, message, at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (scope, key) DO NOTHING RETURNING message

-- name: idempotency.find
-- What was answered to the call that came first.
SELECT message, digest FROM idempotency WHERE scope = $1 AND key = $2

-- name: lane.find
-- A lane by name.
SELECT id FROM lane WHERE app = $1 AND route = $2 AND destination = $3

-- name: lane.add
-- First use of a lane.
INSERT INTO lane (app, route, destination) VALUES ($1, $2, $3)
ON CONFLICT (app, route, destination) DO NOTHING

-- name: lane.all
-- Every lane.
SELECT id, app, route, destination FROM lane ORDER BY id

-- name: lane.of_app
-- The lanes of an app on one route.
SELECT id, app, route, destination FROM lane WHERE app = $1 AND route = $2 ORDER BY destination

-- name: lane.pause
-- Nothing leaves from it; a lane that is paused already stays as it is.
UPDATE lane SET hold = $2 WHERE id = $1 AND hold = 0 RETURNING app, route, destination

-- name: lane.resume
-- It goes on.
UPDATE lane SET hold = 0 WHERE id = $1 AND hold <> 0 RETURNING app, route, destination

-- name: lane.paused
-- Those from which nothing leaves, and since when.
SELECT id, hold FROM lane WHERE hold <> 0 ORDER BY id

-- name: queue.heads
-- Each lane's first due delivery: from lane to lane through the index, so that a hundred thousand
-- lanes in which nothing waits cost nothing. A lane has one shard, and it is ours.
WITH RECURSIVE head(lane) AS (
    SELECT (SELECT q.lane FROM queue q WHERE q.owner = 0 ORDER BY q.lane LIMIT 1)
    UNION ALL
    SELECT (SELECT q.lane FROM queue q WHERE q.owner = 0 AND q.lane > h.lane ORDER BY q.lane LIMIT 1)
    FROM head h WHERE h.lane IS NOT NULL
)
SELECT l.id, l.app, l.route, l.destination, 0,
       (SELECT q.due FROM queue q WHERE q.owner = 0 AND q.lane = h.lane ORDER BY q.due, q.id LIMIT 1),
       0
FROM head h CROSS JOIN lane l ON l.id = h.lane

-- name: queue.claim
-- Due deliveries of a lane the caller owns, behind its cursor. Nothing is written.
SELECT id, lane, state, due, attempts, last_event, uncertain, recipient, owner FROM queue
WHERE owner = 0 AND lane = $1 AND (due, id) > ($2, $3) AND due <= $4
ORDER BY due, id LIMIT $5

-- name: queue.one
-- One waiting delivery.
SELECT id, lane, state, due, attempts, last_event, uncertain, recipient, owner FROM queue
WHERE id = $1

-- name: queue.of_message
-- What still waits of a message.
SELECT id, lane, state, due, attempts, last_event, uncertain, recipient, owner FROM queue
WHERE id BETWEEN $1 AND $2 ORDER BY id

-- name: queue.page
-- Waiting deliveries by id, every lane and state.
SELECT id, lane, state, due, attempts, last_event, uncertain, recipient, owner FROM queue
WHERE id > $1 ORDER BY id LIMIT $2

-- name: queue.page_of_lane
-- Waiting deliveries of one lane by id.
SELECT id, lane, state, due, attempts, last_event, uncertain, recipient, owner FROM queue
WHERE id > $1 AND lane = $3 ORDER BY id LIMIT $2

-- name: queue.depths
-- How much each lane holds; reads the whole queue: for people.
SELECT lane, count(*), min(id),
       min(CASE WHEN owner = 0 THEN due END),
       sum(CASE WHEN owner = -1 THEN 1 ELSE 0 END),
       sum(CASE WHEN owner > 0 THEN 1 ELSE 0 END)
FROM queue GROUP BY lane ORDER BY lane

-- name: queue.count_waiting
-- How much waits in a lane, as far as one wants to know.
SELECT count(*) FROM (SELECT 1 FROM queue WHERE lane = $1 AND owner = 0 LIMIT $2) AS waiting

-- name: queue.make_due
-- An operator says: try now.
UPDATE queue SET state = 'queued', due = $2 WHERE id = $1 AND owner = 0
RETURNING id, last_event

-- name: queue.release
-- An operator lets a held delivery go.
UPDATE queue SET owner = 0, state = 'queued', due = $2 WHERE id = $1 AND owner = -1
RETURNING id, last_event

-- name: queue.hold
-- An operator stops a delivery that is not being worked on.
UPDATE queue SET owner = -1, state = 'held',
    due = (SELECT m.expires_at FROM message m WHERE m.id = (queue.id >> 10))
WHERE id = $1 AND owner = 0 RETURNING id, last_event

-- name: queue.cancel
-- An operator ends a delivery that is not being worked on.
DELETE FROM queue WHERE id = $1 AND owner <= 0
RETURNING id, last_event, attempts, uncertain, recipient

-- name: queue.move
-- An operator sends it another way: into another lane. One that waits for a later attempt is due now.
UPDATE queue SET lane = $2, due = CASE WHEN state = 'deferred' THEN $3 ELSE due END
WHERE id = $1 AND owner <= 0 AND lane <> $2 RETURNING id, last_event

-- name: queue.put_back
-- Out of a process's memory, unsent.
UPDATE queue SET owner = 0 WHERE id = $1 AND owner = $2

-- name: queue.set_last_event
-- The newest link of a delivery's history.
UPDATE queue SET last_event = $2 WHERE id = $1

-- name: queue.end_message
-- The caller is being told that it failed, so nothing may leave any more.
DELETE FROM queue WHERE id BETWEEN $1 AND $2
RETURNING id, last_event, attempts, uncertain, recipient, owner

-- name: queue.expired
-- Held deliveries whose message has outlived its time: a held one is due when it expires.
SELECT id, lane, state, due, attempts, last_event, uncertain, recipient, owner FROM queue
WHERE owner = -1 AND due <= $1 ORDER BY due, id LIMIT $2

-- name: obligation.due
-- What is owed and due, by id.
SELECT id, kind, app, delivery, due FROM obligation
WHERE id > $1 AND due <= $2 ORDER BY id LIMIT $3

-- name: obligation.drop
-- It cannot be paid.
DELETE FROM obligation WHERE id = $1 RETURNING id, app, delivery

-- name: started.of
-- What a dead process may have been sending.
SELECT ids FROM started WHERE owner = $1

-- name: started.others
-- What other processes may be sending now.
SELECT ids FROM started WHERE owner <> $1

-- name: queue.to_mark
-- A delivery that is about to leave: what an operator does to it comes before or after.
SELECT id, lane, state, due, attempts, last_event, uncertain, recipient, owner FROM queue
WHERE id = $1

-- name: recover.mark
-- One delivery that may have left: its row and its submitter's policy.
SELECT q.id, q.lane, q.due, q.attempts, q.last_event, m.uncertain, m.app
FROM queue q JOIN message m ON m.id = (q.id >> 10)
WHERE q.id = $1 AND q.owner >= 0

-- name: recover.owned
-- How many deliveries a dead process held in memory.
SELECT count(*) FROM queue WHERE owner = $1

-- name: recover.release
-- Everything a dead process owned waits again.
UPDATE queue SET owner = 0 WHERE owner = $1

-- name: recover.clear_started
-- Its marks were followed up.
DELETE FROM started WHERE owner = $1

-- name: recover.leases
-- The shards it read are anybody's.
UPDATE lease SET owner = 0, epoch = epoch + 1 WHERE owner = $1

-- name: message.highest
-- Where to go on numbering.
SELECT coalesce(max(id), 0) FROM message

-- name: event.highest
-- Where to go on numbering.
SELECT coalesce(max(seq), 0) FROM event
