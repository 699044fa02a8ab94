-- name: token.save
-- Kept only where the user still has the password that was compared.
INSERT INTO token (hash, person, opened_at, expires_at, used_at)
SELECT $1::bytea, id, $3::bigint, $4::bigint, $3::bigint FROM person
WHERE id = $2::bytea AND secret = $5::text

-- name: token.trim
-- All but the newest of a user; what another node is removing just now is left to it.
DELETE FROM token WHERE hash IN (
    SELECT hash FROM token
    WHERE hash IN (SELECT hash FROM token WHERE person = $1 ORDER BY opened_at DESC OFFSET $2)
    FOR UPDATE SKIP LOCKED
)

-- name: token.drop
-- Those that are over; what another node is removing just now is left to it.
DELETE FROM token WHERE hash IN (
    SELECT hash FROM token WHERE expires_at < $1 ORDER BY expires_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)
RETURNING 1
