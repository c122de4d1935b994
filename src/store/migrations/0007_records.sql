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
