-- name: token.save
-- Kept only where the user still has the password that was compared.
INSERT INTO token (hash, person, opened_at, expires_at, used_at)
SELECT $1::bytea, id, $3::bigint, $4::bigint, $3::bigint FROM person
WHERE id = $2::bytea AND secret = $5::text
