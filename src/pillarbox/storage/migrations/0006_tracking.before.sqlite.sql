-- What tracked links and images lead back to.

-- Keys of tokens by number; the highest is the current one. `secret` is sealed.
CREATE TABLE token_key (
    number     INTEGER PRIMARY KEY,
    secret     BLOB    NOT NULL,
    made_at    INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

-- Images by the SHA-256 of their bytes: those taken out of messages (`hosted` = 1) and those that
-- were fetched. The bytes lie in blocks; a block without its image belongs to one being written.
CREATE TABLE image (
    digest     BLOB    PRIMARY KEY,
    media_type TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    hosted     INTEGER NOT NULL,
    used_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX image_used ON image (hosted, used_at);

CREATE TABLE image_block (
    digest BLOB    NOT NULL,
    n      INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    body   BLOB    NOT NULL,
    PRIMARY KEY (digest, n)
) STRICT;
CREATE INDEX image_block_at ON image_block (at);

-- What was found at an address (`id` is its SHA-256): an image, or none, and until when that holds.
CREATE TABLE image_address (
    id       BLOB    PRIMARY KEY,
    digest   BLOB,
    until_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX image_address_until ON image_address (until_at);

-- Which events tell of a reader of a delivery.
CREATE TABLE visit (
    delivery INTEGER NOT NULL,
    event    INTEGER NOT NULL,
    PRIMARY KEY (delivery, event)
) STRICT, WITHOUT ROWID;
