//! Who is calling: API keys, agents, open mode.
//!
//! Owns the index of identities (a projection), the keyed hash and the key format. Decides who somebody is, never
//! what they may do.

use crate::model::{AgentRow, Change, KeyRow, Rev};
use crate::store::{Projection, Sql, StoreError};

/// Who is calling, as of one revision. Made by [`AuthIndex::identify`], made again inside a transaction by
/// [`AuthIndex::refresh`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The key that was shown; `None` in open mode and for the server itself.
    pub key_id: Option<String>,
    /// The tenant, from the key and never from a parameter.
    pub tenant: String,
    /// `user`, `agent` or `service`.
    pub subject_type: String,
    /// The subject; the agent where one acts.
    pub subject_id: String,
    /// The user behind it: the subject itself, or the agent's owner.
    pub user: String,
    /// The agent that acts, by its own key or by `X-Agent-ID`.
    pub agent: Option<String>,
    /// For an agent: whether it may do what its owner may. True for users.
    pub inherits: bool,
    /// Whether the admin bypass applies (a user with `is_admin`, or an agent of one that inherits).
    pub is_admin: bool,
    /// Whether it crosses tenants.
    pub is_instance_admin: bool,
}

impl Caller {
    /// `type:id`, as the changelog and the log name it.
    #[must_use]
    pub fn actor(&self) -> String {
        format!("{}:{}", self.subject_type, self.subject_id)
    }
    /// `user:<u>` or `user:<u>,agent:<a>`, as versions name their writer.
    #[must_use]
    pub fn writer(&self) -> String {
        match &self.agent {
            Some(agent) => format!("user:{},agent:{agent}", self.user),
            None => format!("user:{}", self.user),
        }
    }
}

/// Why nobody is calling.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No key, or not a Bearer header.
    #[error("no API key was sent")]
    Missing,
    /// Not known, revoked or expired: told alike.
    #[error("the API key is not known, revoked or expired")]
    Invalid,
    /// `X-Agent-ID` names no live agent of the key's user.
    #[error("X-Agent-ID names no agent of the calling user")]
    ForeignAgent,
}

/// All keys and agents of one revision.
#[derive(Clone)]
pub struct AuthIndex { /* auth helper: imbl maps: by hash, by key_id, agents by (tenant, agent_id) */ }

impl Projection for AuthIndex {
    const NAME: &'static str = "auth";
    fn load(tx: &impl Sql) -> Result<Self, StoreError> { todo!() }
    fn apply(&mut self, change: &Change, rev: Rev) { todo!() }
    fn publish(&mut self, rev: Rev) { todo!() }
}

impl AuthIndex {
    /// The identity as of this index: key still there, not revoked, not expired, agent still there and its owner's,
    /// flags as they are now. Called in every transaction that decides.
    pub fn refresh(&self, caller: &Caller, now_us: i64) -> Result<Caller, AuthError> { todo!() }
    /// A key by its id.
    pub fn key(&self, key_id: &str) -> Option<&KeyRow> { todo!() }
    /// An agent.
    pub fn agent(&self, tenant: &str, agent_id: &str) -> Option<&AgentRow> { todo!() }
}

/// Makes the keyed hash of an API key with the server's secret.
pub struct KeyHasher { /* auth helper */ }
