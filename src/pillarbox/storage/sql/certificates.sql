-- name: certificate.all
-- What is known of each host's.
SELECT host, since_at, until_at, due_at, tried_at, failures, words FROM certificate ORDER BY host

-- name: certificate.pairs
-- Those that were obtained.
SELECT host, chain, sealed_key FROM certificate WHERE sealed_key IS NOT NULL ORDER BY host

-- name: certificate.want
-- Due now, whether there is one or not.
INSERT INTO certificate (host, since_at, until_at, due_at, tried_at, failures, words)
SELECT $1, 0, 0, $2, 0, 0, ''
WHERE (SELECT count(*) FROM certificate WHERE host <> $1) < $3
ON CONFLICT (host) DO UPDATE SET due_at = excluded.due_at
RETURNING host, since_at, until_at, due_at, tried_at, failures, words

-- name: certificate.keep
-- Obtained.
UPDATE certificate SET since_at = $2, until_at = $3, due_at = $4, tried_at = $5, failures = 0,
    words = '', chain = $6, sealed_key = $7
WHERE host = $1 RETURNING host

-- name: certificate.failed
-- Not obtained.
UPDATE certificate SET due_at = $2, tried_at = $3, failures = $4, words = $5
WHERE host = $1 RETURNING host

-- name: certificate.delete
-- Asked for no more.
DELETE FROM certificate WHERE host = $1 RETURNING host

-- name: acme.account
-- Ours with an authority.
SELECT url, sealed_key FROM acme_account WHERE directory = $1

-- name: acme.keep_account
-- Made.
INSERT INTO acme_account (directory, url, sealed_key) VALUES ($1, $2, $3)
ON CONFLICT (directory) DO UPDATE SET url = excluded.url, sealed_key = excluded.sealed_key

-- name: acme.put_answer
-- What a token is answered with.
INSERT INTO acme_answer (token, answer, until_at) VALUES ($1, $2, $3)
ON CONFLICT (token) DO UPDATE SET answer = excluded.answer, until_at = excluded.until_at

-- name: acme.answer
-- While its time is not over.
SELECT answer FROM acme_answer WHERE token = $1 AND until_at > $2

-- name: acme.drop_answer
-- It was asked for, or never will be.
DELETE FROM acme_answer WHERE token = $1 OR until_at <= $2
