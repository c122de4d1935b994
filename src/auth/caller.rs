//! Who is calling.
//!
//! Owns what is known of a caller. Must never know what he may do. Invariant: what a caller is does not change, and
//! another revision may know another one by the same key; only the note of when his key was used moves.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use crate::model::DEFAULT_TENANT;

/// Who is calling, as of one revision. Made by [`AuthIndex::identify`](super::AuthIndex::identify), made again inside a
/// transaction by [`AuthIndex::refresh`](super::AuthIndex::refresh). A clone costs a pointer: every request has one, and
/// every transaction makes one.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Named>);

/// What a caller is, with its name.
#[derive(Debug)]
struct Named {
    identity: Identity,
    actor: String,
    use_noted_us: AtomicI64,
}

/// What a [`Caller`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
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

impl From<Identity> for Caller {
    fn from(identity: Identity) -> Self {
        let actor = format!("{}:{}", identity.subject_type, identity.subject_id);
        Self(Arc::new(Named { identity, actor, use_noted_us: AtomicI64::new(i64::MIN) }))
    }
}

impl PartialEq for Caller {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Caller {}

impl Deref for Caller {
    type Target = Identity;
    fn deref(&self) -> &Identity {
        &self.0.identity
    }
}

impl Caller {
    /// The server itself, as instance admin of the default tenant: first start, demo, maintenance. It has no key, so
    /// nothing can revoke it.
    #[must_use]
    pub fn system(user: &str) -> Self {
        let identity = Identity {
            key_id: None,
            tenant: DEFAULT_TENANT.to_owned(),
            subject_type: "user".to_owned(),
            subject_id: user.to_owned(),
            user: user.to_owned(),
            agent: None,
            inherits: true,
            is_admin: true,
            is_instance_admin: true,
            confined: false,
        };
        identity.into()
    }
    /// What a program in a sandbox may be that speaks for it.
    #[must_use]
    pub fn confined(&self) -> Self {
        Identity { is_admin: false, is_instance_admin: false, confined: true, ..Identity::clone(self) }.into()
    }
    /// `type:id`, as the changelog and the log name it.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.0.actor
    }
    /// When it was last noted that its key is used, Unix time, µs; for whoever notes that.
    #[must_use]
    pub fn use_noted_us(&self) -> &AtomicI64 {
        &self.0.use_noted_us
    }
}

impl Identity {
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
