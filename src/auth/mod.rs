//! Who is calling: API keys, agents, open mode, passes of programs in sandboxes.
//!
//! Owns the index of identities (a projection), the keyed hash and the key format. Decides who somebody is, never
//! what they may do.

mod hasher;
mod index;
mod key;
mod names;
mod passes;
mod seal;

pub use hasher::{KeyHasher, NEXUS_SCHEME, SECRET_FILE, SERVER_SCHEME, SecretError};
pub use index::{AuthIndex, OpenIdentity};
pub use key::{ApiKey, DEMO_KEY, KEY_CHARS_MAX, KEY_CHARS_MIN};
pub use names::{NAME_BYTES_MAX, NameError, check_name};
pub use passes::{Pass, Passes};

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
    /// The user behind it: the subject itself, or the owner of the agent or the service.
    pub user: String,
    /// The agent that acts, by its own key or by `X-Agent-ID`.
    pub agent: Option<String>,
    /// For an agent: whether it may do what its owner may. True for users; for a service what its key says.
    pub inherits: bool,
    /// Whether the admin bypass applies (a user with `is_admin`, or an agent of one that inherits).
    pub is_admin: bool,
    /// Whether it crosses tenants.
    pub is_instance_admin: bool,
    /// Whether a program in a sandbox speaks for it, by a pass: never as an admin, and not to every method.
    pub confined: bool,
}

impl Caller {
    /// The server itself, as instance admin of the default tenant: first start, demo, maintenance. It has no key, so
    /// nothing can revoke it.
    #[must_use]
    pub fn system(user: &str) -> Self {
        Self {
            key_id: None,
            tenant: crate::model::DEFAULT_TENANT.to_owned(),
            subject_type: "user".to_owned(),
            subject_id: user.to_owned(),
            user: user.to_owned(),
            agent: None,
            inherits: true,
            is_admin: true,
            is_instance_admin: true,
            confined: false,
        }
    }
    /// What a program in a sandbox may be that speaks for it.
    #[must_use]
    pub fn confined(self) -> Self {
        Self { is_admin: false, is_instance_admin: false, confined: true, ..self }
    }
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
    /// Whether it rules `tenant`: its own as admin, every one as instance admin.
    #[must_use]
    pub fn administers(&self, tenant: &str) -> bool {
        self.is_instance_admin || (self.is_admin && self.tenant == tenant)
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
