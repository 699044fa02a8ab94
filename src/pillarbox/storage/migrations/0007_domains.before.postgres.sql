-- Sending domains, and the keys that sign for them.

-- Several accounts may claim a name; one of them can have proved it. What the last look at its
-- records found is written by whoever looked, beside what people say of the domain, with when the next
-- look is due.
CREATE TABLE domain (
    id      BYTEA  PRIMARY KEY,
    account BYTEA  NOT NULL,
    name    TEXT   NOT NULL,
    proved  BIGINT NOT NULL,
    due_at  BIGINT NOT NULL DEFAULT 0,
    facts   BYTEA  NOT NULL,
    checked BYTEA
);
CREATE UNIQUE INDEX domain_claimed ON domain (account, name);
CREATE UNIQUE INDEX domain_proved ON domain (name) WHERE proved = 1;

-- The private half is sealed.
CREATE TABLE dkim_key (
    domain   BYTEA NOT NULL,
    selector TEXT  NOT NULL,
    state    TEXT  NOT NULL,
    secret   BYTEA NOT NULL,
    facts    BYTEA NOT NULL,
    PRIMARY KEY (domain, selector)
);
