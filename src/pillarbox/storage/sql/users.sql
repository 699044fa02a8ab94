-- name: person.all
-- By the address they sign in with.
SELECT facts, secret, used_at FROM person ORDER BY email

-- name: person.one
-- A user.
SELECT facts, secret, used_at FROM person WHERE id = $1

-- name: person.by_email
-- A user by the address they sign in with, in lower case.
SELECT facts, secret, used_at FROM person WHERE email = $1

-- name: person.save
-- Insert or replace.
INSERT INTO person (id, account, email, secret, facts) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO UPDATE SET email = excluded.email, secret = excluded.secret,
    facts = excluded.facts

-- name: person.delete
-- Gone.
DELETE FROM person WHERE id = $1 RETURNING id

-- name: person.used
-- They signed in, and still have the password that was compared.
UPDATE person SET used_at = $3 WHERE id = $1 AND secret = $2 RETURNING id

-- name: token.save
-- Kept only where the user still has the password that was compared.
INSERT INTO token (hash, person, opened_at, expires_at, used_at)
SELECT $1, $2, $3, $4, $3 FROM person WHERE id = $2 AND secret = $5

-- name: token.trim
-- All but the newest of a user.
DELETE FROM token WHERE person = $1 AND opened_at <
    (SELECT opened_at FROM token WHERE person = $1 ORDER BY opened_at DESC LIMIT 1 OFFSET $2)

-- name: token.one
-- Whose it is, and until when.
SELECT person, expires_at, used_at FROM token WHERE hash = $1

-- name: token.used
-- Last use.
UPDATE token SET used_at = $2 WHERE hash = $1

-- name: token.delete_of_person
-- All of a user's end.
DELETE FROM token WHERE person = $1 RETURNING 1

-- name: token.drop
-- Those that are over.
DELETE FROM token WHERE expires_at < $1 RETURNING 1
