-- name: tls.policy
-- The MTA-STS policy of a domain.
SELECT facts FROM sts_policy WHERE domain = $1 AND expires_at > $2

-- name: tls.keep_policy
-- Fetched.
INSERT INTO sts_policy (domain, expires_at, facts) VALUES ($1, $2, $3)
ON CONFLICT (domain) DO UPDATE SET expires_at = excluded.expires_at, facts = excluded.facts

-- name: tls.count
-- Sessions, or once more some of the same.
INSERT INTO tls_session (id, day, domain, count, reported, facts) VALUES ($1, $2, $3, $4, 0, $5)
ON CONFLICT (id) DO UPDATE SET count = tls_session.count + excluded.count

-- name: tls.of_day
-- What was counted on a day.
SELECT count, facts FROM tls_session WHERE day = $1

-- name: tls.of_domain
-- What was counted on a day for one domain.
SELECT count, facts FROM tls_session WHERE day = $1 AND domain = $2

-- name: tls.unreported
-- Days and domains that are over and not reported on.
SELECT DISTINCT day, domain FROM tls_session WHERE day < $1 AND reported = 0
ORDER BY day, domain LIMIT $2

-- name: tls.reported
-- The report on a day was sent, or never will be.
UPDATE tls_session SET reported = 1 WHERE day = $1 AND domain = $2

-- name: tls.trim_policies
-- Policies whose time is over.
DELETE FROM sts_policy WHERE expires_at < $1 RETURNING 1

-- name: tls.trim_sessions
-- Days that nobody asks about any more.
DELETE FROM tls_session WHERE day < $1 RETURNING 1
