-- The replies to requests that came with an Idempotency-Key, so that a retry after a lost reply runs nothing twice.
CREATE TABLE idempotency (
    key     BLOB NOT NULL PRIMARY KEY, -- first 16 bytes of BLAKE3(tenant NUL actor NUL the client's key)
    request BLOB NOT NULL,             -- BLAKE3 of method and parameters: a key is for one request
    method  TEXT NOT NULL,             -- the method that was called
    reply   TEXT,                      -- the result, JSON; NULL = it held a secret and was shown once
    rev     INTEGER NOT NULL,          -- the revision that the request made
    at_us   INTEGER NOT NULL           -- when
) STRICT;
CREATE INDEX idempotency_by_age ON idempotency (at_us);

-- Refusals: who was denied what on what. Written by the second lane; bounded in rows and days.
CREATE TABLE denials (
    seq        INTEGER NOT NULL PRIMARY KEY, -- in the order of writing
    at_us      INTEGER NOT NULL,             -- when it was refused
    tenant     TEXT NOT NULL,                -- the caller's tenant
    actor      TEXT NOT NULL,                -- 'type:id'
    method     TEXT NOT NULL,                -- what was called
    permission TEXT NOT NULL,                -- what was missing
    object     TEXT NOT NULL,                -- on what: 'type:id', as the caller named it
    rev        INTEGER NOT NULL,             -- the revision the refusal was decided at
    request_id TEXT NOT NULL
) STRICT;
CREATE INDEX denials_by_time ON denials (at_us);
