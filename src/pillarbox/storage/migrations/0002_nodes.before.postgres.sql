-- What several nodes share: who they are, which shards of lanes they hold, what they limit together.

-- A node's number stands in the low six bits of the ids it gives. `place` is drawn once for a data
-- directory: whoever holds that directory knows that no other process is the node.
CREATE TABLE node (
    number   BIGINT PRIMARY KEY,
    name     TEXT    NOT NULL UNIQUE,
    place    TEXT    NOT NULL UNIQUE,
    draining BIGINT NOT NULL DEFAULT 0
);

-- A process in its time. It owns what it took until `until`, by the clock of the database. Whoever
-- takes over notes `ended_at`, after which the process commits nothing any more, and then frees what it
-- owned, in the transaction that sets `recovered`. `pid` is its session at the server; `last_group`
-- tells it whether a commit that was not answered has happened.
ALTER TABLE incarnation ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incarnation ADD COLUMN recovered BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incarnation ADD COLUMN pid BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incarnation ADD COLUMN last_group BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incarnation ADD COLUMN beat_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incarnation ADD COLUMN until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incarnation ADD COLUMN schema BIGINT NOT NULL DEFAULT 1;
ALTER TABLE incarnation ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE incarnation ADD COLUMN roles TEXT NOT NULL DEFAULT '';
ALTER TABLE incarnation ADD COLUMN load BYTEA NOT NULL DEFAULT '';

-- Who may read a shard of a lane; owner 0 is nobody. The epoch counts its owners.
CREATE TABLE lease (
    lane  BIGINT NOT NULL,
    shard BIGINT NOT NULL,
    owner BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    PRIMARY KEY (lane, shard)
);

-- One row: moved by every change of accounts, apps, servers, credentials, keys.
CREATE TABLE directory (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO directory (id, version) VALUES (1, 1);

-- What has to be known of this store before it is used, such as which key its secrets need.
CREATE TABLE mark (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- How much of a limit is spent in the period that began at `since`.
CREATE TABLE spending (
    name  BYTEA PRIMARY KEY,
    since BIGINT NOT NULL,
    spent BIGINT NOT NULL
);

-- A bucket of tokens: how many were left at `at`.
CREATE TABLE bucket (
    name   BYTEA PRIMARY KEY,
    tokens DOUBLE PRECISION NOT NULL,
    at     BIGINT NOT NULL
);

-- The circuit of a server: errors in a row, paused until, and who may try it meanwhile.
CREATE TABLE circuit (
    name       BYTEA PRIMARY KEY,
    errors     BIGINT NOT NULL,
    pauses     BIGINT NOT NULL,
    until      BIGINT NOT NULL,
    trial      BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    words      TEXT    NOT NULL
);

ALTER TABLE lease SET (fillfactor = 50);
ALTER TABLE incarnation SET (fillfactor = 50);
ALTER TABLE spending SET (fillfactor = 50);
ALTER TABLE bucket SET (fillfactor = 50);

-- One notice of a kind for each delivery, however often it is said that it is owed.
CREATE UNIQUE INDEX obligation_once ON obligation (delivery, kind);
