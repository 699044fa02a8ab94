-- name: idempotency.record_each
-- Guard: only marks come back that were not taken before. $2 holds them, 16 bytes each.
INSERT INTO idempotency (scope, key, digest, message, at)
WITH RECURSIVE place (n) AS (
    SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE (n + 2) * 16 <= length($2)
)
SELECT $1, substr($2, n * 16 + 1, 16), x'', $3, $4 FROM place WHERE true
ON CONFLICT (scope, key) DO NOTHING RETURNING key

-- name: idempotency.find_each
-- Which message took each of these marks.
WITH RECURSIVE place (n) AS (
    SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE (n + 2) * 16 <= length($2)
)
SELECT i.key, i.message FROM place p
CROSS JOIN idempotency i ON i.scope = $1 AND i.key = substr($2, p.n * 16 + 1, 16)
