-- What several nodes share: who they are, which shards of lanes they hold, what they limit together.

-- A node's number stands in the low six bits of the ids it gives. `place` is drawn once for a data
-- directory: whoever holds that directory knows that no other process is the node.
CREATE TABLE node (
    number   INTEGER PRIMARY KEY,
    name     TEXT    NOT NULL UNIQUE,
    place    TEXT    NOT NULL UNIQUE,
    draining INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A process in its time. It owns what it took until `until`, by the clock of the database. Whoever
-- takes over notes `ended_at`, after which the process commits nothing any more, and then frees what it
-- owned, in the transaction that sets `recovered`. `pid` is its session at the server; `last_group`
-- tells it whether a commit that was not answered has happened.
ALTER TABLE incarnation ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incarnation ADD COLUMN recovered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incarnation ADD COLUMN pid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incarnation ADD COLUMN last_group INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incarnation ADD COLUMN beat_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incarnation ADD COLUMN until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incarnation ADD COLUMN schema INTEGER NOT NULL DEFAULT 1;
ALTER TABLE incarnation ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE incarnation ADD COLUMN roles TEXT NOT NULL DEFAULT '';
ALTER TABLE incarnation ADD COLUMN load BLOB NOT NULL DEFAULT x'';

-- Who may read a shard of a lane; owner 0 is nobody. The epoch counts its owners.
CREATE TABLE lease (
    lane  INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (lane, shard)
) STRICT, WITHOUT ROWID;

-- One row: moved by every change of accounts, apps, servers, credentials, keys.
CREATE TABLE directory (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO directory (id, version) VALUES (1, 1);

-- What has to be known of this store before it is used, such as which key its secrets need.
CREATE TABLE mark (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- How much of a limit is spent in the period that began at `since`.
CREATE TABLE spending (
    name  BLOB PRIMARY KEY,
    since INTEGER NOT NULL,
    spent INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A bucket of tokens: how many were left at `at`.
CREATE TABLE bucket (
    name   BLOB PRIMARY KEY,
    tokens REAL    NOT NULL,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The circuit of a server: errors in a row, paused until, and who may try it meanwhile.
CREATE TABLE circuit (
    name       BLOB PRIMARY KEY,
    errors     INTEGER NOT NULL,
    pauses     INTEGER NOT NULL,
    until      INTEGER NOT NULL,
    trial      INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    words      TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- The number of an event says in its low six bits which node wrote it; this one is number 0.
CREATE TABLE event_numbered (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    app      BLOB    NOT NULL,
    kind     TEXT    NOT NULL,
    delivery INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    data     BLOB    NOT NULL
) STRICT;
INSERT INTO event_numbered (seq, at, app, kind, delivery, previous, data)
SELECT seq << 6, at, app, kind, delivery, previous << 6, data FROM event ORDER BY seq;
DROP TABLE event;
ALTER TABLE event_numbered RENAME TO event;
UPDATE queue SET last_event = last_event << 6;
UPDATE delivery SET last_event = last_event << 6;

-- A held delivery is due when its message has outlived its time: what has expired is found by key.
UPDATE queue SET due = (SELECT m.expires_at FROM message m WHERE m.id = (queue.id >> 10))
WHERE owner = -1 AND EXISTS (SELECT 1 FROM message m WHERE m.id = (queue.id >> 10));
DROP INDEX queue_held;
CREATE INDEX queue_held ON queue (due, id) WHERE owner = -1;

-- Calls remembered are forgotten by age.
CREATE INDEX idempotency_at ON idempotency (at);

-- One notice of a kind for each delivery, however often it is said that it is owed.
DELETE FROM obligation WHERE id NOT IN (SELECT min(id) FROM obligation GROUP BY delivery, kind);
CREATE UNIQUE INDEX obligation_once ON obligation (delivery, kind);
