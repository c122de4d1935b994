-- nexus-lite: the whole current schema.
--
-- Equal to the sum of all migrations in src/store/migrations (tested). Types are the portable ones: INTEGER (64 bit),
-- TEXT (without NUL), BLOB, REAL. Times are µs since the Unix epoch, columns `*_at_us`. Booleans are 0 and 1.
-- Revisions are gap-free numbers of committed changes, columns `rev`, `from_rev`, `to_rev`.
--
-- Consistency rules, executed by `nexus-lite check` (src/store/check.rs):
--   R1  head has exactly one row; head.rev = the highest changelog.rev (0 if there is none).
--   R2  changelog.rev has no gaps above meta 'floor_rev'; at_us never decreases with rev.
--   R3  every node but the root has a parent that is a directory; the root is (0, '') with id 1; detached roots have parent 0.
--   R4  node ids, entity ids and version ids are below head.next_id / head.next_entity.
--   R5  a file has a version > 0, a content and a size; a directory has version 0 and neither.
--   R6  every live node has exactly one version row with to_rev NULL, and it agrees in parent, name, version and content;
--       a node that is gone has none.
--   R7  intervals [from_rev, to_rev) of one node do not overlap and are not empty.
--   R8  every content that a node, a version or a memory names exists; its size agrees; it is inline or a blob file, never both.
--   R9  object and subject of every tuple are entities; entities.key is the hash of (tenant, type, name).
--   R10 a tuple on or of a file entity has the tenant of the file's node, if it was written after the node's present state.
--   R11 every row of skills belongs to a live SKILL.md and has its path (one that cannot be read has none).
--   R12 an implicit directory has at least one child and no tuple on it.
--   R13 for every object type at most one namespace row has to_rev NULL, and intervals do not overlap.
--   R14 permission_cache rows have rev <= head.rev.
--   R15 at most one sandbox with status 'active' per (tenant, user_id, name).
--   R16 idempotency rows have rev <= head.rev.
--   R17 snapshots are of a revision <= head.rev and of a node below head.next_id; numbers are from 1.
--   R18 notes are of a trajectory that is there and numbered from 1 without gaps; one that has ended has ended after it began.
--   R19 tenant_use is what a count of the files in nodes gives, by tenant.
--   R20 a subscription has one row of deliveries and each such row a subscription; deliveries.rev <= head.rev.
--   R21 a row of skill_approvals has a reviewer and a time of review exactly if its status is not 'pending'; only an
--       approved one was published.

-- The head of the store: one row, read first by every read transaction (it fixes the snapshot), written once a batch.
CREATE TABLE head (
    one         INTEGER NOT NULL PRIMARY KEY CHECK (one = 1), -- always 1
    rev         INTEGER NOT NULL,   -- the last committed revision
    next_id     INTEGER NOT NULL,   -- the next id of a node
    next_entity INTEGER NOT NULL    -- the next id of an entity; apart, so that entity ids stay dense
) STRICT;

-- Facts about the store that are not data: incarnation, floors, the schema's own history.
CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY, -- 'incarnation', 'floor_rev', 'time_floor_us', 'clean_shutdown', 'demo', …
    value TEXT NOT NULL              -- as text
) STRICT, WITHOUT ROWID;

-- The migrations that were applied, in order.
CREATE TABLE migrations (
    id            INTEGER NOT NULL PRIMARY KEY, -- 1, 2, …
    name          TEXT NOT NULL,                -- the file's name
    checksum      TEXT NOT NULL,                -- BLAKE3 of its text, hex
    applied_at_us INTEGER NOT NULL              -- when
) STRICT, WITHOUT ROWID;

-- The file tree, clustered by directory. A listing is one range, a path is one point read per component.
CREATE TABLE nodes (
    parent         INTEGER NOT NULL, -- id of the directory; 0 for the root and for detached directories
    name           TEXT NOT NULL,    -- last component, 1 to 255 bytes; '' for the root; the id for a detached directory
    id             INTEGER NOT NULL, -- never reused
    tenant         TEXT NOT NULL,    -- the tenant it belongs to
    type           INTEGER NOT NULL CHECK (type IN (0, 1)), -- 0 file, 1 directory
    owner          INTEGER,          -- entities.id of the creator: the implicit direct_owner of a file
    implicit       INTEGER NOT NULL DEFAULT 0, -- 1: a directory that a write made; vanishes with its last child
    mixed          INTEGER NOT NULL DEFAULT 0, -- 1: a node of another tenant was made or moved below
    detached       INTEGER NOT NULL DEFAULT 0, -- 1: removed with its subtree in one row; freed later in batches
    content        BLOB,             -- BLAKE3 of the body, 32 bytes; NULL for a directory
    size           INTEGER NOT NULL, -- bytes; 0 for a directory
    version        INTEGER NOT NULL, -- from 1; 0 for a directory
    mime           TEXT,             -- MIME type, if known
    created_at_us  INTEGER NOT NULL,
    modified_at_us INTEGER NOT NULL,
    created_by     TEXT NOT NULL,    -- writer of this version: 'user:<u>' or 'user:<u>,agent:<a>'
    PRIMARY KEY (parent, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX nodes_by_id ON nodes (id);
CREATE INDEX nodes_by_owner ON nodes (owner, parent) WHERE owner IS NOT NULL;

-- Where each node was and what it held, over revisions: [from_rev, to_rev), to_rev NULL = still. A file gets a row per
-- version and per move, a directory per move. The tree at revision R is what holds at R, from the root down.
CREATE TABLE versions (
    node          INTEGER NOT NULL, -- nodes.id
    from_rev      INTEGER NOT NULL, -- the revision that made this state
    to_rev        INTEGER,          -- the revision that ended it; NULL = current
    parent        INTEGER NOT NULL, -- where it lay
    name          TEXT NOT NULL,    -- under which name
    version       INTEGER NOT NULL, -- version number of the file; 0 for a directory
    content       BLOB,             -- BLAKE3 of the body; NULL for a directory
    size          INTEGER NOT NULL, -- bytes
    mime          TEXT,             -- MIME type, if known
    created_at_us INTEGER NOT NULL, -- when this state was made
    created_by    TEXT NOT NULL,    -- by whom
    source        TEXT NOT NULL,    -- 'original', 'rollback', 'restore', 'move'
    reason        TEXT,             -- free text, e.g. 'Rollback to version 2'
    PRIMARY KEY (node, from_rev)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_by_place ON versions (parent, name, from_rev);
CREATE INDEX versions_by_content ON versions (content) WHERE content IS NOT NULL;

-- Bodies by content address. Up to 64 KiB inline; larger ones are files under blobs/, there before their row is.
CREATE TABLE contents (
    hash          BLOB NOT NULL PRIMARY KEY, -- BLAKE3, 32 bytes
    size          INTEGER NOT NULL,          -- bytes
    body          BLOB,                      -- the body; NULL = a blob file
    created_at_us INTEGER NOT NULL
) STRICT;

-- The front matter of every SKILL.md of the tree, kept by the transaction that writes, moves or deletes it. The tier
-- follows from the path when it is read.
CREATE TABLE skills (
    node        INTEGER NOT NULL PRIMARY KEY, -- nodes.id of the SKILL.md
    path        TEXT NOT NULL,                -- its path
    name        TEXT NOT NULL,                -- front matter: name
    description TEXT NOT NULL,                -- front matter: description
    version     TEXT,                         -- front matter: version
    author      TEXT,                         -- front matter: author
    requires    TEXT NOT NULL,                -- front matter: requires, a JSON array of names
    created_at  TEXT,                         -- front matter, ISO text
    modified_at TEXT                          -- front matter, ISO text
) STRICT;
CREATE INDEX skills_by_path ON skills (substr(path, 1, 600));

-- The interned names of the permission graph: users, agents, groups, granted paths, … Ids are the graph's ids.
CREATE TABLE entities (
    id     INTEGER NOT NULL PRIMARY KEY, -- dense, never reused
    tenant TEXT NOT NULL,                -- the tenant
    type   TEXT NOT NULL,                -- e.g. 'user', 'file', 'group'; '*' for the public subject
    name   TEXT NOT NULL,                -- byte-exact; for a file its path, which a rename changes
    key    BLOB NOT NULL                 -- first 16 bytes of BLAKE3(tenant NUL type NUL name)
) STRICT;
CREATE UNIQUE INDEX entities_by_key ON entities (key);
CREATE INDEX entities_by_name ON entities (type, substr(name, 1, 600), tenant);

-- Relationship tuples: subject[#subject_relation] relation object.
CREATE TABLE tuples (
    object           INTEGER NOT NULL, -- entities.id
    relation         TEXT NOT NULL,
    subject          INTEGER NOT NULL, -- entities.id
    subject_relation TEXT NOT NULL,    -- '' = a plain subject
    tuple_id         TEXT NOT NULL,    -- the UUID that clients know
    created_at_us    INTEGER NOT NULL,
    expires_at_us    INTEGER,          -- live iff now < expires_at_us
    condition        TEXT,             -- JSON; NULL = always
    created_by       TEXT NOT NULL,    -- 'type:id'
    rev              INTEGER NOT NULL, -- the revision that wrote it
    PRIMARY KEY (object, relation, subject, subject_relation)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX tuples_by_id ON tuples (tuple_id);
CREATE INDEX tuples_by_subject ON tuples (subject, relation);
CREATE INDEX tuples_by_expiry ON tuples (expires_at_us) WHERE expires_at_us IS NOT NULL;

-- The rules per object type, by revision; the current one has to_rev NULL.
CREATE TABLE namespaces (
    type          TEXT NOT NULL,    -- the object type
    from_rev      INTEGER NOT NULL, -- the revision that put it
    to_rev        INTEGER,          -- the revision that replaced or deleted it
    namespace_id  TEXT NOT NULL,    -- the UUID that clients know; kept over replacements
    config        TEXT NOT NULL,    -- {"relations": …, "permissions": …}
    hash          BLOB NOT NULL,    -- BLAKE3 of config
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL,
    PRIMARY KEY (type, from_rev)
) STRICT, WITHOUT ROWID;

-- The log of everything that changed: audit, event feed, replay. One row per revision.
CREATE TABLE changelog (
    rev         INTEGER NOT NULL PRIMARY KEY, -- gap-free
    at_us       INTEGER NOT NULL,             -- never decreases
    actor       TEXT NOT NULL,                -- 'type:id', or 'system'
    tenant      TEXT NOT NULL,                -- the caller's tenant
    request_id  TEXT NOT NULL,
    op          TEXT NOT NULL,                -- name of the writer message
    permissions INTEGER NOT NULL,             -- 1: a permission decision may depend on it
    before      TEXT NOT NULL,                -- JSON array: the rows before, one per change, null = absent
    after       TEXT NOT NULL                 -- JSON array: the rows after, same order
) STRICT;
CREATE INDEX changelog_of_permissions ON changelog (rev) WHERE permissions = 1;

-- A record of decisions that were asked for and computed, and a hint what to warm at start. Never answers a question.
CREATE TABLE permission_cache (
    tenant       TEXT NOT NULL,    -- the object's tenant
    subject_type TEXT NOT NULL,
    subject_id   TEXT NOT NULL,
    permission   TEXT NOT NULL,
    object_type  TEXT NOT NULL,
    object_id    TEXT NOT NULL,
    key          BLOB NOT NULL PRIMARY KEY, -- first 16 bytes of BLAKE3 over the six fields above
    decision     INTEGER NOT NULL, -- 1 allow, 0 deny
    rev          INTEGER NOT NULL, -- the revision it was computed at
    engine       INTEGER NOT NULL, -- version of the engine's semantics
    incarnation  TEXT NOT NULL,    -- of the store
    at_us        INTEGER NOT NULL
) STRICT;
CREATE INDEX permission_cache_by_age ON permission_cache (at_us);

-- API keys: a keyed hash each, never the key.
CREATE TABLE api_keys (
    key_id              TEXT NOT NULL PRIMARY KEY, -- the UUID that clients know
    hash                TEXT NOT NULL,             -- hex, by hash_scheme
    hash_scheme         TEXT NOT NULL,             -- 'hmac-sha256-server' (server secret) or 'nexus' (taken over)
    user_id             TEXT NOT NULL,             -- the owner
    subject_type        TEXT NOT NULL,             -- 'user', 'agent', 'service'
    subject_id          TEXT NOT NULL,
    tenant              TEXT NOT NULL,
    is_admin            INTEGER NOT NULL,          -- rules its own tenant
    is_instance_admin   INTEGER NOT NULL,          -- crosses tenants; creates tenants, mounts, namespaces
    inherit_permissions INTEGER NOT NULL,
    name                TEXT NOT NULL,
    created_at_us       INTEGER NOT NULL,
    expires_at_us       INTEGER,
    revoked_at_us       INTEGER,
    last_used_at_us     INTEGER                    -- once a minute at most, by the second lane
) STRICT;
CREATE UNIQUE INDEX api_keys_by_hash ON api_keys (hash);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at_us);

-- Agents and their owners.
CREATE TABLE agents (
    tenant              TEXT NOT NULL,
    agent_id            TEXT NOT NULL, -- by convention '<user_id>,<agent_name>'
    user_id             TEXT NOT NULL, -- the owner
    name                TEXT NOT NULL,
    description         TEXT,
    inherit_permissions INTEGER NOT NULL, -- 1: may do what its owner may
    metadata            TEXT NOT NULL,    -- JSON object
    created_at_us       INTEGER NOT NULL,
    PRIMARY KEY (tenant, agent_id)
) STRICT, WITHOUT ROWID;

-- Registered directories: workspaces and memory directories.
CREATE TABLE workspaces (
    key           BLOB NOT NULL PRIMARY KEY, -- first 16 bytes of BLAKE3(scope NUL path)
    scope         TEXT NOT NULL,             -- 'workspace' or 'memory'
    path          TEXT NOT NULL,
    tenant        TEXT NOT NULL,
    name          TEXT,
    description   TEXT NOT NULL,
    created_by    TEXT NOT NULL,             -- the user
    created_at_us INTEGER NOT NULL,
    metadata      TEXT NOT NULL,             -- JSON object
    session_id    TEXT,
    expires_at_us INTEGER
) STRICT;
CREATE INDEX workspaces_by_tenant ON workspaces (tenant, created_at_us);
CREATE INDEX workspaces_by_expiry ON workspaces (expires_at_us) WHERE expires_at_us IS NOT NULL;

-- What is mounted where. The root mount is not a row: it is the store itself.
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

-- Sandboxes, active and past.
CREATE TABLE sandboxes (
    sandbox_id        TEXT NOT NULL PRIMARY KEY,
    name              TEXT NOT NULL,
    tenant            TEXT NOT NULL,
    user_id           TEXT NOT NULL,
    agent_id          TEXT,
    provider          TEXT NOT NULL,
    template_id       TEXT,
    status            TEXT NOT NULL, -- 'active', 'paused', 'stopped'
    created_at_us     INTEGER NOT NULL,
    last_active_at_us INTEGER NOT NULL,
    paused_at_us      INTEGER,
    stopped_at_us     INTEGER,
    ttl_minutes       INTEGER NOT NULL,
    expires_at_us     INTEGER
) STRICT;
CREATE UNIQUE INDEX sandboxes_active ON sandboxes (tenant, user_id, name) WHERE status = 'active';

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

-- Bodies over 64 KiB where the server has no disk of its own (PostgreSQL): in parts. On SQLite they are blob files.
CREATE TABLE chunks (
    hash BLOB NOT NULL,    -- BLAKE3 of the whole body
    part INTEGER NOT NULL, -- from 0, in the order of the bytes
    body BLOB NOT NULL,    -- its bytes
    PRIMARY KEY (hash, part)
) STRICT;
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

-- Bodies that no version names, and since when: they are collected a day later.
CREATE TABLE unused (
    hash     BLOB NOT NULL PRIMARY KEY, -- BLAKE3 of the body, 32 bytes
    since_us INTEGER NOT NULL           -- when it was met first
) STRICT;

-- Memory records: what people and their agents keep beside files. Bodies are in `contents`.
CREATE TABLE memories (
    memory_id     TEXT NOT NULL PRIMARY KEY, -- the UUID that clients know
    tenant        TEXT NOT NULL,    -- of who stored it
    user_id       TEXT NOT NULL,    -- who stored it
    agent_id      TEXT,             -- the agent that stored it for him; NULL = he himself
    scope         TEXT NOT NULL,    -- 'agent', 'user', 'tenant' or 'global'
    owner         TEXT NOT NULL,    -- whose names these are: 'agent:<id>', 'user:<id>', or '' for all of the scope
    memory_type   TEXT NOT NULL,    -- 'fact', …
    importance    INTEGER NOT NULL, -- millionths
    state         TEXT NOT NULL,    -- 'active' or 'inactive'
    namespace     TEXT,             -- the first part of its name
    path_key      TEXT,             -- the last part of its name
    content       BLOB NOT NULL,    -- contents.hash
    size          INTEGER NOT NULL, -- bytes
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX memories_by_name ON memories (tenant, scope, owner, namespace, path_key) WHERE path_key IS NOT NULL;
CREATE UNIQUE INDEX memories_by_global_name ON memories (namespace, path_key) WHERE scope = 'global' AND path_key IS NOT NULL;
CREATE INDEX memories_by_user ON memories (tenant, user_id, created_at_us, memory_id);
CREATE INDEX memories_by_tenant ON memories (tenant, created_at_us, memory_id);
CREATE INDEX memories_shared ON memories (tenant, created_at_us, memory_id) WHERE scope = 'tenant';
CREATE INDEX memories_global ON memories (created_at_us, memory_id) WHERE scope = 'global';
CREATE INDEX memories_by_content ON memories (content);
-- Attempts at tasks.
CREATE TABLE trajectories (
    trajectory_id    TEXT NOT NULL PRIMARY KEY, -- the UUID that clients know
    tenant           TEXT NOT NULL,
    user_id          TEXT NOT NULL, -- whose it is
    agent_id         TEXT,          -- the agent that made it for him; NULL = he himself
    task             TEXT NOT NULL, -- what was to be done
    task_type        TEXT,          -- of what kind that is
    status           TEXT NOT NULL, -- 'in_progress', 'success', 'failure' or 'partial'
    success_score    INTEGER,       -- millionths, as it was said at the end
    error_message    TEXT,          -- what went wrong
    started_at_us    INTEGER NOT NULL,
    completed_at_us  INTEGER,       -- NULL = it goes on
    relearn_reason   TEXT,          -- why one should learn from it again
    relearn_priority INTEGER        -- higher is more urgent; NULL = nobody asked
) STRICT, WITHOUT ROWID;
CREATE INDEX trajectories_by_user ON trajectories (tenant, user_id, started_at_us, trajectory_id);
CREATE INDEX trajectories_by_tenant ON trajectories (tenant, started_at_us, trajectory_id);
-- The steps of a trajectory and the feedback on it.
CREATE TABLE trajectory_notes (
    trajectory_id TEXT NOT NULL,    -- trajectories.trajectory_id
    number        INTEGER NOT NULL, -- from 1 per trajectory, without gaps
    note_id       TEXT NOT NULL,    -- the UUID that clients know
    what          TEXT NOT NULL,    -- 'step' or 'feedback'
    type          TEXT NOT NULL,    -- the kind of step or feedback
    score         INTEGER,          -- millionths
    source        TEXT,             -- who or what says so
    message       TEXT,             -- in words
    data          TEXT,             -- JSON
    at_us         INTEGER NOT NULL,
    PRIMARY KEY (trajectory_id, number)
) STRICT, WITHOUT ROWID;
-- Playbooks: strategies under a name.
CREATE TABLE playbooks (
    playbook_id   TEXT NOT NULL PRIMARY KEY, -- the UUID that clients know
    tenant        TEXT NOT NULL,    -- of who made it
    user_id       TEXT NOT NULL,    -- who made it
    agent_id      TEXT,             -- the agent that made it for him; NULL = he himself
    scope         TEXT NOT NULL,    -- as of a memory
    owner         TEXT NOT NULL,    -- whose name this is, as of a memory
    name          TEXT NOT NULL,    -- an owner has one of a name
    description   TEXT,
    version       INTEGER NOT NULL, -- from 1
    content       TEXT NOT NULL,    -- a JSON object with 'strategies'
    created_at_us INTEGER NOT NULL,
    updated_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX playbooks_by_name ON playbooks (tenant, scope, owner, name);
CREATE UNIQUE INDEX playbooks_by_global_name ON playbooks (name) WHERE scope = 'global';
CREATE INDEX playbooks_by_user ON playbooks (tenant, user_id, created_at_us, playbook_id);
CREATE INDEX playbooks_by_tenant ON playbooks (tenant, created_at_us, playbook_id);
CREATE INDEX playbooks_shared ON playbooks (tenant, created_at_us, playbook_id) WHERE scope = 'tenant';
CREATE INDEX playbooks_global ON playbooks (created_at_us, playbook_id) WHERE scope = 'global';

-- What a tenant may have; one without a row has what the settings say.
CREATE TABLE quotas (
    tenant    TEXT NOT NULL PRIMARY KEY,
    bytes_max INTEGER, -- bytes of all its files; NULL = no limit
    files_max INTEGER  -- its files; NULL = no limit
) STRICT, WITHOUT ROWID;

-- What a tenant has: counted with each write, never looked for.
CREATE TABLE tenant_use (
    tenant TEXT NOT NULL PRIMARY KEY,
    files  INTEGER NOT NULL, -- files in `nodes`, those of removed directories too until they are freed
    bytes  INTEGER NOT NULL  -- of their newest versions
) STRICT, WITHOUT ROWID;

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
-- Skills that wait for a review before they are shared, and what was decided.
CREATE TABLE skill_approvals (
    approval_id     TEXT NOT NULL PRIMARY KEY, -- the UUID that clients know
    tenant          TEXT NOT NULL,             -- whose skill folder it is for
    skill_name      TEXT NOT NULL,             -- the name of the skill
    path            TEXT NOT NULL,             -- its directory when it was submitted
    digest          TEXT NOT NULL,             -- BLAKE3 over the paths and contents of the directory, hex
    submitted_by    TEXT NOT NULL,             -- the user
    submitted_at_us INTEGER NOT NULL,          -- when
    reviewers       TEXT NOT NULL,             -- a JSON array of users; empty: whoever may write to the folder
    comments        TEXT,                      -- of who submitted it, then of who decided
    status          TEXT NOT NULL,             -- 'pending', 'approved' or 'rejected'
    reviewed_by     TEXT,                      -- the user who decided; NULL = nobody yet
    reviewed_at_us  INTEGER,                   -- when
    published_at_us INTEGER                    -- when it was used; NULL = not yet
) STRICT;
CREATE INDEX skill_approvals_by_tenant ON skill_approvals (tenant, submitted_at_us);
