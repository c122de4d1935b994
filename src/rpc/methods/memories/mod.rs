//! Memory records: kept, listed, searched, changed.

pub mod change;
pub mod list;
pub mod query;
pub mod retrieve;
pub mod store;
pub mod update;

pub use change::{
    ApproveMemory, ApproveMemoryBatch, DeactivateMemory, DeactivateMemoryBatch, DeleteMemory, DeleteMemoryBatch,
};
pub use list::ListMemories;
pub use query::QueryMemories;
pub use retrieve::RetrieveMemory;
pub use store::StoreMemory;
pub use update::UpdateMemory;

use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::model::MemoryRow;
use crate::rpc::codec::{WireBytes, WireTime};
use crate::service::memories::Memory;
use crate::service::records::{self, Listed};

/// Rows of a list whose request names no limit.
pub(super) const LIMIT_DEFAULT: usize = 50;

/// The state of memories that a list has if none is named.
pub(super) fn active() -> Option<String> {
    Some(crate::service::memories::ACTIVE.to_owned())
}

/// What is remembered: a text, bytes in their wrapper, or any other JSON, which is kept as its text.
#[derive(Debug, Clone)]
pub struct MemoryContent(pub Bytes);

impl<'de> Deserialize<'de> for MemoryContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(match value {
            Value::String(text) => text.into(),
            Value::Object(ref map) if map.get("__type__").is_some_and(|kind| kind == "bytes") => {
                WireBytes::deserialize(value).map_err(serde::de::Error::custom)?.0
            }
            other => other.to_string().into(),
        }))
    }
}

impl JsonSchema for MemoryContent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MemoryContent".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// What is remembered, as it is given back.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ContentView {
    /// Text.
    Text(String),
    /// What is no text.
    Bytes(WireBytes),
    /// The value that a text is the JSON of.
    Json(Value),
}

impl ContentView {
    /// As a text, or bytes where it is none.
    #[must_use]
    pub fn plain(body: &Bytes) -> Self {
        match std::str::from_utf8(body) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(WireBytes(body.clone())),
        }
    }
    /// As the value that the text is the JSON of, if it is JSON.
    #[must_use]
    pub fn parsed(body: &Bytes) -> Self {
        serde_json::from_slice(body).map_or_else(|_| Self::plain(body), Self::Json)
    }
}

/// A memory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MemoryView {
    /// Its id.
    memory_id: String,
    /// What is remembered; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentView>,
    /// BLAKE3 of what is remembered, hex.
    content_hash: String,
    /// The tenant of who keeps it.
    tenant_id: String,
    /// Who keeps it.
    user_id: String,
    /// The agent that keeps it for him.
    agent_id: Option<String>,
    /// For whom it is: `agent`, `user`, `tenant` or `global`.
    scope: String,
    /// `private`, `shared` (with the tenant) or `public`; it follows from the scope.
    visibility: &'static str,
    /// What it is, e.g. `fact`.
    memory_type: String,
    /// From 0 to 1.
    importance: f64,
    /// `active` or `inactive`.
    state: String,
    /// The first part of its name.
    namespace: Option<String>,
    /// The last part of its name.
    path_key: Option<String>,
    /// When it was kept first; ISO-8601, UTC.
    created_at: String,
    /// When it was changed last; ISO-8601, UTC.
    updated_at: String,
    /// How well it answers a search, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

impl From<MemoryRow> for MemoryView {
    fn from(row: MemoryRow) -> Self {
        Self {
            memory_id: row.memory_id,
            content: None,
            content_hash: row.content,
            tenant_id: row.tenant,
            user_id: row.user_id,
            agent_id: row.agent_id,
            visibility: visibility(&row.scope),
            scope: row.scope,
            memory_type: row.memory_type,
            importance: records::share(row.importance),
            state: row.state,
            namespace: row.namespace,
            path_key: row.path_key,
            created_at: WireTime::naive(row.created_at_us).iso(),
            updated_at: WireTime::naive(row.updated_at_us).iso(),
            score: None,
        }
    }
}

impl MemoryView {
    /// With what is remembered.
    #[must_use]
    pub fn with(memory: Memory, content: fn(&Bytes) -> ContentView) -> Self {
        let content = Some(content(&memory.body));
        Self { content, score: memory.score, ..Self::from(memory.row) }
    }
}

/// Who sees what is in a scope, in the words of the contract.
pub(super) fn visibility(scope: &str) -> &'static str {
    match scope {
        "tenant" => "shared",
        "global" => "public",
        _ => "private",
    }
}

/// Memories.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MemoriesView {
    /// The memories.
    memories: Vec<MemoryView>,
    /// Whether that is all.
    complete: bool,
    /// How to ask for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Why there may be more, where it is not the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_short: Option<String>,
    /// How it was searched: by words, always.
    #[serde(skip_serializing_if = "Option::is_none")]
    search_mode: Option<&'static str>,
}

impl MemoriesView {
    fn of<R>(listed: Listed<R>, view: impl Fn(R) -> MemoryView) -> Self {
        Self {
            complete: listed.next.is_none() && listed.cut_short.is_none(),
            memories: listed.rows.into_iter().map(view).collect(),
            next_cursor: listed.next,
            cut_short: listed.cut_short,
            search_mode: None,
        }
    }
}
