-- Certificates of our host names, asked from an authority by ACME.

-- One host each; `chain` and `sealed_key` are there once one was obtained.
CREATE TABLE certificate (
    host       TEXT    PRIMARY KEY,
    since_at   BIGINT  NOT NULL,
    until_at   BIGINT  NOT NULL,
    due_at     BIGINT  NOT NULL,
    tried_at   BIGINT  NOT NULL,
    failures   BIGINT  NOT NULL,
    words      TEXT    NOT NULL,
    chain      TEXT,
    sealed_key BYTEA
);

-- Our accounts with authorities, by the address of their directory.
CREATE TABLE acme_account (
    directory  TEXT    PRIMARY KEY,
    url        TEXT    NOT NULL,
    sealed_key BYTEA   NOT NULL
);

-- What any node answers an authority that looks whether a host is ours.
CREATE TABLE acme_answer (
    token    TEXT    PRIMARY KEY,
    answer   TEXT    NOT NULL,
    until_at BIGINT  NOT NULL
);

-- Deliveries whose recipient asked for no more: it is told once.
CREATE TABLE unsubscribed (
    delivery BIGINT PRIMARY KEY
);
