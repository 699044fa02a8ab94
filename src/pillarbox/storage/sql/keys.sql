-- name: token_key.all
-- Keys of tokens.
SELECT number, secret, made_at, revoked_at FROM token_key ORDER BY number

-- name: token_key.next
-- One more; none where another node was faster.
INSERT INTO token_key (number, secret, made_at)
SELECT coalesce(max(number), 0) + 1, $1, $2 FROM token_key WHERE TRUE
ON CONFLICT (number) DO NOTHING RETURNING number

-- name: token_key.first
-- The first one, or the first after all were revoked.
INSERT INTO token_key (number, secret, made_at)
SELECT coalesce(max(number), 0) + 1, $1, $2 FROM token_key WHERE TRUE
HAVING NOT EXISTS (
    SELECT 1 FROM token_key k
    WHERE k.revoked_at IS NULL AND k.number = (SELECT max(number) FROM token_key)
)
ON CONFLICT (number) DO NOTHING RETURNING number

-- name: token_key.revoke
-- What was minted with it leads nowhere by itself any more.
UPDATE token_key SET revoked_at = $2 WHERE number = $1 AND revoked_at IS NULL RETURNING number
