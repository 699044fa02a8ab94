-- name: lease.take
-- Nobody else is there.
UPDATE lease SET owner = $3, epoch = epoch + 1 WHERE lane = $1 AND shard = $2 AND owner = 0
RETURNING lane, shard
