-- Snapshots of registered directories: each a directory and a revision. Its files are what `versions` says of then.
CREATE TABLE snapshots (
    key           BLOB NOT NULL,    -- first 16 bytes of BLAKE3(path)
    number        INTEGER NOT NULL, -- from 1 per path, never given twice
    snapshot_id   TEXT NOT NULL,    -- the UUID that clients know
    path          TEXT NOT NULL,    -- where the directory lay when it was taken
    tenant        TEXT NOT NULL,    -- the tenant of the directory
    node          INTEGER NOT NULL, -- nodes.id of the directory
    rev           INTEGER,          -- the revision whose state it is; NULL = deleted, only the number is kept
    description   TEXT,             -- free text
    tags          TEXT NOT NULL,    -- a JSON array of texts
    created_by    TEXT NOT NULL,    -- the user
    created_at_us INTEGER NOT NULL,
    file_count    INTEGER,          -- files below it; NULL = not counted
    total_size    INTEGER,          -- bytes of these files; NULL = not counted
    manifest_hash TEXT,             -- BLAKE3 over paths and contents, hex; NULL = not counted
    PRIMARY KEY (key, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX snapshots_by_id ON snapshots (snapshot_id);
CREATE INDEX snapshots_by_node ON snapshots (node, rev);
CREATE INDEX snapshots_by_rev ON snapshots (rev) WHERE rev IS NOT NULL;
CREATE INDEX workspaces_by_expiry ON workspaces (expires_at_us) WHERE expires_at_us IS NOT NULL;
-- By name, so that the tree of a revision is read in order, a page at a time.
CREATE INDEX versions_by_place ON versions (parent, name, from_rev);
DROP INDEX versions_by_parent;
