-- name: problem.trim
-- All but the newest, and what is too old; what another node is counting just now stays for once.
DELETE FROM problem WHERE id IN (
    SELECT id FROM problem
    WHERE last_at < $2 OR id IN (SELECT id FROM problem ORDER BY last_at DESC, id OFFSET $1)
    FOR UPDATE SKIP LOCKED
)
RETURNING 1
