//! `store_memory`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::MemoryContent;
use crate::model::MemoryRow;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::memories::ACTIVE;
use crate::service::memories::ops::{self, MemoryRequest};

/// Keep a memory.
///
/// A memory with a namespace and a path_key takes the place of the one that its owner has under that name. Whose it is
/// follows from the scope: `agent` (the agent, or whoever acts without one), `user` (the user and his agents), `tenant`
/// (read by everybody in it), `global` (read by everybody, written by the instance admin). At most 1 MiB.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StoreMemory {
    /// What to remember: a text, bytes, or any JSON.
    content: MemoryContent,
    /// What it is. Default: `fact`.
    #[serde(default)]
    memory_type: Option<String>,
    /// For whom: `agent`, `user`, `tenant` or `global`. Default: `agent`.
    #[serde(default)]
    scope: Option<String>,
    /// From 0 to 1. Default: 0.5.
    #[serde(default)]
    importance: Option<f64>,
    /// The first part of its name.
    #[serde(default)]
    namespace: Option<String>,
    /// The last part of its name; goes with a namespace.
    #[serde(default)]
    path_key: Option<String>,
    /// `active` or `inactive`. Default: `active`.
    #[serde(default)]
    state: Option<String>,
    /// Accepted, and not kept.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for old clients")]
    tags: Option<Value>,
}

/// What was kept.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StoredView {
    /// Its id.
    memory_id: String,
}

impl Method for StoreMemory {
    const NAME: &'static str = "store_memory";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = StoredView;

    async fn call(self, cx: &RequestContext) -> Result<StoredView, RpcError> {
        let request = MemoryRequest {
            content: self.content.0,
            memory_type: self.memory_type.unwrap_or_else(|| "fact".to_owned()),
            scope: self.scope.unwrap_or_else(|| "agent".to_owned()),
            importance: self.importance.unwrap_or(0.5),
            namespace: self.namespace,
            path_key: self.path_key,
            state: self.state.unwrap_or_else(|| ACTIVE.to_owned()),
        };
        cx.reply_with(|row: &MemoryRow| StoredView { memory_id: row.memory_id.clone() });
        let row = ops::store(&cx.call, request).await?;
        Ok(StoredView { memory_id: row.memory_id })
    }
}
