//! What an operation changed, as the row before and the row after.
//!
//! One list of [`Change`]s is the changelog row, the input of every projection, and (inverted) the way back in
//! time. A change holds everything a fold over the changelog needs; bodies are named by their hash.

use serde::{Deserialize, Serialize};

use super::records::{MemoryRow, PlaybookRow, TrajectoryNoteRow, TrajectoryRow};
use super::{EntityId, NodeId, Rev};

/// The row before and the row after; `None` = absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta<T> {
    /// The row before the change.
    pub before: Option<T>,
    /// The row after the change.
    pub after: Option<T>,
}

impl<T> Delta<T> {
    /// A row that was not there.
    pub fn insert(after: T) -> Self {
        Self { before: None, after: Some(after) }
    }
    /// A row that is gone.
    pub fn delete(before: T) -> Self {
        Self { before: Some(before), after: None }
    }
    /// A row that changed.
    pub fn update(before: T, after: T) -> Self {
        Self { before: Some(before), after: Some(after) }
    }
    /// The change that undoes this one.
    pub fn inverse(self) -> Self {
        Self { before: self.after, after: self.before }
    }
}

/// One changed row. An operation records any number of them under one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// An entity was interned, renamed (same id) or retired.
    Entity(Delta<EntityRow>),
    /// A relationship tuple was written, replaced or deleted.
    Tuple(Delta<TupleRow>),
    /// A file or directory came, changed, moved or went. The removal of a directory removes its whole subtree.
    Node(Delta<NodeRow>),
    /// A namespace was put or deleted.
    Namespace(Delta<NamespaceRow>),
    /// An API key was created, changed or revoked.
    Key(Delta<KeyRow>),
    /// An agent was registered, changed or deleted.
    Agent(Delta<AgentRow>),
    /// A workspace was registered or unregistered.
    Workspace(Delta<WorkspaceRow>),
    /// A mount was added or removed.
    Mount(Delta<MountRow>),
    /// A sandbox record changed.
    Sandbox(Delta<SandboxRow>),
    /// A snapshot was taken or deleted.
    Snapshot(Delta<SnapshotRow>),
    /// A memory record came, changed or went.
    Memory(Delta<MemoryRow>),
    /// A trajectory began, ended or was marked.
    Trajectory(Delta<TrajectoryRow>),
    /// A step of a trajectory, or feedback on it.
    TrajectoryNote(Delta<TrajectoryNoteRow>),
    /// A playbook came, changed or went.
    Playbook(Delta<PlaybookRow>),
    /// A tenant got another quota.
    Quota(Delta<QuotaRow>),
    /// A subscription was made, changed or deleted. How far it has been told is no change.
    Subscription(Delta<SubscriptionRow>),
    /// A skill was submitted for a review, decided about, or shared after one.
    Approval(Delta<ApprovalRow>),
}

impl Change {
    /// The change that undoes this one.
    #[must_use]
    pub fn inverse(self) -> Self {
        match self {
            Self::Entity(d) => Self::Entity(d.inverse()),
            Self::Tuple(d) => Self::Tuple(d.inverse()),
            Self::Node(d) => Self::Node(d.inverse()),
            Self::Namespace(d) => Self::Namespace(d.inverse()),
            Self::Key(d) => Self::Key(d.inverse()),
            Self::Agent(d) => Self::Agent(d.inverse()),
            Self::Workspace(d) => Self::Workspace(d.inverse()),
            Self::Mount(d) => Self::Mount(d.inverse()),
            Self::Sandbox(d) => Self::Sandbox(d.inverse()),
            Self::Snapshot(d) => Self::Snapshot(d.inverse()),
            Self::Memory(d) => Self::Memory(d.inverse()),
            Self::Trajectory(d) => Self::Trajectory(d.inverse()),
            Self::TrajectoryNote(d) => Self::TrajectoryNote(d.inverse()),
            Self::Playbook(d) => Self::Playbook(d.inverse()),
            Self::Quota(d) => Self::Quota(d.inverse()),
            Self::Subscription(d) => Self::Subscription(d.inverse()),
            Self::Approval(d) => Self::Approval(d.inverse()),
        }
    }

    /// Whether a permission decision may depend on it. The owner and the tenant of a node count, its content does not.
    #[must_use]
    pub fn decides_permissions(&self) -> bool {
        match self {
            Self::Entity(_) | Self::Tuple(_) | Self::Namespace(_) | Self::Key(_) | Self::Agent(_) => true,
            Self::Node(d) => match (&d.before, &d.after) {
                (Some(b), Some(a)) => {
                    b.owner != a.owner || b.tenant != a.tenant || b.parent != a.parent || b.name != a.name
                }
                (Some(_), None) => true,
                (None, _) => false,
            },
            Self::Workspace(_) | Self::Mount(_) | Self::Sandbox(_) | Self::Snapshot(_) => false,
            Self::Memory(_)
            | Self::Trajectory(_)
            | Self::TrajectoryNote(_)
            | Self::Playbook(_)
            | Self::Quota(_)
            | Self::Subscription(_) => false,
            Self::Approval(_) => false,
        }
    }
}

/// A row of `entities`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityRow {
    /// The id, dense, never reused.
    pub id: EntityId,
    /// The tenant.
    pub tenant: String,
    /// The type, e.g. `user`, `file`, `group`; `*` for the public subject.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name within tenant and type; for a file its path. Byte-exact, never normalised.
    pub name: String,
}

/// A row of `tuples`: `subject[#subject_relation] relation object`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TupleRow {
    /// The UUID that clients know.
    pub tuple_id: String,
    /// The object.
    pub object: EntityId,
    /// The relation.
    pub relation: String,
    /// The subject.
    pub subject: EntityId,
    /// The relation of a userset subject; `None` for a plain subject.
    pub subject_relation: Option<String>,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs; the tuple is live iff `now < expires_at`.
    pub expires_at_us: Option<i64>,
    /// A condition as JSON text (`time_window`, `allowed_ips`, … or an obligation); `None` = always.
    pub condition: Option<String>,
    /// Who granted it, as `type:id`.
    pub created_by: String,
    /// The revision that wrote it.
    pub rev: Rev,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A file: has content and versions.
    File,
    /// A directory.
    Directory,
}

/// A row of `nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// The id, never reused.
    pub id: NodeId,
    /// The directory it lies in; 0 for the root.
    pub parent: NodeId,
    /// The last component of its path; empty for the root.
    pub name: String,
    /// The tenant it belongs to.
    pub tenant: String,
    /// File or directory.
    #[serde(rename = "type")]
    pub kind: NodeKind,
    /// The creator: the implicit `direct_owner` of a file (an entity id).
    pub owner: Option<EntityId>,
    /// A directory that a write made by itself; vanishes with its last child.
    pub implicit: bool,
    /// A directory below which a node of another tenant was made or moved.
    pub mixed: bool,
    /// BLAKE3 of the body, hex; `None` for a directory. It is the etag.
    pub content: Option<String>,
    /// Bytes.
    pub size: u64,
    /// The version number, from 1; 0 for a directory.
    pub version: u64,
    /// MIME type, if known.
    pub mime: Option<String>,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs.
    pub modified_at_us: i64,
    /// Who wrote this version: `user:<u>` or `user:<u>,agent:<a>`.
    pub created_by: String,
}

/// A row of `namespaces`: the rules of one object type, as of one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRow {
    /// The UUID that clients know; kept when the namespace is replaced.
    pub namespace_id: String,
    /// The object type it governs.
    pub object_type: String,
    /// `{"relations": …, "permissions": …}` as JSON text.
    pub config: String,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs.
    pub updated_at_us: i64,
}

/// A row of `api_keys`. Holds a keyed hash, never the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// The UUID that clients know.
    pub key_id: String,
    /// The keyed hash, hex.
    pub hash: String,
    /// How `hash` was made, e.g. `hmac-sha256-server`.
    pub hash_scheme: String,
    /// The owner.
    pub user_id: String,
    /// `user`, `agent` or `service`.
    pub subject_type: String,
    /// The subject that the key speaks for.
    pub subject_id: String,
    /// The tenant.
    pub tenant: String,
    /// Rules its own tenant.
    pub is_admin: bool,
    /// The only one that crosses tenants.
    pub is_instance_admin: bool,
    /// For an agent's key: whether the owner's rights are inherited.
    pub inherit_permissions: bool,
    /// A label.
    pub name: String,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs.
    pub expires_at_us: Option<i64>,
    /// Unix time, µs; set once, never cleared.
    pub revoked_at_us: Option<i64>,
}

/// A row of `agents`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRow {
    /// The tenant.
    pub tenant: String,
    /// By convention `<user_id>,<agent_name>`.
    pub agent_id: String,
    /// The owning user.
    pub user_id: String,
    /// The display name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Whether it may do what its owner may.
    pub inherit_permissions: bool,
    /// Free JSON object, as text.
    pub metadata: String,
    /// Unix time, µs.
    pub created_at_us: i64,
}

/// A row of `workspaces` (`scope` tells workspaces from registered memory directories).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceRow {
    /// The path of its directory.
    pub path: String,
    /// `workspace` or `memory`.
    pub scope: String,
    /// The tenant.
    pub tenant: String,
    /// The display name.
    pub name: Option<String>,
    /// Free text.
    pub description: String,
    /// The registering user.
    pub created_by: String,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Free JSON object, as text.
    pub metadata: String,
    /// The session it lives for, if any.
    pub session_id: Option<String>,
    /// Unix time, µs.
    pub expires_at_us: Option<i64>,
}

/// A row of `mounts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRow {
    /// The path it is mounted at.
    pub mount_point: String,
    /// Its own as long as it is mounted or saved.
    #[serde(default)]
    pub mount_id: String,
    /// The backend's type name, as clients know it.
    pub backend_type: String,
    /// The backend's settings as JSON text.
    pub backend_config: String,
    /// Higher wins where mounts overlap.
    pub priority: i64,
    /// Whether writes are refused.
    pub readonly: bool,
    /// The tenant.
    pub tenant: String,
    /// Whether it is mounted; else its settings are saved only.
    #[serde(default = "yes")]
    pub active: bool,
    /// Whether its settings stay when it is not mounted any more.
    #[serde(default)]
    pub saved: bool,
    /// The user in whose name it was saved.
    #[serde(default)]
    pub owner: Option<String>,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs.
    #[serde(default)]
    pub updated_at_us: i64,
}

/// Rows of the log from before mounts could be saved.
fn yes() -> bool {
    true
}

/// A row of `sandboxes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxRow {
    /// The id that clients know.
    pub sandbox_id: String,
    /// The name; unique among the active ones of (tenant, user).
    pub name: String,
    /// The tenant.
    pub tenant: String,
    /// The owning user.
    pub user_id: String,
    /// The agent that asked for it, if any.
    pub agent_id: Option<String>,
    /// The provider that made it.
    pub provider: String,
    /// The template asked for, if any.
    pub template_id: Option<String>,
    /// `active`, `paused` or `stopped`.
    pub status: String,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs.
    pub last_active_at_us: i64,
    /// Unix time, µs.
    pub paused_at_us: Option<i64>,
    /// Unix time, µs.
    pub stopped_at_us: Option<i64>,
    /// Minutes it lives without being used.
    pub ttl_minutes: i64,
    /// Unix time, µs.
    pub expires_at_us: Option<i64>,
}

/// A row of `snapshots`: the state of a directory at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRow {
    /// The UUID that clients know.
    pub snapshot_id: String,
    /// Its number among those of the path, from 1; never given twice.
    pub number: u64,
    /// Where the directory lay when it was taken.
    pub path: String,
    /// The tenant of the directory.
    pub tenant: String,
    /// The directory.
    pub node: NodeId,
    /// The revision whose state it is; `None` = deleted, only the number is kept.
    pub rev: Option<Rev>,
    /// Free text.
    pub description: Option<String>,
    /// A JSON array of texts.
    pub tags: String,
    /// The user.
    pub created_by: String,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Files below it; `None` = not counted.
    pub file_count: Option<u64>,
    /// Bytes of these files; `None` = not counted.
    pub total_size: Option<u64>,
    /// BLAKE3 over paths and contents, hex; `None` = not counted.
    pub manifest_hash: Option<String>,
}

/// A row of `quotas`: what a tenant may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaRow {
    /// The tenant.
    pub tenant: String,
    /// Bytes of all its files; `None` = no limit.
    pub bytes_max: Option<u64>,
    /// Its files; `None` = no limit.
    pub files_max: Option<u64>,
}

/// A row of `subscriptions`: who wants to be told of which events, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionRow {
    /// The UUID that clients know.
    pub subscription_id: String,
    /// The tenant whose files it is about.
    pub tenant: String,
    /// Where events are sent.
    pub url: String,
    /// A JSON array of names of events.
    pub event_types: String,
    /// A JSON array of globs; `None` = every path.
    pub patterns: Option<String>,
    /// What deliveries are signed with, sealed with the server's secret; `None` = not signed.
    pub secret: Option<String>,
    /// The display name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Free JSON object, as text.
    pub metadata: Option<String>,
    /// Whether events are sent.
    pub enabled: bool,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs; never the same for two states.
    pub updated_at_us: i64,
    /// The user who made it.
    pub created_by: String,
    /// `user`, `agent` or `service`: the subject that must be allowed to read what is told.
    pub subject_type: String,
    /// That subject.
    pub subject_id: String,
    /// The key with which it was made; while that one is valid events are sent. `None` in open mode.
    pub key_id: Option<String>,
}

/// A row of `skill_approvals`: a skill that was submitted for a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRow {
    /// The UUID that clients know.
    pub approval_id: String,
    /// Whose skill folder it is for.
    pub tenant: String,
    /// The name of the skill.
    pub skill_name: String,
    /// Its directory when it was submitted.
    pub path: String,
    /// BLAKE3 over the paths and contents of the directory, hex.
    pub digest: String,
    /// The user.
    pub submitted_by: String,
    /// Unix time, µs.
    pub submitted_at_us: i64,
    /// A JSON array of users; empty: whoever may write to the folder.
    pub reviewers: String,
    /// Free text: of who submitted it, then of who decided.
    pub comments: Option<String>,
    /// `pending`, `approved` or `rejected`.
    pub status: String,
    /// The user who decided.
    pub reviewed_by: Option<String>,
    /// Unix time, µs.
    pub reviewed_at_us: Option<i64>,
    /// Unix time, µs: when it was used to share the skill.
    pub published_at_us: Option<i64>,
}
