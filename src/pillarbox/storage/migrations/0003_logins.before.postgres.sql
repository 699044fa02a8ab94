-- Logins that are rotated without a gap, what is known of their last use, and why others failed.

-- While a rotated login still holds, its former user name leads to it as well. What is known of the
-- last login, and of the last one with what was rotated away, is written some time later.
ALTER TABLE credential ADD COLUMN former_username TEXT;
ALTER TABLE credential ADD COLUMN last_use BYTEA;
ALTER TABLE credential ADD COLUMN former_use BYTEA;
CREATE UNIQUE INDEX credential_former ON credential (former_username);

-- Connections that led to nothing, each kind once for a client and a user name, with how often.
CREATE TABLE problem (
    id         BYTEA  PRIMARY KEY,
    reference  TEXT   NOT NULL,
    credential BYTEA  NOT NULL,
    count      BIGINT  NOT NULL,
    first_at   BIGINT  NOT NULL,
    last_at    BIGINT  NOT NULL,
    facts      BYTEA  NOT NULL
);
CREATE INDEX problem_last ON problem (last_at);
