-- The ledger: a hot queue row born owned and deleted when final, history appended once.
-- Keys carry time, so retention is a range and nothing needs a random index.
-- Bytes from outside are BLOB: a TEXT column cannot hold every byte and a NUL ends it for readers.

CREATE TABLE message (
    id           INTEGER PRIMARY KEY,
    app          BLOB    NOT NULL,
    submitter    BLOB    NOT NULL,
    mode         TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    return_path  BLOB    NOT NULL,
    author       BLOB    NOT NULL,
    subject      BLOB    NOT NULL,
    message_id   BLOB    NOT NULL,
    expires_at   INTEGER NOT NULL,
    answer_by    INTEGER,
    scheduled_at INTEGER,
    uncertain    TEXT    NOT NULL,
    facts        BLOB    NOT NULL
) STRICT;

-- id = message * 1024 + block number
CREATE TABLE content (
    id    INTEGER PRIMARY KEY,
    codec INTEGER NOT NULL,
    body  BLOB    NOT NULL
) STRICT;

-- Long content on its way in: rows of `content` that belong to nobody yet.
CREATE TABLE upload (
    message INTEGER PRIMARY KEY,
    owner   INTEGER NOT NULL
) STRICT;

-- owner: 0 waits in its lane, -1 is held, otherwise the incarnation that delivers it from memory.
CREATE TABLE queue (
    id         INTEGER PRIMARY KEY,
    owner      INTEGER NOT NULL,
    lane       INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    due        INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    uncertain  INTEGER NOT NULL,
    last_event INTEGER NOT NULL,
    recipient  BLOB    NOT NULL
) STRICT;
CREATE INDEX queue_waiting ON queue (lane, due, id) WHERE owner = 0;
CREATE INDEX queue_held ON queue (id) WHERE owner = -1;

-- Packed 8-byte ids of deliveries that may be leaving.
CREATE TABLE started (
    seq   INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL,
    ids   BLOB    NOT NULL
) STRICT;

CREATE TABLE delivery (
    id         INTEGER PRIMARY KEY,
    state      TEXT    NOT NULL,
    app        BLOB    NOT NULL,
    attempts   INTEGER NOT NULL,
    uncertain  INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    last_event INTEGER NOT NULL,
    recipient  BLOB    NOT NULL
) STRICT;

-- delivery = message * 1024 + ordinal; ordinal 0 is the message as a whole, 0 is neither.
CREATE TABLE event (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    app      BLOB    NOT NULL,
    kind     TEXT    NOT NULL,
    delivery INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    data     BLOB    NOT NULL
) STRICT;

CREATE TABLE session (
    id    INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    facts BLOB    NOT NULL
) STRICT;

CREATE TABLE lane (
    id          INTEGER PRIMARY KEY,
    app         BLOB NOT NULL,
    route       TEXT NOT NULL,
    destination TEXT NOT NULL,
    hold        INTEGER NOT NULL DEFAULT 0,
    UNIQUE (app, route, destination)
) STRICT;

CREATE TABLE incarnation (
    id         INTEGER PRIMARY KEY,
    node       TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT;

CREATE TABLE cursor (
    name TEXT    PRIMARY KEY,
    seq  INTEGER NOT NULL
) STRICT;

CREATE TABLE obligation (
    id       INTEGER PRIMARY KEY,
    kind     TEXT    NOT NULL,
    app      BLOB    NOT NULL,
    delivery INTEGER NOT NULL,
    due      INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency (
    scope   BLOB    NOT NULL,
    key     BLOB    NOT NULL,
    digest  BLOB    NOT NULL,
    message INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    id    BLOB PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE,
    facts BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE app (
    id      BLOB PRIMARY KEY,
    account BLOB NOT NULL,
    name    TEXT NOT NULL UNIQUE,
    facts   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- `secret` is sealed by the vault; `errors` is moved by settlements.
CREATE TABLE server (
    id     BLOB PRIMARY KEY,
    app    BLOB    NOT NULL,
    name   TEXT    NOT NULL,
    errors INTEGER NOT NULL,
    secret BLOB,
    facts  BLOB    NOT NULL,
    UNIQUE (app, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE credential (
    id       BLOB PRIMARY KEY,
    app      BLOB NOT NULL,
    name     TEXT NOT NULL UNIQUE,
    username TEXT NOT NULL UNIQUE,
    used_at  INTEGER,
    facts    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE key (
    id          BLOB PRIMARY KEY,
    account     BLOB NOT NULL,
    name        TEXT NOT NULL UNIQUE,
    secret_hash BLOB NOT NULL UNIQUE,
    used_at     INTEGER,
    facts       BLOB NOT NULL
) STRICT, WITHOUT ROWID;
