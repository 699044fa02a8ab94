-- name: domain.all
-- By name.
SELECT facts, checked FROM domain ORDER BY name, id

-- name: domain.one
-- A domain.
SELECT facts, checked FROM domain WHERE id = $1

-- name: domain.proved
-- Every domain that somebody has proved.
SELECT id, facts FROM domain WHERE proved = 1

-- name: domain.unproved
-- Every domain that nobody has proved yet.
SELECT facts FROM domain WHERE proved = 0

-- name: domain.save
-- Insert or replace; what was found of it stays.
INSERT INTO domain (id, account, name, proved, facts) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO UPDATE SET proved = excluded.proved, facts = excluded.facts

-- name: domain.checked
-- What the last look found; one that is gone stays away, one that was changed meanwhile stays due.
UPDATE domain SET due_at = CASE WHEN due_at = 0 THEN due_at ELSE $2 END, checked = $3
WHERE id = $1 RETURNING id

-- name: domain.look_at
-- When the next look is due; 0: now.
UPDATE domain SET due_at = $2 WHERE id = $1

-- name: domain.due
-- Those whose records want another look, the longest waiting first.
SELECT facts, checked FROM domain WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2

-- name: domain.delete
-- Gone.
DELETE FROM domain WHERE id = $1 RETURNING id

-- name: domain.waiting
-- Whether mail of an account waits that was taken before an instant.
SELECT 1 FROM queue q JOIN lane l ON l.id = q.lane JOIN app a ON a.id = l.app
WHERE q.id < $2 AND a.account = $1 LIMIT 1

-- name: dkim.of_domain
-- A domain's keys.
SELECT facts FROM dkim_key WHERE domain = $1 ORDER BY selector

-- name: dkim.active
-- What signs new mail.
SELECT domain, facts FROM dkim_key WHERE state = 'active'

-- name: dkim.secret
-- A key that may sign, by the names that a message's facts have for it.
SELECT k.domain, k.secret FROM domain d JOIN dkim_key k ON k.domain = d.id
WHERE d.name = $1 AND d.proved = 1 AND k.selector = $2 AND k.state IN ('active', 'retired')

-- name: dkim.add
-- A new key.
INSERT INTO dkim_key (domain, selector, state, secret, facts) VALUES ($1, $2, $3, $4, $5)

-- name: dkim.change
-- Its life goes on; whoever has looked at it before it was revoked comes too late.
UPDATE dkim_key SET state = $3, facts = $4
WHERE domain = $1 AND selector = $2 AND (state <> 'revoked' OR $3 = 'revoked') RETURNING selector

-- name: dkim.delete
-- Gone.
DELETE FROM dkim_key WHERE domain = $1 AND selector = $2 RETURNING selector

-- name: dkim.delete_of_domain
-- Gone with their domain.
DELETE FROM dkim_key WHERE domain = $1
