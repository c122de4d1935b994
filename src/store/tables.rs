//! Every table as plain rows: the columns, once, in the order in which a store is moved, and how all rows are read and
//! one is written.
//!
//! Owns that list; what a row means is known by `store/<noun>.rs` alone. Used where a whole store is moved, never by a
//! request. Invariant: every table and column of `schema.sql` is in `TABLES` or in `STAYS`, a test says so.

use super::StoreError;
use super::row::{Row, Val};
use super::statements::statements;

statements! {
    /// Every row of `meta` that travels.
    META_ROWS = "SELECT key, value FROM meta WHERE key NOT IN ('clean_shutdown', 'durability', \
        'importing', 'secret_check') ORDER BY key";
    /// A row of `meta`.
    META_ROW_PUT = "INSERT INTO meta (key, value) VALUES (?1, ?2)";
    /// How many rows of `meta` travel.
    META_ROWS_COUNT = "SELECT COUNT(*) FROM meta WHERE key NOT IN ('clean_shutdown', 'durability', 'importing', \
        'secret_check')";
    /// Every row of `entities` that travels.
    ENTITIES_ROWS = "SELECT id, tenant, type, name, key FROM entities ORDER BY id";
    /// A row of `entities`.
    ENTITIES_ROW_PUT = "INSERT INTO entities (id, tenant, type, name, key) VALUES (?1, ?2, ?3, ?4, ?5)";
    /// How many rows of `entities` travel.
    ENTITIES_ROWS_COUNT = "SELECT COUNT(*) FROM entities";
    /// Every row of `namespaces` that travels.
    NAMESPACES_ROWS = "SELECT type, from_rev, to_rev, namespace_id, config, hash, created_at_us, \
        updated_at_us FROM namespaces ORDER BY type, from_rev";
    /// A row of `namespaces`.
    NAMESPACES_ROW_PUT = "INSERT INTO namespaces (type, from_rev, to_rev, namespace_id, config, hash, \
        created_at_us, updated_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    /// How many rows of `namespaces` travel.
    NAMESPACES_ROWS_COUNT = "SELECT COUNT(*) FROM namespaces";
    /// Every row of `contents` that travels.
    CONTENTS_ROWS = "SELECT hash, size, body, created_at_us FROM contents ORDER BY hash";
    /// A row of `contents`.
    CONTENTS_ROW_PUT = "INSERT INTO contents (hash, size, body, created_at_us) VALUES (?1, ?2, ?3, ?4)";
    /// How many rows of `contents` travel.
    CONTENTS_ROWS_COUNT = "SELECT COUNT(*) FROM contents";
    /// Every row of `nodes` that travels.
    NODES_ROWS = "SELECT parent, name, id, tenant, type, owner, implicit, mixed, detached, content, size, \
        version, mime, created_at_us, modified_at_us, created_by FROM nodes ORDER BY parent, name";
    /// A row of `nodes`.
    NODES_ROW_PUT = "INSERT INTO nodes (parent, name, id, tenant, type, owner, implicit, mixed, detached, \
        content, size, version, mime, created_at_us, modified_at_us, created_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, \
        ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    /// How many rows of `nodes` travel.
    NODES_ROWS_COUNT = "SELECT COUNT(*) FROM nodes";
    /// Every row of `versions` that travels.
    VERSIONS_ROWS = "SELECT node, from_rev, to_rev, parent, name, version, content, size, mime, \
        created_at_us, created_by, source, reason FROM versions ORDER BY node, from_rev";
    /// A row of `versions`.
    VERSIONS_ROW_PUT = "INSERT INTO versions (node, from_rev, to_rev, parent, name, version, content, size, \
        mime, created_at_us, created_by, source, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
        ?13)";
    /// How many rows of `versions` travel.
    VERSIONS_ROWS_COUNT = "SELECT COUNT(*) FROM versions";
    /// Every row of `skills` that travels.
    SKILLS_ROWS = "SELECT node, path, name, description, version, author, requires, created_at, \
        modified_at FROM skills ORDER BY node";
    /// A row of `skills`.
    SKILLS_ROW_PUT = "INSERT INTO skills (node, path, name, description, version, author, requires, \
        created_at, modified_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    /// How many rows of `skills` travel.
    SKILLS_ROWS_COUNT = "SELECT COUNT(*) FROM skills";
    /// Every row of `tuples` that travels.
    TUPLES_ROWS = "SELECT object, relation, subject, subject_relation, tuple_id, created_at_us, \
        expires_at_us, condition, created_by, rev FROM tuples ORDER BY object, relation, subject, subject_relation";
    /// A row of `tuples`.
    TUPLES_ROW_PUT = "INSERT INTO tuples (object, relation, subject, subject_relation, tuple_id, \
        created_at_us, expires_at_us, condition, created_by, rev) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    /// How many rows of `tuples` travel.
    TUPLES_ROWS_COUNT = "SELECT COUNT(*) FROM tuples";
    /// Every row of `api_keys` that travels.
    API_KEYS_ROWS = "SELECT key_id, hash, hash_scheme, user_id, subject_type, subject_id, tenant, \
        is_admin, is_instance_admin, inherit_permissions, name, created_at_us, expires_at_us, revoked_at_us, \
        last_used_at_us FROM api_keys ORDER BY key_id";
    /// A row of `api_keys`.
    API_KEYS_ROW_PUT = "INSERT INTO api_keys (key_id, hash, hash_scheme, user_id, subject_type, subject_id, \
        tenant, is_admin, is_instance_admin, inherit_permissions, name, created_at_us, expires_at_us, revoked_at_us, \
        last_used_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    /// How many rows of `api_keys` travel.
    API_KEYS_ROWS_COUNT = "SELECT COUNT(*) FROM api_keys";
    /// Every row of `agents` that travels.
    AGENTS_ROWS = "SELECT tenant, agent_id, user_id, name, description, inherit_permissions, metadata, \
        created_at_us FROM agents ORDER BY tenant, agent_id";
    /// A row of `agents`.
    AGENTS_ROW_PUT = "INSERT INTO agents (tenant, agent_id, user_id, name, description, inherit_permissions, \
        metadata, created_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    /// How many rows of `agents` travel.
    AGENTS_ROWS_COUNT = "SELECT COUNT(*) FROM agents";
    /// Every row of `workspaces` that travels.
    WORKSPACES_ROWS = "SELECT key, scope, path, tenant, name, description, created_by, created_at_us, \
        metadata, session_id, expires_at_us FROM workspaces ORDER BY key";
    /// A row of `workspaces`.
    WORKSPACES_ROW_PUT = "INSERT INTO workspaces (key, scope, path, tenant, name, description, created_by, \
        created_at_us, metadata, session_id, expires_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    /// How many rows of `workspaces` travel.
    WORKSPACES_ROWS_COUNT = "SELECT COUNT(*) FROM workspaces";
    /// Every row of `mounts` that travels.
    MOUNTS_ROWS = "SELECT mount_point, mount_id, backend_type, backend_config, priority, readonly, tenant, \
        active, saved, owner, description, created_at_us, updated_at_us FROM mounts ORDER BY mount_point";
    /// A row of `mounts`.
    MOUNTS_ROW_PUT = "INSERT INTO mounts (mount_point, mount_id, backend_type, backend_config, priority, \
        readonly, tenant, active, saved, owner, description, created_at_us, updated_at_us) VALUES (?1, ?2, ?3, ?4, \
        ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    /// How many rows of `mounts` travel.
    MOUNTS_ROWS_COUNT = "SELECT COUNT(*) FROM mounts";
    /// Every row of `sandboxes` that travels.
    SANDBOXES_ROWS = "SELECT sandbox_id, name, tenant, user_id, agent_id, provider, template_id, status, \
        created_at_us, last_active_at_us, paused_at_us, stopped_at_us, ttl_minutes, expires_at_us FROM sandboxes \
        ORDER BY sandbox_id";
    /// A row of `sandboxes`.
    SANDBOXES_ROW_PUT = "INSERT INTO sandboxes (sandbox_id, name, tenant, user_id, agent_id, provider, \
        template_id, status, created_at_us, last_active_at_us, paused_at_us, stopped_at_us, ttl_minutes, \
        expires_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    /// How many rows of `sandboxes` travel.
    SANDBOXES_ROWS_COUNT = "SELECT COUNT(*) FROM sandboxes";
    /// Every row of `snapshots` that travels.
    SNAPSHOTS_ROWS = "SELECT key, number, snapshot_id, path, tenant, node, rev, description, tags, \
        created_by, created_at_us, file_count, total_size, manifest_hash FROM snapshots ORDER BY key, number";
    /// A row of `snapshots`.
    SNAPSHOTS_ROW_PUT = "INSERT INTO snapshots (key, number, snapshot_id, path, tenant, node, rev, \
        description, tags, created_by, created_at_us, file_count, total_size, manifest_hash) VALUES (?1, ?2, ?3, ?4, \
        ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    /// How many rows of `snapshots` travel.
    SNAPSHOTS_ROWS_COUNT = "SELECT COUNT(*) FROM snapshots";
    /// Every row of `memories` that travels.
    MEMORIES_ROWS = "SELECT memory_id, tenant, user_id, agent_id, scope, owner, memory_type, importance, state, \
        namespace, path_key, content, size, created_at_us, updated_at_us FROM memories ORDER BY memory_id";
    /// A row of `memories`.
    MEMORIES_ROW_PUT = "INSERT INTO memories (memory_id, tenant, user_id, agent_id, scope, owner, memory_type, \
        importance, state, namespace, path_key, content, size, created_at_us, updated_at_us) VALUES (?1, ?2, ?3, ?4, \
        ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    /// How many rows of `memories` travel.
    MEMORIES_ROWS_COUNT = "SELECT COUNT(*) FROM memories";
    /// Every row of `trajectories` that travels.
    TRAJECTORIES_ROWS = "SELECT trajectory_id, tenant, user_id, agent_id, task, task_type, status, success_score, \
        error_message, started_at_us, completed_at_us, relearn_reason, relearn_priority FROM trajectories ORDER BY \
        trajectory_id";
    /// A row of `trajectories`.
    TRAJECTORIES_ROW_PUT = "INSERT INTO trajectories (trajectory_id, tenant, user_id, agent_id, task, task_type, \
        status, success_score, error_message, started_at_us, completed_at_us, relearn_reason, relearn_priority) VALUES \
        (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    /// How many rows of `trajectories` travel.
    TRAJECTORIES_ROWS_COUNT = "SELECT COUNT(*) FROM trajectories";
    /// Every row of `trajectory_notes` that travels.
    TRAJECTORY_NOTES_ROWS = "SELECT trajectory_id, number, note_id, what, type, score, source, message, data, \
        at_us FROM trajectory_notes ORDER BY trajectory_id, number";
    /// A row of `trajectory_notes`.
    TRAJECTORY_NOTES_ROW_PUT = "INSERT INTO trajectory_notes (trajectory_id, number, note_id, what, type, score, \
        source, message, data, at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    /// How many rows of `trajectory_notes` travel.
    TRAJECTORY_NOTES_ROWS_COUNT = "SELECT COUNT(*) FROM trajectory_notes";
    /// Every row of `playbooks` that travels.
    PLAYBOOKS_ROWS = "SELECT playbook_id, tenant, user_id, agent_id, scope, owner, name, description, version, \
        content, created_at_us, updated_at_us FROM playbooks ORDER BY playbook_id";
    /// A row of `playbooks`.
    PLAYBOOKS_ROW_PUT = "INSERT INTO playbooks (playbook_id, tenant, user_id, agent_id, scope, owner, name, \
        description, version, content, created_at_us, updated_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
        ?11, ?12)";
    /// How many rows of `playbooks` travel.
    PLAYBOOKS_ROWS_COUNT = "SELECT COUNT(*) FROM playbooks";
    /// Every row of `quotas` that travels.
    QUOTAS_ROWS = "SELECT tenant, bytes_max, files_max FROM quotas ORDER BY tenant";
    /// A row of `quotas`.
    QUOTAS_ROW_PUT = "INSERT INTO quotas (tenant, bytes_max, files_max) VALUES (?1, ?2, ?3)";
    /// How many rows of `quotas` travel.
    QUOTAS_ROWS_COUNT = "SELECT COUNT(*) FROM quotas";
    /// Every row of `subscriptions` that travels.
    SUBSCRIPTIONS_ROWS = "SELECT subscription_id, tenant, url, event_types, patterns, secret, name, \
        description, metadata, enabled, created_at_us, updated_at_us, created_by, subject_type, subject_id, key_id \
        FROM subscriptions ORDER BY subscription_id";
    /// A row of `subscriptions`.
    SUBSCRIPTIONS_ROW_PUT = "INSERT INTO subscriptions (subscription_id, tenant, url, event_types, patterns, \
        secret, name, description, metadata, enabled, created_at_us, updated_at_us, created_by, subject_type, \
        subject_id, key_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    /// How many rows of `subscriptions` travel.
    SUBSCRIPTIONS_ROWS_COUNT = "SELECT COUNT(*) FROM subscriptions";
    /// Every row of `deliveries` that travels.
    DELIVERIES_ROWS = "SELECT subscription_id, rev, part, failures, missed, last_at_us, last_status, \
        last_error FROM deliveries ORDER BY subscription_id";
    /// A row of `deliveries`.
    DELIVERIES_ROW_PUT = "INSERT INTO deliveries (subscription_id, rev, part, failures, missed, last_at_us, \
        last_status, last_error) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    /// How many rows of `deliveries` travel.
    DELIVERIES_ROWS_COUNT = "SELECT COUNT(*) FROM deliveries";
    /// Every row of `skill_approvals` that travels.
    SKILL_APPROVALS_ROWS = "SELECT approval_id, tenant, skill_name, path, digest, submitted_by, submitted_at_us, \
        reviewers, comments, status, reviewed_by, reviewed_at_us, published_at_us FROM skill_approvals \
        ORDER BY approval_id";
    /// A row of `skill_approvals`.
    SKILL_APPROVALS_ROW_PUT = "INSERT INTO skill_approvals (approval_id, tenant, skill_name, path, digest, \
        submitted_by, submitted_at_us, reviewers, comments, status, reviewed_by, reviewed_at_us, published_at_us) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    /// How many rows of `skill_approvals` travel.
    SKILL_APPROVALS_ROWS_COUNT = "SELECT COUNT(*) FROM skill_approvals";
    /// Every row of `changelog` that travels.
    CHANGELOG_ROWS = "SELECT rev, at_us, actor, tenant, request_id, op, permissions, before, after FROM \
        changelog ORDER BY rev";
    /// A row of `changelog`.
    CHANGELOG_ROW_PUT = "INSERT INTO changelog (rev, at_us, actor, tenant, request_id, op, permissions, \
        before, after) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    /// How many rows of `changelog` travel.
    CHANGELOG_ROWS_COUNT = "SELECT COUNT(*) FROM changelog";
    /// Every row of `idempotency` that travels.
    IDEMPOTENCY_ROWS = "SELECT key, request, method, reply, rev, at_us FROM idempotency ORDER BY key";
    /// A row of `idempotency`.
    IDEMPOTENCY_ROW_PUT = "INSERT INTO idempotency (key, request, method, reply, rev, at_us) VALUES (?1, ?2, \
        ?3, ?4, ?5, ?6)";
    /// How many rows of `idempotency` travel.
    IDEMPOTENCY_ROWS_COUNT = "SELECT COUNT(*) FROM idempotency";
    /// Every row of `denials` that travels.
    DENIALS_ROWS = "SELECT seq, at_us, tenant, actor, method, permission, object, rev, request_id FROM \
        denials ORDER BY seq";
    /// A row of `denials`.
    DENIALS_ROW_PUT = "INSERT INTO denials (seq, at_us, tenant, actor, method, permission, object, rev, \
        request_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    /// How many rows of `denials` travel.
    DENIALS_ROWS_COUNT = "SELECT COUNT(*) FROM denials";
    /// Every row of `head` that travels.
    HEAD_ROWS = "SELECT one, rev, next_id, next_entity FROM head ORDER BY one";
    /// A row of `head`.
    HEAD_ROW_PUT = "INSERT INTO head (one, rev, next_id, next_entity) VALUES (?1, ?2, ?3, ?4)";
    /// How many rows of `head` travel.
    HEAD_ROWS_COUNT = "SELECT COUNT(*) FROM head";
}

/// What stays where it is, and why.
#[cfg(test)]
const STAYS: &[(&str, &str)] = &[
    ("migrations", "each database keeps the history of its own schema"),
    ("permission_cache", "it answers no question: a hint what to warm, of the engine and the life that computed it"),
    ("mount_files", "what was last seen of the files of this machine"),
    ("sync_jobs", "what ran on this machine"),
    ("tenant_use", "an import counts what has come"),
    ("unused", "the house-keeping of a store finds it again"),
    ("chunks", "bodies travel by themselves, whichever way an engine keeps them"),
];

/// How a column is written down as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number.
    Int,
    /// Text without NUL.
    Text,
    /// Bytes, as hex digits: a hash.
    Hex,
    /// Bytes, as base64: a body.
    Base64,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether it may be NULL.
    pub(super) null: bool,
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    /// Of [`Kind::Int`].
    Int(Option<i64>),
    /// Of [`Kind::Text`].
    Text(Option<String>),
    /// Of [`Kind::Hex`] or [`Kind::Base64`].
    Bytes(Option<Vec<u8>>),
}

impl Value {
    /// As a parameter.
    pub(super) fn as_val(&self) -> Val<'_> {
        match self {
            Self::Int(v) => Val::Int(*v),
            Self::Text(v) => Val::Text(v.as_deref()),
            Self::Bytes(v) => Val::Blob(v.as_deref()),
        }
    }
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    /// The places of the columns of the primary key: rows are read in their order, on every engine.
    pub(super) key: &'static [usize],
    /// Reads all rows that travel.
    pub(super) select: &'static str,
    /// Writes one.
    pub(super) insert: &'static str,
    /// Counts those that travel.
    pub(super) count: &'static str,
}

impl Table {
    /// The table of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.name == name)
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> usize {
        self.columns.iter().position(|column| column.name == name).expect("a column of the list")
    }

    /// The values of a row that [`select`](Self::select) gave.
    pub(super) fn read(&self, row: &Row<'_>) -> Result<Vec<Value>, StoreError> {
        let value = |(at, column): (usize, &Column)| {
            Ok(match (column.kind, column.null) {
                (Kind::Int, false) => Value::Int(Some(row.int(at)?)),
                (Kind::Int, true) => Value::Int(row.opt_int(at)?),
                (Kind::Text, false) => Value::Text(Some(row.string(at)?)),
                (Kind::Text, true) => Value::Text(row.opt_string(at)?),
                (Kind::Hex | Kind::Base64, false) => Value::Bytes(Some(row.blob(at)?.to_vec())),
                (Kind::Hex | Kind::Base64, true) => Value::Bytes(row.opt_blob(at)?.map(<[u8]>::to_vec)),
            })
        };
        self.columns.iter().enumerate().map(value).collect()
    }
}

/// Makes the list: a table, the places of the columns of its key, its three statements, and its columns, each with its
/// kind; one in brackets may be NULL.
macro_rules! tables {
    (@kind int) => { Kind::Int };
    (@kind text) => { Kind::Text };
    (@kind hex) => { Kind::Hex };
    (@kind base64) => { Kind::Base64 };
    (@name r#type) => { "type" };
    (@name $name:ident) => { stringify!($name) };
    (@column $name:tt [$kind:ident]) => { Column { name: tables!(@name $name), kind: tables!(@kind $kind), null: true } };
    (@column $name:tt $kind:ident) => { Column { name: tables!(@name $name), kind: tables!(@kind $kind), null: false } };
    ($($table:ident $key:tt $select:ident $insert:ident $count:ident
        { $($name:tt: $kind:tt),* })*) => {
        /// The tables that travel, in this order.
        pub(super) const TABLES: &[Table] = &[$(Table {
            name: stringify!($table),
            columns: &[$(tables!(@column $name $kind)),*],
            key: &$key,
            select: $select,
            insert: $insert,
            count: $count,
        }),*];
    };
}

// The tables that travel. What names something comes after what is named; `head` comes last, without which nothing is
// a store. `skills` is derived from files, but by a parser that the store must not know: it travels.
tables! {
    meta [0] META_ROWS META_ROW_PUT META_ROWS_COUNT {
        key: text, value: text
    }
    entities [0] ENTITIES_ROWS ENTITIES_ROW_PUT ENTITIES_ROWS_COUNT {
        id: int, tenant: text, r#type: text, name: text, key: hex
    }
    namespaces [0, 1] NAMESPACES_ROWS NAMESPACES_ROW_PUT NAMESPACES_ROWS_COUNT {
        r#type: text, from_rev: int, to_rev: [int], namespace_id: text, config: text, hash: hex,
        created_at_us: int, updated_at_us: int
    }
    contents [0] CONTENTS_ROWS CONTENTS_ROW_PUT CONTENTS_ROWS_COUNT {
        hash: hex, size: int, body: [base64], created_at_us: int
    }
    nodes [0, 1] NODES_ROWS NODES_ROW_PUT NODES_ROWS_COUNT {
        parent: int, name: text, id: int, tenant: text, r#type: int, owner: [int], implicit: int, mixed: int,
        detached: int, content: [hex], size: int, version: int, mime: [text], created_at_us: int,
        modified_at_us: int, created_by: text
    }
    versions [0, 1] VERSIONS_ROWS VERSIONS_ROW_PUT VERSIONS_ROWS_COUNT {
        node: int, from_rev: int, to_rev: [int], parent: int, name: text, version: int, content: [hex],
        size: int, mime: [text], created_at_us: int, created_by: text, source: text, reason: [text]
    }
    skills [0] SKILLS_ROWS SKILLS_ROW_PUT SKILLS_ROWS_COUNT {
        node: int, path: text, name: text, description: text, version: [text], author: [text],
        requires: text, created_at: [text], modified_at: [text]
    }
    tuples [0, 1, 2, 3] TUPLES_ROWS TUPLES_ROW_PUT TUPLES_ROWS_COUNT {
        object: int, relation: text, subject: int, subject_relation: text, tuple_id: text,
        created_at_us: int, expires_at_us: [int], condition: [text], created_by: text, rev: int
    }
    api_keys [0] API_KEYS_ROWS API_KEYS_ROW_PUT API_KEYS_ROWS_COUNT {
        key_id: text, hash: text, hash_scheme: text, user_id: text, subject_type: text, subject_id: text,
        tenant: text, is_admin: int, is_instance_admin: int, inherit_permissions: int, name: text,
        created_at_us: int, expires_at_us: [int], revoked_at_us: [int], last_used_at_us: [int]
    }
    agents [0, 1] AGENTS_ROWS AGENTS_ROW_PUT AGENTS_ROWS_COUNT {
        tenant: text, agent_id: text, user_id: text, name: text, description: [text],
        inherit_permissions: int, metadata: text, created_at_us: int
    }
    workspaces [0] WORKSPACES_ROWS WORKSPACES_ROW_PUT WORKSPACES_ROWS_COUNT {
        key: hex, scope: text, path: text, tenant: text, name: [text], description: text, created_by: text,
        created_at_us: int, metadata: text, session_id: [text], expires_at_us: [int]
    }
    mounts [0] MOUNTS_ROWS MOUNTS_ROW_PUT MOUNTS_ROWS_COUNT {
        mount_point: text, mount_id: text, backend_type: text, backend_config: text, priority: int, readonly: int,
        tenant: text, active: int, saved: int, owner: [text], description: [text], created_at_us: int,
        updated_at_us: int
    }
    sandboxes [0] SANDBOXES_ROWS SANDBOXES_ROW_PUT SANDBOXES_ROWS_COUNT {
        sandbox_id: text, name: text, tenant: text, user_id: text, agent_id: [text], provider: text,
        template_id: [text], status: text, created_at_us: int, last_active_at_us: int, paused_at_us: [int],
        stopped_at_us: [int], ttl_minutes: int, expires_at_us: [int]
    }
    snapshots [0, 1] SNAPSHOTS_ROWS SNAPSHOTS_ROW_PUT SNAPSHOTS_ROWS_COUNT {
        key: hex, number: int, snapshot_id: text, path: text, tenant: text, node: int, rev: [int],
        description: [text], tags: text, created_by: text, created_at_us: int, file_count: [int],
        total_size: [int], manifest_hash: [text]
    }
    memories [0] MEMORIES_ROWS MEMORIES_ROW_PUT MEMORIES_ROWS_COUNT {
        memory_id: text, tenant: text, user_id: text, agent_id: [text], scope: text, owner: text, memory_type: text,
        importance: int, state: text, namespace: [text], path_key: [text], content: hex, size: int, created_at_us:
        int, updated_at_us: int
    }
    trajectories [0] TRAJECTORIES_ROWS TRAJECTORIES_ROW_PUT TRAJECTORIES_ROWS_COUNT {
        trajectory_id: text, tenant: text, user_id: text, agent_id: [text], task: text, task_type: [text], status:
        text, success_score: [int], error_message: [text], started_at_us: int, completed_at_us: [int], relearn_reason:
        [text], relearn_priority: [int]
    }
    trajectory_notes [0, 1] TRAJECTORY_NOTES_ROWS TRAJECTORY_NOTES_ROW_PUT TRAJECTORY_NOTES_ROWS_COUNT {
        trajectory_id: text, number: int, note_id: text, what: text, r#type: text, score: [int], source: [text],
        message: [text], data: [text], at_us: int
    }
    playbooks [0] PLAYBOOKS_ROWS PLAYBOOKS_ROW_PUT PLAYBOOKS_ROWS_COUNT {
        playbook_id: text, tenant: text, user_id: text, agent_id: [text], scope: text, owner: text, name: text,
        description: [text], version: int, content: text, created_at_us: int, updated_at_us: int
    }
    quotas [0] QUOTAS_ROWS QUOTAS_ROW_PUT QUOTAS_ROWS_COUNT {
        tenant: text, bytes_max: [int], files_max: [int]
    }
    subscriptions [0] SUBSCRIPTIONS_ROWS SUBSCRIPTIONS_ROW_PUT SUBSCRIPTIONS_ROWS_COUNT {
        subscription_id: text, tenant: text, url: text, event_types: text, patterns: [text], secret: [text],
        name: [text], description: [text], metadata: [text], enabled: int, created_at_us: int,
        updated_at_us: int, created_by: text, subject_type: text, subject_id: text, key_id: [text]
    }
    deliveries [0] DELIVERIES_ROWS DELIVERIES_ROW_PUT DELIVERIES_ROWS_COUNT {
        subscription_id: text, rev: int, part: int, failures: int, missed: int, last_at_us: [int],
        last_status: [text], last_error: [text]
    }
    skill_approvals [0] SKILL_APPROVALS_ROWS SKILL_APPROVALS_ROW_PUT SKILL_APPROVALS_ROWS_COUNT {
        approval_id: text, tenant: text, skill_name: text, path: text, digest: text, submitted_by: text,
        submitted_at_us: int, reviewers: text, comments: [text], status: text, reviewed_by: [text],
        reviewed_at_us: [int], published_at_us: [int]
    }
    changelog [0] CHANGELOG_ROWS CHANGELOG_ROW_PUT CHANGELOG_ROWS_COUNT {
        rev: int, at_us: int, actor: text, tenant: text, request_id: text, op: text, permissions: int,
        before: text, after: text
    }
    idempotency [0] IDEMPOTENCY_ROWS IDEMPOTENCY_ROW_PUT IDEMPOTENCY_ROWS_COUNT {
        key: hex, request: hex, method: text, reply: [text], rev: int, at_us: int
    }
    denials [0] DENIALS_ROWS DENIALS_ROW_PUT DENIALS_ROWS_COUNT {
        seq: int, at_us: int, tenant: text, actor: text, method: text, permission: text, object: text,
        rev: int, request_id: text
    }
    head [0] HEAD_ROWS HEAD_ROW_PUT HEAD_ROWS_COUNT {
        one: int, rev: int, next_id: int, next_entity: int
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::migrate::MIGRATIONS;

    /// Name, type, whether it must not be NULL, and the place in the primary key from 1.
    type Found = (String, String, bool, i64);

    fn schema() -> Vec<(String, Vec<Found>)> {
        let conn = Connection::open_in_memory().expect("opens");
        MIGRATIONS.iter().for_each(|migration| conn.execute_batch(migration.sql).expect("runs"));
        let mut tables =
            conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").expect("sql");
        let tables: Vec<String> =
            tables.query_map([], |row| row.get(0)).expect("runs").map(|n| n.expect("text")).collect();
        let columns = |table: &String| {
            let mut info = conn.prepare(&format!("PRAGMA table_info({table})")).expect("sql");
            let column = |row: &rusqlite::Row<'_>| Ok((row.get(1)?, row.get(2)?, row.get(3)?, row.get(5)?));
            info.query_map([], column).expect("runs").map(|c| c.expect("a column")).collect()
        };
        tables.iter().map(|table| (table.clone(), columns(table))).collect()
    }

    #[test]
    fn every_table_and_column_travels_or_is_known_to_stay() {
        for (name, columns) in schema() {
            let Some(table) = Table::named(&name) else {
                assert!(STAYS.iter().any(|(stays, _)| *stays == name), "{name} is in neither list");
                continue;
            };
            let sql = |kind| match kind {
                Kind::Int => "INTEGER",
                Kind::Text => "TEXT",
                Kind::Hex | Kind::Base64 => "BLOB",
            };
            let place = |at: usize| table.key.iter().position(|key| *key == at).map_or(0, |at| at as i64 + 1);
            let ours = table
                .columns
                .iter()
                .enumerate()
                .map(|(at, c)| (c.name.to_owned(), sql(c.kind).to_owned(), !c.null, place(at)));
            assert_eq!(ours.collect::<Vec<Found>>(), columns, "{name}");
        }
        assert_eq!(schema().len(), TABLES.len() + STAYS.len());
    }

    #[test]
    fn the_statements_are_those_of_the_columns() {
        for table in TABLES {
            let names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
            let keys: Vec<_> = table.key.iter().map(|at| names[*at]).collect();
            let (name, names, keys) = (table.name, names.join(", "), keys.join(", "));
            let numbers: Vec<_> = (1..=table.columns.len()).map(|at| format!("?{at}")).collect();
            let insert = format!("INSERT INTO {name} ({names}) VALUES ({})", numbers.join(", "));
            assert_eq!(table.insert, insert);
            // A condition may stand between.
            assert!(table.select.starts_with(&format!("SELECT {names} FROM {name}")), "{}", table.select);
            assert!(table.select.ends_with(&format!(" ORDER BY {keys}")), "{}", table.select);
            let rows = table.select.trim_start_matches(&format!("SELECT {names} "));
            let rows = rows.trim_end_matches(&format!(" ORDER BY {keys}"));
            assert_eq!(table.count, format!("SELECT COUNT(*) {rows}"));
        }
    }
}
