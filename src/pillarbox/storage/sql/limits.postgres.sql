-- name: spending.lock
-- What is spent of some limits, kept from others until the commit. Rows are locked in their order.
INSERT INTO spending (name, since, spent) SELECT name, 0, 0 FROM unnest($1::bytea[]) AS wanted (name)
ON CONFLICT (name) DO UPDATE SET spent = spending.spent
RETURNING name, since, spent

-- name: bucket.make
-- Full.
INSERT INTO bucket (name, tokens, at) VALUES ($1, $2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
ON CONFLICT (name) DO NOTHING

-- name: bucket.take
-- Whole tokens, as many as there are after what has run into it. The clock is asked once, in the
-- part that locks: whoever had to wait for the row asks anew.
WITH held AS MATERIALIZED (
    SELECT tokens, at, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now
    FROM bucket WHERE name = $1 FOR UPDATE
), filled AS (
    SELECT now, least($3::float8, tokens + greatest(now - at, 0) * $2::float8 / 1000) AS tokens FROM held
), taken AS (
    SELECT now, tokens, least($4::bigint, floor(tokens)::bigint) AS number FROM filled
)
UPDATE bucket SET tokens = taken.tokens - taken.number, at = taken.now FROM taken
WHERE bucket.name = $1 RETURNING taken.number

-- name: circuit.all
-- Servers that fail.
SELECT name, errors, pauses, until, trial > (extract(epoch FROM clock_timestamp()) * 1000)::bigint, words, changed_at
FROM circuit ORDER BY name

-- name: circuit.try
-- One tries a server whose pause is over.
UPDATE circuit SET trial = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $3
WHERE name = $1 AND until > 0 AND until <= $2 AND trial <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint
RETURNING name
