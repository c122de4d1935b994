//! `list_memories`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{LIMIT_DEFAULT, MemoriesView, MemoryView, active};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::memories::{self, MemoryFilter};
use crate::service::records;

/// List memories, newest first, without what is remembered.
///
/// Those that the caller may see: his own and those of his agents, those for his tenant, those for everybody, and those
/// that he was given a relation to; an admin sees all of his tenant. Registered directories are listed by
/// `list_registered_memories`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListMemories {
    /// 1 to 1,000. Default: 50.
    #[serde(default)]
    limit: Option<u64>,
    /// For whom they are.
    #[serde(default)]
    scope: Option<String>,
    /// What they are.
    #[serde(default)]
    memory_type: Option<String>,
    /// The namespace, to the letter.
    #[serde(default)]
    namespace: Option<String>,
    /// How the namespace begins.
    #[serde(default)]
    namespace_prefix: Option<String>,
    /// `active`, `inactive`, or `all`, which null means too. Default: `active`.
    #[serde(default = "active")]
    state: Option<String>,
    /// Where the page before ended.
    #[serde(default)]
    cursor: Option<String>,
}

impl Method for ListMemories {
    const NAME: &'static str = "list_memories";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = MemoriesView;

    async fn call(self, cx: &RequestContext) -> Result<MemoriesView, RpcError> {
        let filter = MemoryFilter {
            scope: self.scope,
            memory_type: self.memory_type,
            state: memories::state_filter(self.state)?,
            namespace: self.namespace,
            namespace_prefix: self.namespace_prefix,
        };
        let limit = records::limit(self.limit, LIMIT_DEFAULT)?;
        let listed = memories::list(&cx.call, filter, limit, self.cursor).await?;
        Ok(MemoriesView::of(listed, MemoryView::from))
    }
}
