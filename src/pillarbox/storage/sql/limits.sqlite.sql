-- name: bucket.fill
-- What has run into it since it was last asked.
INSERT INTO bucket (name, tokens, at) VALUES ($1, $3, CAST(unixepoch('subsec') * 1000 AS INTEGER))
ON CONFLICT (name) DO UPDATE SET
    tokens = min($3, tokens + max(excluded.at - at, 0) * $2 / 1000.0),
    at = excluded.at
RETURNING tokens

-- name: bucket.take
-- Whole tokens, as many as there are.
UPDATE bucket SET tokens = tokens - min($2, CAST(tokens AS INTEGER)) WHERE name = $1

-- name: quota.begin
-- The hour that is counted in; what its row held a day and more ago is gone.
INSERT INTO spending (name, since, spent) VALUES ($1, $2, 0)
ON CONFLICT (name) DO UPDATE SET
    spent = CASE WHEN since >= excluded.since THEN spent ELSE 0 END,
    since = max(since, excluded.since)
RETURNING spent

-- name: quota.take
-- As much as the hours before and this one leave.
UPDATE spending SET spent = spent + max(min($6, $5 - (
    SELECT coalesce(sum(part.spent), 0) FROM spending AS part
    WHERE part.name >= $2 AND part.name < $3 AND part.since > $4
)), 0) WHERE name = $1
RETURNING spent

-- name: circuit.all
-- Servers that fail.
SELECT name, errors, pauses, until, trial > CAST(unixepoch('subsec') * 1000 AS INTEGER), words, changed_at
FROM circuit ORDER BY name

-- name: circuit.try
-- One tries a server whose pause is over.
UPDATE circuit SET trial = CAST(unixepoch('subsec') * 1000 AS INTEGER) + $3
WHERE name = $1 AND until > 0 AND until <= $2 AND trial <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
RETURNING name
