-- name: account.all
-- Oldest first: ids begin with their time.
SELECT facts FROM account ORDER BY id

-- name: account.save
-- Insert or replace.
INSERT INTO account (id, name, facts) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, facts = excluded.facts

-- name: app.all
-- By name.
SELECT facts FROM app ORDER BY name

-- name: app.save
-- Insert or replace.
INSERT INTO app (id, account, name, facts) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, facts = excluded.facts

-- name: app.delete
-- Its servers and credentials go with it.
DELETE FROM app WHERE id = $1 RETURNING id

-- name: app.waiting
-- Whether mail of an app still waits.
SELECT 1 FROM queue q JOIN lane l ON l.id = q.lane WHERE l.app = $1 LIMIT 1

-- name: server.all
-- Every server; priority and age order them in memory.
SELECT id, errors, secret, facts FROM server ORDER BY id

-- name: server.save
-- Insert or replace; the error count is moved by settlements alone.
INSERT INTO server (id, app, name, errors, secret, facts) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, secret = excluded.secret,
    facts = excluded.facts

-- name: server.judge
-- Enabled or disabled; one that is gone stays away.
UPDATE server SET facts = $2 WHERE id = $1 RETURNING id

-- name: server.delete
-- Gone.
DELETE FROM server WHERE id = $1 RETURNING id

-- name: server.delete_of_app
-- Gone with its app.
DELETE FROM server WHERE app = $1

-- name: credential.by_username
-- A login, also by the user name it had before it was rotated.
SELECT facts, used_at, last_use, former_use FROM credential WHERE username = $1
UNION ALL
SELECT facts, used_at, last_use, former_use FROM credential WHERE former_username = $1
LIMIT 1

-- name: credential.one
-- A login.
SELECT facts, used_at, last_use, former_use FROM credential WHERE id = $1

-- name: credential.all
-- By name.
SELECT facts, used_at, last_use, former_use FROM credential ORDER BY name

-- name: credential.save
-- Insert or replace.
INSERT INTO credential (id, app, name, username, former_username, used_at, facts)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, username = excluded.username,
    former_username = excluded.former_username, facts = excluded.facts

-- name: credential.delete
-- Gone.
DELETE FROM credential WHERE id = $1 RETURNING id

-- name: credential.delete_of_app
-- Gone with its app.
DELETE FROM credential WHERE app = $1

-- name: credential.used
-- Last use, written some time later.
UPDATE credential SET used_at = $2, last_use = COALESCE($3, last_use),
    former_use = COALESCE($4, former_use)
WHERE id = $1

-- name: key.by_hash
-- A key by what it hashes to.
SELECT facts, used_at FROM key WHERE secret_hash = $1

-- name: key.one
-- A key.
SELECT facts, used_at FROM key WHERE id = $1

-- name: key.all
-- By name.
SELECT facts, used_at FROM key ORDER BY name

-- name: key.save
-- Insert or replace.
INSERT INTO key (id, account, name, secret_hash, used_at, facts) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, facts = excluded.facts

-- name: key.delete
-- Gone.
DELETE FROM key WHERE id = $1 RETURNING id

-- name: key.used
-- Last use, written some time later.
UPDATE key SET used_at = $2 WHERE id = $1

-- name: problem.note
-- A problem, or once more the same.
INSERT INTO problem (id, reference, credential, count, first_at, last_at, facts)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET count = problem.count + excluded.count, last_at = excluded.last_at,
    credential = excluded.credential, facts = excluded.facts

-- name: problem.trim
-- All but the newest, and what is too old.
DELETE FROM problem
WHERE id IN (SELECT id FROM problem ORDER BY last_at DESC, id LIMIT 1000000 OFFSET $1)
   OR last_at < $2
RETURNING 1

-- name: problem.newest
-- Those met last.
SELECT facts, count, first_at, last_at FROM problem ORDER BY last_at DESC, id LIMIT $1
