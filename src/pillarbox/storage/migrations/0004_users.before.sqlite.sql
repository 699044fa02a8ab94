-- People who sign in, and the tokens they were given for it.

-- `email` is the address they sign in with, in lower case; as it was written it stands in `facts`.
-- `secret` is the Argon2 hash of the password.
CREATE TABLE person (
    id      BLOB PRIMARY KEY,
    account BLOB NOT NULL,
    email   TEXT NOT NULL UNIQUE,
    secret  TEXT NOT NULL,
    used_at INTEGER,
    facts   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Of a token there is only its SHA-256.
CREATE TABLE token (
    hash       BLOB    PRIMARY KEY,
    person     BLOB    NOT NULL,
    opened_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX token_person ON token (person, opened_at);
CREATE INDEX token_end ON token (expires_at);
