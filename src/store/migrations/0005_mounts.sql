-- What is mounted where. The root mount is not a row: it is the store itself.
ALTER TABLE mounts RENAME TO mounts_before;
CREATE TABLE mounts (
    mount_point    TEXT NOT NULL PRIMARY KEY,
    mount_id       TEXT NOT NULL,    -- its own as long as the row is there; rows of mount_files name it
    backend_type   TEXT NOT NULL,
    backend_config TEXT NOT NULL,    -- JSON object
    priority       INTEGER NOT NULL,
    readonly       INTEGER NOT NULL, -- 1: nobody writes below the mount point but a sync
    tenant         TEXT NOT NULL,
    active         INTEGER NOT NULL, -- 0: its settings are saved and nothing is mounted
    saved          INTEGER NOT NULL, -- 0: the row ends with remove_mount
    owner          TEXT,             -- the user in whose name it was saved
    description    TEXT,
    created_at_us  INTEGER NOT NULL,
    updated_at_us  INTEGER NOT NULL
) STRICT;
INSERT INTO mounts (mount_point, mount_id, backend_type, backend_config, priority, readonly, tenant, active, saved,
    owner, description, created_at_us, updated_at_us)
    SELECT mount_point, mount_point, backend_type, backend_config, priority, readonly, tenant, 1, 0, NULL, NULL,
        created_at_us, created_at_us FROM mounts_before;
DROP TABLE mounts_before;

-- What tree and host agreed on when a file of a mounted directory was last synced.
CREATE TABLE mount_files (
    mount_id TEXT NOT NULL, -- of mounts; those of a mount that is gone are freed
    path     TEXT NOT NULL, -- below the mount point, without a slash at its beginning
    etag     TEXT NOT NULL, -- BLAKE3 of the body, hex
    stamp    TEXT NOT NULL, -- size, times and number of the host's file; empty = not to be trusted
    PRIMARY KEY (mount_id, path)
) STRICT, WITHOUT ROWID;

-- Syncs that were asked for and run by themselves.
CREATE TABLE sync_jobs (
    job_id          TEXT NOT NULL PRIMARY KEY,
    mount_point     TEXT NOT NULL,
    status          TEXT NOT NULL,    -- 'pending', 'running', 'completed', 'failed', 'cancelled'
    progress        INTEGER NOT NULL, -- percent
    detail          TEXT NOT NULL,    -- JSON object: what has been done so far
    params          TEXT NOT NULL,    -- JSON object
    created_by      TEXT NOT NULL,
    created_at_us   INTEGER NOT NULL,
    started_at_us   INTEGER,
    completed_at_us INTEGER,
    result          TEXT,             -- JSON object
    error           TEXT
) STRICT;
CREATE INDEX sync_jobs_by_age ON sync_jobs (created_at_us, job_id);
