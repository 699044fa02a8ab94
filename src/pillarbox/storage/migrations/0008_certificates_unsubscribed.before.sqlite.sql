-- Certificates of our host names, asked from an authority by ACME.

-- One host each; `chain` and `sealed_key` are there once one was obtained.
CREATE TABLE certificate (
    host       TEXT    PRIMARY KEY,
    since_at   INTEGER NOT NULL,
    until_at   INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    tried_at   INTEGER NOT NULL,
    failures   INTEGER NOT NULL,
    words      TEXT    NOT NULL,
    chain      TEXT,
    sealed_key BLOB
) STRICT, WITHOUT ROWID;

-- Our accounts with authorities, by the address of their directory.
CREATE TABLE acme_account (
    directory  TEXT    PRIMARY KEY,
    url        TEXT    NOT NULL,
    sealed_key BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- What any node answers an authority that looks whether a host is ours.
CREATE TABLE acme_answer (
    token    TEXT    PRIMARY KEY,
    answer   TEXT    NOT NULL,
    until_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Deliveries whose recipient asked for no more: it is told once.
CREATE TABLE unsubscribed (
    delivery INTEGER PRIMARY KEY
) STRICT;
