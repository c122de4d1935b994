-- Subscriptions to events of files: what is told to whom.
CREATE TABLE subscriptions (
    subscription_id TEXT NOT NULL PRIMARY KEY, -- the UUID that clients know
    tenant          TEXT NOT NULL,    -- the tenant whose files it is about
    url             TEXT NOT NULL,    -- where events are sent
    event_types     TEXT NOT NULL,    -- a JSON array of names of events
    patterns        TEXT,             -- a JSON array of globs; NULL = every path
    secret          TEXT,             -- what deliveries are signed with, sealed with the server's secret; NULL = not signed
    name            TEXT,             -- the display name
    description     TEXT,             -- free text
    metadata        TEXT,             -- a JSON object
    enabled         INTEGER NOT NULL, -- 1 = events are sent
    created_at_us   INTEGER NOT NULL,
    updated_at_us   INTEGER NOT NULL, -- never the same for two states
    created_by      TEXT NOT NULL,    -- the user
    subject_type    TEXT NOT NULL,    -- who must be allowed to read what is told
    subject_id      TEXT NOT NULL,
    key_id          TEXT              -- the key it was made with; NULL = none was asked for
) STRICT;
CREATE INDEX subscriptions_by_tenant ON subscriptions (tenant, created_at_us, subscription_id);

-- How far each has been told. Not recorded in the log: a record of telling would be something to tell.
CREATE TABLE deliveries (
    subscription_id TEXT NOT NULL PRIMARY KEY,
    rev             INTEGER NOT NULL, -- everything up to this revision ...
    part            INTEGER NOT NULL, -- ... and so many events of the next one have been told
    failures        INTEGER NOT NULL, -- deliveries that failed since the last one that did not
    missed          INTEGER NOT NULL, -- events that could not be told any more
    last_at_us      INTEGER,
    last_status     TEXT,             -- success or failed
    last_error      TEXT              -- why
) STRICT;
