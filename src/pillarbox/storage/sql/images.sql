-- A sum in a condition keeps its index out: there are others, which look good in an empty table.

-- name: image.one
-- What is known of an image.
SELECT media_type, size, hosted, used_at FROM image WHERE digest = $1

-- name: image.length
-- How many of its bytes are there.
SELECT CAST(coalesce(sum(length(body)), 0) AS BIGINT) FROM image_block WHERE digest = $1

-- name: image.blocks
-- Its bytes.
SELECT body FROM image_block WHERE digest = $1 ORDER BY n

-- name: image.save_block
-- Ahead of the image it belongs to.
INSERT INTO image_block (digest, n, at, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (digest, n) DO UPDATE SET at = excluded.at

-- name: image.save
-- It is there; once hosted it stays hosted.
INSERT INTO image (digest, media_type, size, hosted, used_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (digest) DO UPDATE SET
    hosted = CASE WHEN image.hosted > excluded.hosted THEN image.hosted ELSE excluded.hosted END,
    used_at = excluded.used_at

-- name: image.used
-- Last use, written some time later.
UPDATE image SET used_at = $2 WHERE digest = $1

-- name: image.address
-- What was found at an address.
SELECT digest, until_at FROM image_address WHERE id = $1 AND until_at + 0 > $2

-- name: image.save_address
-- Looked at.
INSERT INTO image_address (id, digest, until_at) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, until_at = excluded.until_at

-- name: image.unused
-- Images of one kind, the longest unused first.
SELECT digest, size, used_at FROM image WHERE hosted = $1 AND used_at < $2 ORDER BY used_at LIMIT $3

-- name: image.weight
-- How much those of one kind are together.
SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM image WHERE hosted = $1

-- name: image.delete
-- Nobody asks for it; one that was used or hosted meanwhile stays.
DELETE FROM image WHERE digest = $1 AND hosted + 0 = $2 AND used_at + 0 = $3

-- name: image.delete_blocks
-- Its bytes, where it is gone and is not being written anew.
DELETE FROM image_block WHERE digest = $1 AND at + 0 < $2
AND NOT EXISTS (SELECT 1 FROM image i WHERE i.digest = $1)

-- name: image.orphans
-- Bytes of images that never came to be.
SELECT b.digest FROM image_block b WHERE b.at < $1
AND NOT EXISTS (SELECT 1 FROM image i WHERE i.digest = b.digest) ORDER BY b.at LIMIT $2

-- name: image.drop_addresses
-- What does not hold any more.
DELETE FROM image_address WHERE until_at < $1
