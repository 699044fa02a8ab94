-- What tracked links and images lead back to.

-- Keys of tokens by number; the highest is the current one. `secret` is sealed.
CREATE TABLE token_key (
    number     BIGINT  PRIMARY KEY,
    secret     BYTEA   NOT NULL,
    made_at    BIGINT  NOT NULL,
    revoked_at BIGINT
);

-- Images by the SHA-256 of their bytes: those taken out of messages (`hosted` = 1) and those that
-- were fetched. The bytes lie in blocks; a block without its image belongs to one being written.
CREATE TABLE image (
    digest     BYTEA   PRIMARY KEY,
    media_type TEXT    NOT NULL,
    size       BIGINT  NOT NULL,
    hosted     BIGINT  NOT NULL,
    used_at    BIGINT  NOT NULL
);
CREATE INDEX image_used ON image (hosted, used_at);

CREATE TABLE image_block (
    digest BYTEA   NOT NULL,
    n      BIGINT  NOT NULL,
    at     BIGINT  NOT NULL,
    body   BYTEA   NOT NULL,
    PRIMARY KEY (digest, n)
);
CREATE INDEX image_block_at ON image_block (at);

-- What was found at an address (`id` is its SHA-256): an image, or none, and until when that holds.
CREATE TABLE image_address (
    id       BYTEA   PRIMARY KEY,
    digest   BYTEA,
    until_at BIGINT  NOT NULL
);
CREATE INDEX image_address_until ON image_address (until_at);

-- Which events tell of a reader of a delivery.
CREATE TABLE visit (
    delivery BIGINT  NOT NULL,
    event    BIGINT  NOT NULL,
    PRIMARY KEY (delivery, event)
);
