-- People who sign in, and the tokens they were given for it.

-- `email` is the address they sign in with, in lower case; as it was written it stands in `facts`.
-- `secret` is the Argon2 hash of the password.
CREATE TABLE person (
    id      BYTEA PRIMARY KEY,
    account BYTEA NOT NULL,
    email   TEXT  NOT NULL UNIQUE,
    secret  TEXT  NOT NULL,
    used_at BIGINT,
    facts   BYTEA NOT NULL
);

-- Of a token there is only its SHA-256.
CREATE TABLE token (
    hash       BYTEA  PRIMARY KEY,
    person     BYTEA  NOT NULL,
    opened_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL
);
CREATE INDEX token_person ON token (person, opened_at);
CREATE INDEX token_end ON token (expires_at);
