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

-- name: circuit.all
-- Servers that fail.
SELECT name, errors, pauses, until, trial > CAST(unixepoch('subsec') * 1000 AS INTEGER), words, changed_at
FROM circuit ORDER BY name

-- name: circuit.try
-- One tries a server whose pause is over.
UPDATE circuit SET trial = CAST(unixepoch('subsec') * 1000 AS INTEGER) + $3
WHERE name = $1 AND until > 0 AND until <= $2 AND trial <= CAST(unixepoch('subsec') * 1000 AS INTEGER)
RETURNING name
