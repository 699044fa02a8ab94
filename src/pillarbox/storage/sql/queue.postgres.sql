-- name: queue.heads
-- Each shard's first due delivery and its owner: from shard to shard through the index, so that a
-- million deliveries that wait cost what ten do.
WITH RECURSIVE head AS (
    (SELECT lane, (id >> 22) & 7 AS shard, due FROM queue WHERE owner = 0
     ORDER BY lane, (id >> 22) & 7, due, id LIMIT 1)
    UNION ALL
    SELECT n.lane, n.shard, n.due FROM head h CROSS JOIN LATERAL (
        SELECT lane, (id >> 22) & 7 AS shard, due FROM queue
        WHERE owner = 0 AND (lane, (id >> 22) & 7) > (h.lane, h.shard)
        ORDER BY lane, (id >> 22) & 7, due, id LIMIT 1) n
)
SELECT l.id, l.app, l.route, l.destination, h.shard, h.due, coalesce(s.owner, 0)
FROM head h JOIN lane l ON l.id = h.lane
LEFT JOIN lease s ON s.lane = h.lane AND s.shard = h.shard
ORDER BY h.lane, h.shard

-- name: queue.claim_of_shards
-- Due deliveries of the shards of a lane that the caller has leased. Nothing is written.
SELECT q.* FROM unnest(string_to_array($6, ',')::bigint[]) AS s(shard) CROSS JOIN LATERAL (
    SELECT id, lane, state, due, attempts, last_event, uncertain, recipient, owner FROM queue
    WHERE owner = 0 AND lane = $1 AND ((id >> 22) & 7) = s.shard AND (due, id) > ($2, $3) AND due <= $4
    ORDER BY due, id LIMIT $5) q
ORDER BY q.due, q.id LIMIT $5

-- name: queue.to_mark
-- Deliveries about to leave: what an operator does to them on another node comes before or after.
SELECT id, lane, state, due, attempts, last_event, uncertain, recipient, owner FROM queue
WHERE id = ANY(string_to_array($1, ',')::bigint[]) ORDER BY id FOR UPDATE

-- name: lease.add
-- First use of some shards, as pairs LANE:SHARD.
INSERT INTO lease (lane, shard, owner, epoch)
SELECT split_part(pair, ':', 1)::bigint, split_part(pair, ':', 2)::bigint, 0, 0
FROM unnest(string_to_array($1, ',')) AS pair ORDER BY 1, 2
ON CONFLICT (lane, shard) DO NOTHING

-- name: lease.take
-- Shards nobody has; one that somebody is just taking is passed over.
UPDATE lease l SET owner = $2, epoch = l.epoch + 1
FROM (SELECT f.lane, f.shard FROM lease f
      JOIN unnest(string_to_array($1, ',')) AS pair
        ON f.lane = split_part(pair, ':', 1)::bigint AND f.shard = split_part(pair, ':', 2)::bigint
      WHERE f.owner = 0 FOR UPDATE OF f SKIP LOCKED) free
WHERE l.lane = free.lane AND l.shard = free.shard
RETURNING l.lane, l.shard

-- name: lease.release
-- Let go of.
UPDATE lease l SET owner = 0, epoch = l.epoch + 1
FROM unnest(string_to_array($1, ',')) AS pair
WHERE l.lane = split_part(pair, ':', 1)::bigint AND l.shard = split_part(pair, ':', 2)::bigint
  AND l.owner = $2

-- name: lease.workers
-- How many nodes deliver now.
SELECT count(*) FROM incarnation i JOIN node n ON n.number = i.number
WHERE i.ended_at IS NULL AND i.until > (extract(epoch FROM clock_timestamp()) * 1000)::bigint
  AND n.draining = 0 AND 'deliver' = ANY(string_to_array(i.roles, ','))

-- name: idempotency.record_each
-- Guard: only marks come back that were not taken before. $2 holds them, 16 bytes each; they are
-- taken in order, so that no two nodes wait for each other in a ring.
INSERT INTO idempotency (scope, key, digest, message, at)
SELECT $1::bytea, mark, ''::bytea, $3::bigint, $4::bigint
FROM (
    SELECT substr($2::bytea, n * 16 + 1, 16) AS mark
    FROM generate_series(0, length($2::bytea) / 16 - 1) n ORDER BY 1
) marks
ON CONFLICT (scope, key) DO NOTHING RETURNING key

-- name: idempotency.find_each
-- Which message took each of these marks: one look-up for each, whatever the planner thinks of them.
SELECT i.key, i.message
FROM (
    SELECT substr($2::bytea, n * 16 + 1, 16) AS mark
    FROM generate_series(0, length($2::bytea) / 16 - 1) n
) marks
CROSS JOIN LATERAL (
    SELECT key, message FROM idempotency WHERE scope = $1 AND key = marks.mark LIMIT 1
) i
