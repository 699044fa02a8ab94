-- name: node.all
-- Every node with its last life; that of a command which opened the store by itself had no role.
SELECT n.name, n.number, n.draining, i.version, i.roles, i.started_at, i.beat_at, i.until, i.ended_at, i.load, i.id
FROM node n LEFT JOIN incarnation i
  ON i.id = (SELECT max(l.id) FROM incarnation l WHERE l.number = n.number AND l.roles <> '')
ORDER BY n.name

-- name: node.drain
-- Asked to stop accepting, or to go on.
UPDATE node SET draining = $2 WHERE name = $1 RETURNING number

-- name: node.forget
-- Gone for good, and nothing of it left to recover.
DELETE FROM node WHERE name = $1
  AND NOT EXISTS (SELECT 1 FROM incarnation i WHERE i.number = node.number AND i.recovered = 0)
RETURNING number

-- name: node.named
-- Whether there is such a node.
SELECT number FROM node WHERE name = $1

-- name: incarnation.unrecovered
-- Lives of a node that are over, and what they owned is not yet free.
SELECT id FROM incarnation WHERE number = $1 AND recovered = 0 AND id <> $2 ORDER BY id

-- name: incarnation.fenced
-- Lives that were ended by another node which did not come to free what they owned.
SELECT i.id, i.node FROM incarnation i
WHERE i.recovered = 0 AND i.ended_at IS NOT NULL AND i.id <> $1 ORDER BY i.id

-- name: incarnation.one
-- Whether a life was ended.
SELECT ended_at FROM incarnation WHERE id = $1

-- name: incarnation.forget
-- Lives long over.
DELETE FROM incarnation WHERE recovered = 1 AND ended_at < $1
  AND id < (SELECT max(l.id) FROM incarnation l WHERE l.number = incarnation.number)

-- name: directory.moved
-- Something of the directory was changed.
UPDATE directory SET version = version + 1 WHERE id = 1

-- name: mark.get
-- What has to be known of this store.
SELECT value FROM mark WHERE name = $1

-- name: mark.put
-- Noted once; whoever comes second reads it.
INSERT INTO mark (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING
