-- What domains demand of TLS, and what became of sessions with their hosts.

-- MTA-STS policies as they were fetched: each holds until its time is over, whatever can be fetched
-- meanwhile.
CREATE TABLE sts_policy (
    domain     TEXT    PRIMARY KEY,
    expires_at BIGINT  NOT NULL,
    facts      BYTEA   NOT NULL
);

-- Sessions of one day that went one way; `id` is the digest of all that tells two ways apart.
CREATE TABLE tls_session (
    id       BYTEA   PRIMARY KEY,
    day      BIGINT  NOT NULL,
    domain   TEXT    NOT NULL,
    count    BIGINT  NOT NULL,
    reported BIGINT  NOT NULL,
    facts    BYTEA   NOT NULL
);
CREATE INDEX tls_session_day ON tls_session (day, domain);
