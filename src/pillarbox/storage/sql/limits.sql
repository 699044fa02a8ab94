-- name: spending.one
-- What is spent of a limit, and since when.
SELECT name, since, spent FROM spending WHERE name = $1

-- name: spending.set
-- What a group has brought it to.
INSERT INTO spending (name, since, spent) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET since = excluded.since, spent = excluded.spent

-- name: circuit.failed
-- A server failed. During a pause `trial` says more than who may try: 0 is a pause that nobody has
-- failed in, -1 one in which failures were counted. So what comes back says whether this began it.
INSERT INTO circuit (name, errors, pauses, until, trial, changed_at, words)
VALUES ($1, 1,
    CASE WHEN CAST($3 AS BIGINT) <= 1 THEN 1 ELSE 0 END,
    CASE WHEN CAST($3 AS BIGINT) <= 1 THEN CAST($4 AS BIGINT) ELSE 0 END,
    0, $2, $5)
ON CONFLICT (name) DO UPDATE SET
    errors = circuit.errors + 1,
    pauses = CASE WHEN circuit.trial > 0 OR (circuit.until = 0 AND circuit.errors + 1 >= CAST($3 AS BIGINT))
        THEN circuit.pauses + 1 ELSE circuit.pauses END,
    until = CASE WHEN circuit.trial > 0 OR (circuit.until = 0 AND circuit.errors + 1 >= CAST($3 AS BIGINT))
        THEN CAST($4 AS BIGINT) ELSE circuit.until END,
    trial = CASE WHEN circuit.trial > 0 OR circuit.until = 0 THEN 0 ELSE -1 END,
    changed_at = excluded.changed_at,
    words = excluded.words
RETURNING errors, until, CASE WHEN until > 0 AND trial = 0 THEN 1 ELSE 0 END

-- name: circuit.works
-- Nothing is to be said of it any more.
DELETE FROM circuit WHERE name = $1 RETURNING until

-- name: quota.parts
-- What was taken of a quota, in the hours that are still kept.
SELECT since, spent FROM spending WHERE name >= $1 AND name < $2
