//! Agents, written: an agent is a row, a directory with its settings, two grants on it and, if wanted, a key; all of
//! them come and go in one message.

use serde_json::{Map, Value};

use crate::auth::{AuthIndex, Caller, KeyHasher, check_name};
use crate::model::time::iso_utc;
use crate::model::{AgentRow, KeyRow, TupleRow, VirtualPath};
use crate::service::access::{Access, FILE, Permission};
use crate::service::agents::{AgentInfo, directory, visible};
use crate::service::files::free_in_background;
use crate::service::files::ops::{FileBody, make_directories_in, own_in, put_file_in, remove_tree_in};
use crate::service::keys::ops::{NewKey, blank, with_text};
use crate::service::located::Located;
use crate::service::{Call, Lacking, ServiceError};
use crate::store::{INLINE_BYTES_MAX, Sql, WriteOp, WriteTx, agents, entities, keys, nodes, tuples};

/// The type of agents in the permission graph.
pub(super) const AGENT: &str = "agent";
/// The file with an agent's settings, in its directory. It never holds a key.
pub(super) const CONFIG_FILE: &str = "config.yaml";
/// Life of an agent's key whose owner's key does not end: a year, µs.
const KEY_LIFE_US: i64 = 365 * 86_400 * 1_000_000;
/// Longest description, bytes.
const DESCRIPTION_BYTES_MAX: usize = 8 * 1024;
/// Longest free properties, bytes of JSON.
const METADATA_BYTES_MAX: usize = 16 * 1024;

/// What agent is wanted. What is `None` stays as it was when the agent is registered again.
#[derive(Debug, Clone)]
pub struct AgentRequest {
    /// The id, by convention `<user>,<name>`.
    pub agent_id: String,
    /// The display name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Whether it may do what its owner may; false for a new one.
    pub inherit_permissions: Option<bool>,
    /// Free properties.
    pub metadata: Option<Map<String, Value>>,
    /// Whether it gets a key of its own.
    pub generate_api_key: bool,
}

impl AgentRequest {
    fn check(&self, caller: &Caller) -> Result<(), ServiceError> {
        let refused = |text: String| Err(ServiceError::InvalidParams(text));
        let own_part = match self.agent_id.split_once(',') {
            Some((user, name)) if user == caller.user => name,
            Some((user, _)) => {
                return refused(format!(
                    "agent_id '{}' names the user '{user}'; an agent of yours begins with '{},'",
                    self.agent_id, caller.user
                ));
            }
            None => &self.agent_id,
        };
        for (what, name) in [("agent_id", self.agent_id.as_str()), ("agent_id", own_part), ("name", &self.name)] {
            check_name(what, name).map_err(|e| ServiceError::InvalidParams(e.to_string()))?;
        }
        check_texts(self.description.as_ref(), self.metadata.as_ref())
    }
}

/// The bounds of what an agent is described with.
pub(super) fn check_texts(
    description: Option<&String>,
    metadata: Option<&Map<String, Value>>,
) -> Result<(), ServiceError> {
    let refused = |text: String| Err(ServiceError::InvalidParams(text));
    if description.is_some_and(|d| d.len() > DESCRIPTION_BYTES_MAX || d.contains('\0')) {
        return refused(format!("description is longer than {DESCRIPTION_BYTES_MAX} bytes, or holds NUL"));
    }
    let metadata = metadata.map(|m| serde_json::to_string(m).unwrap_or_default());
    if metadata.is_some_and(|json| json.len() > METADATA_BYTES_MAX) {
        return refused(format!("metadata is longer than {METADATA_BYTES_MAX} bytes"));
    }
    Ok(())
}

/// An agent that was registered.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The agent.
    pub info: AgentInfo,
    /// The file with its settings.
    pub config_path: VirtualPath,
    /// Its new key, if one was wanted: the only time that its text is at hand.
    pub key: Option<NewKey>,
}

/// Registers an agent of the calling user, or changes one of it.
pub async fn register(call: &Call, hasher: &KeyHasher, request: AgentRequest) -> Result<Registered, ServiceError> {
    request.check(&call.caller)?;
    let random = call.store.random();
    let key = request.generate_api_key.then(|| {
        let (tenant, user) = (call.caller.tenant.clone(), call.caller.user.clone());
        let now_us = call.store.clock().now_us();
        let row = blank(random.uuid(), tenant, user, AGENT.to_owned(), request.agent_id.clone(), now_us);
        with_text(hasher, KeyRow { name: request.agent_id.clone(), ..row }, None, &call.store)
    });
    let op = RegisterAgent {
        caller: call.caller.clone(),
        key: key.as_ref().map(|new| new.row.clone()),
        tuple_ids: [random.uuid(), random.uuid()],
        request,
    };
    let (info, config_path) = call.submit(op).await?;
    Ok(Registered { info, config_path, key })
}

/// Registers an agent.
#[derive(Debug)]
pub struct RegisterAgent {
    /// Who asks.
    pub caller: Caller,
    /// What is wanted.
    pub request: AgentRequest,
    /// What is stored of its new key.
    pub key: Option<KeyRow>,
    /// The ids of the grants to the owner and to the agent; drawn by the request.
    pub tuple_ids: [String; 2],
}

/// The caller as of this transaction, if it is a user by its own key: an agent that made agents could make itself
/// one with more rights.
pub(super) fn require_user(tx: &impl Sql, caller: &Caller) -> Result<Caller, ServiceError> {
    let caller = tx.view::<AuthIndex>().refresh(caller, tx.wall_us()).map_err(|_| ServiceError::Unauthenticated)?;
    if caller.subject_type == "user" {
        return Ok(caller);
    }
    Err(ServiceError::PermissionDenied {
        message: format!("Permission denied: {} may not register or delete agents", caller.actor()),
        hint: "use the key of the user who owns the agent, without X-Agent-ID".into(),
        lacking: Lacking::new("manage", format_args!("user:{}", caller.user)),
    })
}

impl WriteOp for RegisterAgent {
    const NAME: &'static str = "agent_register";
    /// The agent and the file with its settings.
    type Output = (AgentInfo, VirtualPath);
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Self::Output, ServiceError> {
        let caller = require_user(tx, &self.caller)?;
        self.request.check(&caller)?;
        let known = agents::find(tx, &caller.tenant, &self.request.agent_id)?;
        if known.as_ref().is_some_and(|row| row.user_id != caller.user) {
            return Err(ServiceError::PermissionDenied {
                message: format!("Permission denied: agent '{}' belongs to another user", self.request.agent_id),
                hint: format!("choose an id of your own, e.g. '{},{}'", caller.user, self.request.name),
                lacking: Lacking::new("manage", format_args!("{AGENT}:{}", self.request.agent_id)),
            });
        }
        let row = self.row(&caller, known.as_ref(), tx.now_us());
        let directory = directory(&row)?;
        let config_path = directory.child(CONFIG_FILE);
        let config = config(&row)?;
        let existing = Located::find(tx, &directory)?;
        existing.through_directories()?;
        if existing.exact && !Access::in_writer(&*tx, &caller)?.manages(existing.tenant(), FILE, directory.as_str())? {
            return Err(Access::in_writer(&*tx, &caller)?.denial(Permission::Execute, &directory, &directory));
        }
        let existed = existing.exact;

        let row = agents::put(tx, row)?;
        if known.as_ref().is_some_and(|k| k.inherit_permissions != row.inherit_permissions) {
            update_keys(tx, &row, |key| key.inherit_permissions = row.inherit_permissions)?;
        }
        let [owner_tuple, agent_tuple] = &self.tuple_ids;
        make_directories_in(tx, &caller, &directory, Some(owner_tuple))?;
        if existed {
            own_in(tx, &caller, &directory, &row.tenant, owner_tuple)?;
        }
        grant_directory(tx, &caller, &row, &directory, agent_tuple)?;
        put_file_in(tx, &caller, &config_path, &FileBody::inline(&config_path, config.into()))?;
        if let Some(key) = &self.key {
            keys::insert(tx, KeyRow { inherit_permissions: row.inherit_permissions, ..self.timed(tx, &caller, key) })?;
        }
        let has_api_key = tx.view::<AuthIndex>().keys_of_agent(&row, tx.wall_us()).next().is_some();
        Ok((AgentInfo { row, has_api_key }, config_path))
    }

    fn bytes(&self) -> usize {
        let request = &self.request;
        size_of::<Self>() + request.agent_id.len() + request.description.as_ref().map_or(0, String::len)
    }
}

impl RegisterAgent {
    /// The row that shall stand.
    fn row(&self, caller: &Caller, known: Option<&AgentRow>, now_us: i64) -> AgentRow {
        let request = &self.request;
        let metadata = request.metadata.as_ref().map(|m| Value::Object(m.clone()).to_string());
        AgentRow {
            tenant: caller.tenant.clone(),
            agent_id: request.agent_id.clone(),
            user_id: caller.user.clone(),
            name: request.name.clone(),
            description: request.description.clone().or_else(|| known.and_then(|k| k.description.clone())),
            inherit_permissions: request.inherit_permissions.unwrap_or(known.is_some_and(|k| k.inherit_permissions)),
            metadata: metadata.or_else(|| known.map(|k| k.metadata.clone())).unwrap_or_else(|| "{}".to_owned()),
            created_at_us: known.map_or(now_us, |k| k.created_at_us),
        }
    }

    /// A key that ends with that of its maker, or in a year.
    fn timed(&self, tx: &WriteTx<'_>, caller: &Caller, key: &KeyRow) -> KeyRow {
        let makers = caller.key_id.as_ref().and_then(|id| tx.view::<AuthIndex>().key(id));
        let ends = makers.and_then(|key| key.expires_at_us).unwrap_or(tx.wall_us() + KEY_LIFE_US);
        KeyRow { expires_at_us: Some(ends), ..key.clone() }
    }
}

/// The settings file: what the incumbent writes, without the key.
pub(super) fn config(row: &AgentRow) -> Result<String, ServiceError> {
    let metadata = crate::service::agents::metadata(row);
    let mut config = Map::new();
    config.insert("agent_id".into(), row.agent_id.clone().into());
    config.insert("name".into(), row.name.clone().into());
    config.insert("user_id".into(), row.user_id.clone().into());
    config.insert("description".into(), row.description.clone().unwrap_or_default().into());
    config.insert("created_at".into(), iso_utc(row.created_at_us).into());
    if !metadata.is_empty() {
        config.insert("metadata".into(), Value::Object(metadata));
    }
    config.insert("inherit_permissions".into(), row.inherit_permissions.into());
    let text = serde_saphyr::to_string(&config)
        .map_err(|e| ServiceError::InvalidParams(format!("the agent's properties have no YAML form: {e}")))?;
    match text.len() <= INLINE_BYTES_MAX {
        true => Ok(text),
        false => Err(ServiceError::InvalidParams("the agent's properties are too large for its config.yaml".into())),
    }
}

/// Makes the agent itself the owner of its directory.
pub(super) fn grant_directory(
    tx: &mut WriteTx<'_>,
    caller: &Caller,
    row: &AgentRow,
    directory: &VirtualPath,
    tuple_id: &str,
) -> Result<(), ServiceError> {
    let tuple = TupleRow {
        tuple_id: tuple_id.to_owned(),
        object: entities::intern(tx, &row.tenant, FILE, directory.as_str())?,
        relation: "direct_owner".into(),
        subject: entities::intern(tx, &row.tenant, AGENT, &row.agent_id)?,
        subject_relation: None,
        created_at_us: tx.now_us(),
        expires_at_us: None,
        condition: None,
        created_by: caller.actor().to_owned(),
        rev: 0,
    };
    tuples::put(tx, tuple)?;
    Ok(nodes::make_explicit(tx, directory)?)
}

/// Changes every key of an agent that is not revoked.
pub(super) fn update_keys(
    tx: &mut WriteTx<'_>,
    agent: &AgentRow,
    change: impl Fn(&mut KeyRow),
) -> Result<(), ServiceError> {
    let index = tx.view::<AuthIndex>();
    let of_agent = |key: &&KeyRow| key.subject_type == AGENT && key.subject_id == agent.agent_id;
    let found: Vec<KeyRow> = index.keys_of(&agent.user_id, &agent.tenant).filter(of_agent).cloned().collect();
    for before in found {
        let mut after = before.clone();
        change(&mut after);
        keys::update(tx, before, after)?;
    }
    Ok(())
}

/// Deletes an agent with its keys, its grants and its directory. Returns whether it was there; who is neither its
/// owner nor an admin gets a refusal either way.
pub async fn delete(call: &Call, agent_id: String) -> Result<bool, ServiceError> {
    let (deleted, rows_left) = call.submit(DeleteAgent { caller: call.caller.clone(), agent_id }).await?;
    if rows_left {
        free_in_background(call);
    }
    Ok(deleted)
}

/// Deletes an agent.
#[derive(Debug)]
pub struct DeleteAgent {
    /// Who asks.
    pub caller: Caller,
    /// The agent.
    pub agent_id: String,
}

impl WriteOp for DeleteAgent {
    const NAME: &'static str = "agent_delete";
    const GROWS: bool = false;
    /// Whether it was there, and whether rows of its directory are left to be freed.
    type Output = (bool, bool);
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(bool, bool), ServiceError> {
        let caller = require_user(tx, &self.caller)?;
        let found = agents::find(tx, &caller.tenant, &self.agent_id)?.filter(|row| visible(&caller, row));
        let Some(row) = found else {
            let own = self.agent_id.split_once(',').is_some_and(|(user, _)| user == caller.user);
            return if own || caller.is_admin { Ok((false, false)) } else { Err(self.denied(&caller)) };
        };
        let rows_left = remove_in(tx, &caller, &row)?;
        Ok((true, rows_left))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.agent_id.len()
    }
}

/// Ends an agent with its keys, its grants and, as far as the caller may write there, its directory. Returns whether
/// rows of the directory are left to be freed. The caller of this has checked the right.
pub(super) fn remove_in(tx: &mut WriteTx<'_>, caller: &Caller, row: &AgentRow) -> Result<bool, ServiceError> {
    let directory = directory(row)?;
    let goes = {
        let access = Access::in_writer(&*tx, caller)?;
        let located = Located::find(tx, &directory)?;
        let foreign = located.node().is_some_and(|node| node.mixed) && !access.is_instance_admin();
        let goes = located.exact && !foreign && access.file(located.target(), Permission::Write)?.allowed();
        if goes {
            access.require_unmounted(&directory)?;
        }
        goes
    };
    let now_us = tx.now_us();
    update_keys(tx, row, |key| key.revoked_at_us = Some(now_us))?;
    if let Some(entity) = entities::find(tx, &row.tenant, AGENT, &row.agent_id)? {
        for tuple in tuples::on_or_of(tx, entity.id)? {
            tuples::delete(tx, &tuple)?;
        }
        entities::retire(tx, &entity)?;
    }
    agents::delete(tx, row)?;
    let rows_left = goes && remove_tree_in(tx, &directory)?;
    Ok(rows_left)
}

impl DeleteAgent {
    fn denied(&self, caller: &Caller) -> ServiceError {
        ServiceError::PermissionDenied {
            message: format!("Access denied: User '{}' may not delete the agent '{}'", caller.user, self.agent_id),
            hint: "the agent does not exist, or belongs to another user; its owner or an admin deletes it".into(),
            lacking: Lacking::new("manage", format_args!("{AGENT}:{}", self.agent_id)),
        }
    }
}
