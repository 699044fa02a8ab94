-- Sending domains, and the keys that sign for them.

-- Several accounts may claim a name; one of them can have proved it. What the last look at its
-- records found is written by whoever looked, beside what people say of the domain, with when the next
-- look is due.
CREATE TABLE domain (
    id      BLOB    PRIMARY KEY,
    account BLOB    NOT NULL,
    name    TEXT    NOT NULL,
    proved  INTEGER NOT NULL,
    due_at  INTEGER NOT NULL DEFAULT 0,
    facts   BLOB    NOT NULL,
    checked BLOB
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX domain_claimed ON domain (account, name);
CREATE UNIQUE INDEX domain_proved ON domain (name) WHERE proved = 1;

-- The private half is sealed.
CREATE TABLE dkim_key (
    domain   BLOB NOT NULL,
    selector TEXT NOT NULL,
    state    TEXT NOT NULL,
    secret   BLOB NOT NULL,
    facts    BLOB NOT NULL,
    PRIMARY KEY (domain, selector)
) STRICT, WITHOUT ROWID;
