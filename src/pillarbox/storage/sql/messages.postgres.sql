-- name: message.many
-- Message rows.
SELECT id, app, submitter, mode, size, return_path, author, subject, message_id, expires_at,
       uncertain, answer_by, scheduled_at, facts
FROM message WHERE id = ANY(string_to_array($1, ',')::bigint[])

-- name: event.delete_before
-- Retention, node by node through the key, for what lies in no week of its own.
DELETE FROM event e USING (
    SELECT o.node, o.seq FROM generate_series(0, 63) AS n(number) CROSS JOIN LATERAL (
        SELECT node, seq FROM event WHERE node = n.number AND seq < $1 ORDER BY seq LIMIT $3) o) o
WHERE e.node = o.node AND e.seq = o.seq AND e.at < $2 RETURNING 1
