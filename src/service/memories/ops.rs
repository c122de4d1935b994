//! Memory records, written.
//!
//! A memory of a name takes the place of the one that has it; whose name it is follows from the scope. A large body is
//! stored before the message and pinned until its row is committed.

use std::sync::Arc;

use bytes::Bytes;

use crate::auth::Caller;
use crate::model::{ContentHash, MemoryRow};
use crate::service::access::Access;
use crate::service::memories::{ACTIVE, CONTENT_BYTES_MAX, INACTIVE, NAME_BYTES_MAX};
use crate::service::records::{self, Right, bounded, denied, owner_in, parse_scope, require_scope};
use crate::service::{Call, ServiceError};
use crate::store::records::Owner;
use crate::store::{INLINE_BYTES_MAX, Pin, Sql, WriteOp, WriteTx, contents, memories};

/// Most ids of one request.
pub const BATCH_MAX: usize = 500;

/// What to remember.
#[derive(Debug, Clone)]
pub struct MemoryRequest {
    /// The body.
    pub content: Bytes,
    /// What it is.
    pub memory_type: String,
    /// For whom.
    pub scope: String,
    /// From 0 to 1.
    pub importance: f64,
    /// The first part of its name.
    pub namespace: Option<String>,
    /// The last part of its name.
    pub path_key: Option<String>,
    /// `active` or `inactive`.
    pub state: String,
}

/// A body that is stored, or small enough to go into a row.
#[derive(Debug)]
struct Body {
    hash: ContentHash,
    size: u64,
    inline: Option<Bytes>,
    /// Kept from being collected until the row that names it is committed.
    _pin: Option<Arc<Pin>>,
}

impl Body {
    async fn store(call: &Call, content: Bytes) -> Result<Self, ServiceError> {
        if content.len() > CONTENT_BYTES_MAX {
            let text = format!("content is longer than {CONTENT_BYTES_MAX} bytes; write a file and remember its path");
            return Err(ServiceError::InvalidParams(text));
        }
        let size = content.len() as u64;
        if content.len() <= INLINE_BYTES_MAX {
            return Ok(Self { hash: ContentHash::of(&content), size, inline: Some(content), _pin: None });
        }
        let (hash, pin) = call.store.put_blob(content).await?;
        Ok(Self { hash, size, inline: None, _pin: Some(Arc::new(pin)) })
    }

    fn put(&self, tx: &mut WriteTx<'_>) -> Result<(), ServiceError> {
        Ok(contents::put(tx, self.hash, self.size, self.inline.as_deref())?)
    }

    fn bytes(&self) -> usize {
        self.inline.as_ref().map_or(0, Bytes::len)
    }
}

/// Keeps a memory.
pub async fn store(call: &Call, request: MemoryRequest) -> Result<MemoryRow, ServiceError> {
    let scope = parse_scope(&request.scope)?;
    if request.memory_type.is_empty() {
        return Err(ServiceError::InvalidParams("memory_type must not be empty".into()));
    }
    bounded("memory_type", Some(&request.memory_type), NAME_BYTES_MAX)?;
    bounded("namespace", request.namespace.as_deref(), NAME_BYTES_MAX)?;
    bounded("path_key", request.path_key.as_deref(), NAME_BYTES_MAX)?;
    if request.path_key.is_some() && request.namespace.is_none() {
        return Err(ServiceError::InvalidParams("path_key is a name within a namespace; give namespace too".into()));
    }
    if ![ACTIVE, INACTIVE].contains(&request.state.as_str()) {
        return Err(ServiceError::InvalidParams("state must be active or inactive".into()));
    }
    let op = StoreMemory {
        caller: call.caller.clone(),
        memory_id: call.store.random().uuid(),
        scope,
        memory_type: request.memory_type,
        importance: records::millionths("importance", request.importance)?,
        namespace: request.namespace,
        path_key: request.path_key,
        state: request.state,
        body: Body::store(call, request.content).await?,
    };
    call.submit(op).await
}

/// Keeps a memory.
#[derive(Debug)]
pub struct StoreMemory {
    caller: Caller,
    memory_id: String,
    scope: &'static str,
    memory_type: String,
    importance: i64,
    namespace: Option<String>,
    path_key: Option<String>,
    state: String,
    body: Body,
}

impl WriteOp for StoreMemory {
    const NAME: &'static str = "memory_store";
    type Output = MemoryRow;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<MemoryRow, ServiceError> {
        let now_us = tx.now_us();
        let (caller, owner, old) = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            require_scope(&access, self.scope)?;
            let owner = owner_in(access.caller(), self.scope);
            let name = Owner { tenant: &access.caller().tenant, scope: self.scope, name: &owner };
            let old = match (&self.namespace, &self.path_key) {
                (Some(namespace), Some(path_key)) => memories::named(access.tx(), name, namespace, path_key)?,
                _ => None,
            };
            if let Some(old) = &old
                && !records::may(&access, old, Right::Write)?
            {
                return Err(denied(access.caller(), old, Right::Write));
            }
            (access.caller().clone(), owner, old)
        };
        self.body.put(tx)?;
        let row = MemoryRow {
            memory_id: self.memory_id.clone(),
            tenant: caller.tenant.clone(),
            user_id: caller.user.clone(),
            agent_id: caller.agent.clone(),
            scope: self.scope.to_owned(),
            owner,
            memory_type: self.memory_type.clone(),
            importance: self.importance,
            state: self.state.clone(),
            namespace: self.namespace.clone(),
            path_key: self.path_key.clone(),
            content: self.body.hash.to_hex(),
            size: self.body.size,
            created_at_us: now_us,
            updated_at_us: now_us,
        };
        let Some(old) = old else {
            memories::insert(tx, row.clone())?;
            return Ok(row);
        };
        // It stays the memory of who has it: its id, its place in lists.
        let after = MemoryRow {
            memory_id: old.memory_id.clone(),
            tenant: old.tenant.clone(),
            user_id: old.user_id.clone(),
            agent_id: old.agent_id.clone(),
            created_at_us: old.created_at_us,
            ..row
        };
        memories::update(tx, old, after.clone())?;
        Ok(after)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.body.bytes() + self.memory_type.len()
    }
}

/// What may change of a memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryChange {
    /// Another body.
    pub content: Option<Bytes>,
    /// Another importance, from 0 to 1.
    pub importance: Option<f64>,
}

/// A memory that was changed.
#[derive(Debug, Clone)]
pub struct Updated {
    /// The row as it is now.
    pub row: MemoryRow,
    /// The body, if it is another one.
    pub content: Option<Bytes>,
}

/// Changes a memory.
pub async fn update(call: &Call, memory_id: String, change: MemoryChange) -> Result<Updated, ServiceError> {
    let importance = change.importance.map(|value| records::millionths("importance", value)).transpose()?;
    if change.content.is_none() && importance.is_none() {
        return Err(ServiceError::InvalidParams("nothing to change: give content or importance".into()));
    }
    let content = change.content;
    let body = match &content {
        Some(content) => Some(Body::store(call, content.clone()).await?),
        None => None,
    };
    call.submit(UpdateMemory { caller: call.caller.clone(), memory_id, importance, body, content }).await
}

/// Changes a memory.
#[derive(Debug)]
pub struct UpdateMemory {
    caller: Caller,
    memory_id: String,
    importance: Option<i64>,
    body: Option<Body>,
    /// The body itself, for the reply.
    content: Option<Bytes>,
}

impl WriteOp for UpdateMemory {
    const NAME: &'static str = "memory_update";
    type Output = Updated;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Updated, ServiceError> {
        let before: MemoryRow = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            records::require(&access, &self.memory_id, Right::Write)?
        };
        let mut after = MemoryRow { updated_at_us: tx.now_us(), ..before.clone() };
        if let Some(importance) = self.importance {
            after.importance = importance;
        }
        if let Some(body) = &self.body {
            body.put(tx)?;
            (after.content, after.size) = (body.hash.to_hex(), body.size);
        }
        memories::update(tx, before, after.clone())?;
        Ok(Updated { row: after, content: self.content.clone() })
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.memory_id.len() + self.content.as_ref().map_or(0, Bytes::len)
    }
}

/// What is done to each memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// It is removed.
    Delete,
    /// It becomes active.
    Approve,
    /// It becomes inactive.
    Deactivate,
}

impl Verb {
    fn right(self) -> Right {
        if self == Self::Delete { Right::Delete } else { Right::Write }
    }
}

/// What became of each id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Those for which it is done.
    pub done: Vec<String>,
    /// Those that are not there for the caller, or that he may not change.
    pub failed: Vec<String>,
}

/// Does the same to many memories, in one change; an id that is named twice counts once. Of one that the caller sees and may not change it is said that it
/// failed, as of one that is not there.
pub async fn change_many(call: &Call, verb: Verb, memory_ids: Vec<String>) -> Result<Changed, ServiceError> {
    if memory_ids.len() > BATCH_MAX {
        let text = format!("at most {BATCH_MAX} memory_ids, not {}", memory_ids.len());
        return Err(ServiceError::InvalidParams(text));
    }
    call.submit(ChangeMemories { caller: call.caller.clone(), verb, memory_ids, alone: false }).await
}

/// Does something to one memory; `false` where it is not there for the caller.
pub async fn change(call: &Call, verb: Verb, memory_id: String) -> Result<bool, ServiceError> {
    let op = ChangeMemories { caller: call.caller.clone(), verb, memory_ids: vec![memory_id], alone: true };
    Ok(!call.submit(op).await?.done.is_empty())
}

/// Deletes, approves or deactivates memories.
#[derive(Debug)]
pub struct ChangeMemories {
    caller: Caller,
    verb: Verb,
    memory_ids: Vec<String>,
    /// Whether a right that is missing is refused, and not only counted.
    alone: bool,
}

impl WriteOp for ChangeMemories {
    const NAME: &'static str = "memories_change";
    const GROWS: bool = false;
    type Output = Changed;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Changed, ServiceError> {
        let mut changed = Changed::default();
        let mut rows: Vec<MemoryRow> = Vec::new();
        {
            let access = Access::in_writer(&*tx, &self.caller)?;
            for id in &self.memory_ids {
                if changed.done.contains(id) || changed.failed.contains(id) {
                    continue;
                }
                let Some(row) = records::visible::<_, MemoryRow>(&access, id)? else {
                    changed.failed.push(id.clone());
                    continue;
                };
                if records::may(&access, &row, self.verb.right())? {
                    changed.done.push(id.clone());
                    rows.push(row);
                } else if self.alone {
                    return Err(denied(access.caller(), &row, self.verb.right()));
                } else {
                    changed.failed.push(id.clone());
                }
            }
        }
        let now_us = tx.now_us();
        for row in rows {
            let state = match self.verb {
                Verb::Delete => {
                    memories::delete(tx, row)?;
                    continue;
                }
                Verb::Approve => ACTIVE,
                Verb::Deactivate => INACTIVE,
            };
            if row.state != state {
                let after = MemoryRow { state: state.to_owned(), updated_at_us: now_us, ..row.clone() };
                memories::update(tx, row, after)?;
            }
        }
        Ok(changed)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.memory_ids.iter().map(String::len).sum::<usize>()
    }
}
