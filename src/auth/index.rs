//! All keys and agents of one revision, in memory: who is calling is answered without a query.

use std::sync::Arc;

use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{GenericHashMap, HashMap, OrdMap, OrdSet};
use rustc_hash::FxBuildHasher;
use subtle::ConstantTimeEq as _;

use super::key::looks_like_a_key;
use super::{AuthError, Caller, Identity, KeyHasher, NEXUS_SCHEME, SERVER_SCHEME, check_name};
use crate::model::{AgentRow, Change, DEFAULT_TENANT, KeyRow, Rev};
use crate::store::{Projection, Sql, StoreError, agents, keys};

/// What a request in open mode says about itself; nothing of it is verified.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenIdentity<'a> {
    /// `X-Nexus-Subject`: `<type>:<id>`.
    pub subject: Option<&'a str>,
    /// `X-Nexus-Tenant-ID`.
    pub tenant: Option<&'a str>,
    /// The bearer token, whose first two parts name tenant and user.
    pub bearer: Option<&'a str>,
    /// `X-Agent-ID`.
    pub agent: Option<&'a str>,
}

/// A key, and for whom it speaks where no agent acts: made once, not for each request.
struct Known {
    row: KeyRow,
    own: Caller,
}

/// All keys and agents of one revision. A clone costs pointers.
#[derive(Clone, Default)]
pub struct AuthIndex {
    /// Every key by its id, the revoked ones too.
    keys: HashMap<Arc<str>, Arc<Known>>,
    /// The keys that are not revoked, by hash. Nobody outside can choose these hashes, so they need no second one.
    by_hash: GenericHashMap<Arc<str>, Arc<Known>, FxBuildHasher, DefaultSharedPtr>,
    /// How many of them were taken over and are known by the incumbent's hash.
    taken_over: usize,
    /// The keys that are not revoked, by (user, tenant, key id).
    by_user: OrdSet<(String, String, String)>,
    /// The agents by (tenant, agent id).
    agents: OrdMap<(String, String), Arc<AgentRow>>,
}

impl std::fmt::Debug for AuthIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthIndex").field("keys", &self.keys.len()).field("agents", &self.agents.len()).finish()
    }
}

impl Projection for AuthIndex {
    const NAME: &'static str = "auth";

    fn load(tx: &impl Sql) -> Result<Self, StoreError> {
        let mut index = Self::default();
        keys::each(tx, |row| index.put_key(row))?;
        agents::each(tx, |row| index.put_agent(row))?;
        Ok(index)
    }

    fn apply(&mut self, change: &Change, _rev: Rev) {
        match change {
            Change::Key(delta) => {
                if let Some(before) = &delta.before {
                    self.remove_key(before);
                }
                if let Some(after) = &delta.after {
                    self.put_key(after.clone());
                }
            }
            Change::Agent(delta) => {
                if let Some(before) = &delta.before {
                    self.agents.remove(&(before.tenant.clone(), before.agent_id.clone()));
                }
                if let Some(after) = &delta.after {
                    self.put_agent(after.clone());
                }
            }
            _ => {}
        }
    }

    fn publish(&mut self, _rev: Rev) {}
}

impl AuthIndex {
    fn put_key(&mut self, row: KeyRow) {
        let known = Arc::new(Known { own: own(&row), row });
        let row = &known.row;
        self.keys.insert(row.key_id.as_str().into(), Arc::clone(&known));
        if row.revoked_at_us.is_none() {
            self.taken_over += usize::from(row.hash_scheme == NEXUS_SCHEME);
            self.by_hash.insert(row.hash.as_str().into(), Arc::clone(&known));
            self.by_user.insert((row.user_id.clone(), row.tenant.clone(), row.key_id.clone()));
        }
    }

    fn remove_key(&mut self, row: &KeyRow) {
        self.keys.remove(row.key_id.as_str());
        if self.by_hash.remove(row.hash.as_str()).is_some() {
            self.taken_over -= usize::from(row.hash_scheme == NEXUS_SCHEME);
        }
        self.by_user.remove(&(row.user_id.clone(), row.tenant.clone(), row.key_id.clone()));
    }

    fn put_agent(&mut self, row: AgentRow) {
        self.agents.insert((row.tenant.clone(), row.agent_id.clone()), Arc::new(row));
    }

    /// Who shows this key. `bearer` is the text after `Bearer `, `agent` the header `X-Agent-ID`.
    pub fn identify(
        &self,
        bearer: &str,
        agent: Option<&str>,
        now_us: i64,
        hasher: &KeyHasher,
    ) -> Result<Caller, AuthError> {
        if bearer.is_empty() {
            return Err(AuthError::Missing);
        }
        if !looks_like_a_key(bearer) {
            return Err(AuthError::Invalid);
        }
        // The same hashes and one comparison each, whether the key is known or not: the time tells nothing.
        let server = self.by_shown_hash(&hasher.hash(bearer), SERVER_SCHEME);
        let nexus = self.by_nexus_hash(bearer, hasher);
        let key = server.or(nexus).ok_or(AuthError::Invalid)?;
        self.caller(key, agent, now_us)
    }

    /// Whether it is asked at all depends on the server and not on the key: whether it has taken over any.
    fn by_nexus_hash(&self, bearer: &str, hasher: &KeyHasher) -> Option<&Known> {
        if self.taken_over == 0 {
            return None;
        }
        self.by_shown_hash(&hasher.nexus_hash(bearer), NEXUS_SCHEME)
    }

    fn by_shown_hash(&self, shown: &str, scheme: &str) -> Option<&Known> {
        const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";
        let found = self.by_hash.get(shown);
        let stored = found.map_or(NOBODY, |key| key.row.hash.as_str());
        let equal: bool = words(stored).ct_eq(&words(shown)).into();
        found.filter(|key| equal && key.row.hash_scheme == scheme).map(AsRef::as_ref)
    }

    /// The identity as of this index: key still there, not revoked, not expired, agent still there and its owner's,
    /// flags as they are now. Called in every transaction that decides.
    pub fn refresh(&self, caller: &Caller, now_us: i64) -> Result<Caller, AuthError> {
        let fresh = match (&caller.key_id, &caller.agent) {
            (Some(key_id), agent) => {
                let key = self.keys.get(key_id.as_str()).ok_or(AuthError::Invalid)?;
                self.caller(key, agent.as_deref(), now_us)?
            }
            (None, Some(agent)) => self.acting(caller, agent)?,
            (None, None) => caller.clone(),
        };
        // What its key may is not what a program may that was started with it.
        Ok(if caller.confined { fresh.confined() } else { fresh })
    }

    /// Who a key speaks for, with the agent that the request names.
    fn caller(&self, known: &Known, agent: Option<&str>, now_us: i64) -> Result<Caller, AuthError> {
        let Known { row: key, own } = known;
        if key.revoked_at_us.is_some() || key.expires_at_us.is_some_and(|at| at <= now_us) {
            return Err(AuthError::Invalid);
        }
        let agent = agent.filter(|a| !a.is_empty());
        match (key.subject_type.as_str(), agent) {
            ("agent", Some(named)) if named != key.subject_id => Err(AuthError::ForeignAgent),
            // Without its agent a key speaks for nobody: told like an unknown key.
            ("agent", _) => self.acting(own, &key.subject_id).map_err(|_| AuthError::Invalid),
            ("user", Some(named)) => self.acting(own, named),
            (_, Some(_)) => Err(AuthError::ForeignAgent),
            (_, None) => Ok(own.clone()),
        }
    }

    /// `caller` with its agent acting: never more than before, and without inheritance only the agent's own.
    fn acting(&self, caller: &Caller, agent: &str) -> Result<Caller, AuthError> {
        let row = self.agent(&caller.tenant, agent).filter(|a| a.user_id == caller.user);
        let row = row.ok_or(AuthError::ForeignAgent)?;
        let inherits = row.inherit_permissions && caller.inherits;
        let acting = Identity {
            subject_type: "agent".to_owned(),
            subject_id: row.agent_id.clone(),
            agent: Some(row.agent_id.clone()),
            inherits,
            is_admin: caller.is_admin && inherits,
            is_instance_admin: caller.is_instance_admin && inherits,
            ..Identity::clone(caller)
        };
        Ok(acting.into())
    }

    /// Who calls a server that asks for no key: what the request says, never an admin.
    pub fn open_caller(&self, said: OpenIdentity<'_>) -> Result<Caller, AuthError> {
        let from_key = said.bearer.and_then(|b| b.strip_prefix("sk-")).map(|rest| {
            let mut parts = rest.split('_');
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        });
        let from_key = from_key.filter(|(tenant, user)| !tenant.is_empty() && !user.is_empty());
        let named =
            said.subject.and_then(|s| s.split_once(':')).filter(|(kind, id)| !kind.is_empty() && !id.is_empty());
        let (kind, id) = named.or(from_key.map(|(_, user)| ("user", user))).unwrap_or(("user", "anonymous"));
        let tenant = said.tenant.or(from_key.map(|(tenant, _)| tenant)).unwrap_or(DEFAULT_TENANT);
        if !matches!(kind, "user" | "agent" | "service") {
            return Err(AuthError::Invalid);
        }
        for name in [tenant, id] {
            check_name("name", name).map_err(|_| AuthError::Invalid)?;
        }
        let user = match kind {
            "agent" => &self.agent(tenant, id).ok_or(AuthError::ForeignAgent)?.user_id,
            _ => id,
        };
        let identity = Identity {
            key_id: None,
            tenant: tenant.to_owned(),
            subject_type: kind.to_owned(),
            subject_id: id.to_owned(),
            user: user.to_owned(),
            agent: None,
            inherits: true,
            is_admin: false,
            is_instance_admin: false,
            confined: false,
        };
        let caller = Caller::from(identity);
        let header = said.agent.filter(|a| !a.is_empty());
        match (kind, header) {
            ("agent", Some(named)) if named != id => Err(AuthError::ForeignAgent),
            ("agent", _) => self.acting(&caller, id),
            ("user", Some(named)) => self.acting(&caller, named),
            (_, Some(_)) => Err(AuthError::ForeignAgent),
            (_, None) => Ok(caller),
        }
    }

    /// Whether there is no key at all, not even a revoked one: the first start.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A key by its id, revoked or not.
    #[must_use]
    pub fn key(&self, key_id: &str) -> Option<&KeyRow> {
        self.keys.get(key_id).map(|known| &known.row)
    }

    /// Every key, in no order, the revoked ones too.
    pub fn keys(&self) -> impl Iterator<Item = &KeyRow> {
        self.keys.values().map(|known| &known.row)
    }

    /// The keys that `user` owns in `tenant` and that are not revoked, its agents' too.
    pub fn keys_of(&self, user: &str, tenant: &str) -> impl Iterator<Item = &KeyRow> {
        let from = (user.to_owned(), tenant.to_owned(), String::new());
        let (user, tenant) = (from.0.clone(), from.1.clone());
        let mine = self.by_user.range(from..).take_while(move |(u, t, _)| *u == user && *t == tenant);
        mine.filter_map(|(_, _, key_id)| self.key(key_id))
    }

    /// The tenants in which a user owns a key that is not revoked, in order.
    #[must_use]
    pub fn tenants_of(&self, user: &str) -> Vec<String> {
        let from = (user.to_owned(), String::new(), String::new());
        let mine = self.by_user.range(from..).take_while(|(u, _, _)| u == user);
        let mut tenants: Vec<String> = mine.map(|(_, tenant, _)| tenant.clone()).collect();
        tenants.dedup();
        tenants
    }

    /// An agent.
    #[must_use]
    pub fn agent(&self, tenant: &str, agent_id: &str) -> Option<&AgentRow> {
        self.agents.get(&(tenant.to_owned(), agent_id.to_owned())).map(AsRef::as_ref)
    }

    /// The agents of a tenant, by id.
    pub fn agents(&self, tenant: &str) -> impl Iterator<Item = &AgentRow> {
        let from = (tenant.to_owned(), String::new());
        let tenant = from.0.clone();
        self.agents.range(from..).take_while(move |((t, _), _)| *t == tenant).map(|(_, row)| row.as_ref())
    }

    /// The keys of an agent that still work at `now_us`.
    pub fn keys_of_agent<'a>(&'a self, agent: &'a AgentRow, now_us: i64) -> impl Iterator<Item = &'a KeyRow> {
        self.keys_of(&agent.user_id, &agent.tenant).filter(move |key| {
            key.subject_type == "agent"
                && key.subject_id == agent.agent_id
                && key.expires_at_us.is_none_or(|at| now_us < at)
        })
    }
}

/// For whom a key speaks where no agent acts.
fn own(key: &KeyRow) -> Caller {
    let is_user = key.subject_type == "user";
    let inherits = is_user || key.inherit_permissions;
    let identity = Identity {
        key_id: Some(key.key_id.clone()),
        tenant: key.tenant.clone(),
        subject_type: key.subject_type.clone(),
        subject_id: key.subject_id.clone(),
        user: if is_user { key.subject_id.clone() } else { key.user_id.clone() },
        agent: None,
        inherits,
        is_admin: key.is_admin && inherits,
        is_instance_admin: key.is_instance_admin && inherits,
        confined: false,
    };
    identity.into()
}

/// A hash in hex as eight words: so many are compared in constant time sooner than its letters.
fn words(hash: &str) -> [u64; 8] {
    let mut words = [0; 8];
    for (word, letters) in words.iter_mut().zip(hash.as_bytes().as_chunks().0) {
        *word = u64::from_le_bytes(*letters);
    }
    words
}

#[cfg(test)]
mod tests;
