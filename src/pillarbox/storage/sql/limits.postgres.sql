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

-- name: quota.make
-- The hour that is counted in, if it was never counted in.
INSERT INTO spending (name, since, spent) VALUES ($1, 0, 0) ON CONFLICT (name) DO NOTHING

-- name: quota.take
-- As much as the hours before and this one leave. Only this hour is still taken from, so that its row
-- is the one to lock; one who is late, or whose clock is slow, counts in the hour that has begun.
WITH held AS MATERIALIZED (
    SELECT greatest(since, $2) AS since, CASE WHEN since >= $2 THEN spent ELSE 0 END AS spent
    FROM spending WHERE name = $1 FOR UPDATE
), before AS (
    SELECT coalesce(sum(spent), 0)::bigint AS spent FROM spending
    WHERE name >= $3 AND name < $4 AND name <> $1 AND since > $5
), taken AS (
    SELECT held.since, held.spent, before.spent AS before,
        greatest(least($7::bigint, $6::bigint - held.spent - before.spent), 0) AS number
    FROM held, before
)
UPDATE spending SET since = taken.since, spent = taken.spent + taken.number FROM taken
WHERE spending.name = $1 RETURNING taken.number, taken.before + taken.spent + taken.number

-- name: circuit.all
-- Servers that fail.
SELECT name, errors, pauses, until, trial > (extract(epoch FROM clock_timestamp()) * 1000)::bigint, words, changed_at
FROM circuit ORDER BY name

-- name: circuit.try
-- One tries a server whose pause is over.
UPDATE circuit SET trial = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $3
WHERE name = $1 AND until > 0 AND until <= $2 AND trial <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint
RETURNING name
