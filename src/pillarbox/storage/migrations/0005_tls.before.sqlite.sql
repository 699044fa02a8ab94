-- What domains demand of TLS, and what became of sessions with their hosts.

-- MTA-STS policies as they were fetched: each holds until its time is over, whatever can be fetched
-- meanwhile.
CREATE TABLE sts_policy (
    domain     TEXT    PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    facts      BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- Sessions of one day that went one way; `id` is the digest of all that tells two ways apart.
CREATE TABLE tls_session (
    id       BLOB    PRIMARY KEY,
    day      INTEGER NOT NULL,
    domain   TEXT    NOT NULL,
    count    INTEGER NOT NULL,
    reported INTEGER NOT NULL,
    facts    BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tls_session_day ON tls_session (day, domain);
