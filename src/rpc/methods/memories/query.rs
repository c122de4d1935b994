//! `query_memories`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{ContentView, LIMIT_DEFAULT, MemoriesView, MemoryView, active};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::memories::{self, MemoryFilter, search};
use crate::service::records;

/// How the search that there is calls itself.
const KEYWORD: &str = "keyword";
/// How clients call the ways to search.
const MODES: [&str; 3] = [KEYWORD, "semantic", "hybrid"];

/// Memories with what is remembered, newest first; with `query` those that hold its words, the best first.
///
/// A search is by words, whatever `search_mode` asks for: there are no embeddings, and `search_mode` in the reply says
/// so. `score` is 1 where the question stands in a row. A search looks at the newest 10,000 records at most; `complete`
/// tells whether that was all.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct QueryMemories {
    /// What they are.
    #[serde(default)]
    memory_type: Option<String>,
    /// For whom they are.
    #[serde(default)]
    scope: Option<String>,
    /// `active`, `inactive`, or `all`, which null means too. Default: `active`.
    #[serde(default = "active")]
    state: Option<String>,
    /// 1 to 1,000. Default: 50.
    #[serde(default)]
    limit: Option<u64>,
    /// Words to look for.
    #[serde(default)]
    query: Option<String>,
    /// `keyword`, `semantic` or `hybrid`; all are answered by words.
    #[serde(default)]
    search_mode: Option<String>,
    /// Accepted, and not looked at.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for old clients: there are no embeddings")]
    embedding_provider: Option<Value>,
    /// The namespace, to the letter.
    #[serde(default)]
    namespace: Option<String>,
    /// How the namespace begins.
    #[serde(default)]
    namespace_prefix: Option<String>,
    /// Where the page before ended; not with `query`.
    #[serde(default)]
    cursor: Option<String>,
}

impl Method for QueryMemories {
    const NAME: &'static str = "query_memories";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::Integrity];
    type Output = MemoriesView;

    async fn call(self, cx: &RequestContext) -> Result<MemoriesView, RpcError> {
        if self.search_mode.as_deref().is_some_and(|mode| !MODES.contains(&mode)) {
            return Err(RpcError::invalid_params(format_args!("search_mode must be one of {}", MODES.join(", "))));
        }
        let filter = MemoryFilter {
            scope: self.scope,
            memory_type: self.memory_type,
            state: memories::state_filter(self.state)?,
            namespace: self.namespace,
            namespace_prefix: self.namespace_prefix,
        };
        let limit = records::limit(self.limit, LIMIT_DEFAULT)?;
        let view = |memory| MemoryView::with(memory, ContentView::plain);
        let Some(query) = self.query.filter(|query| !query.trim().is_empty()) else {
            return Ok(MemoriesView::of(memories::query(&cx.call, filter, limit, self.cursor).await?, view));
        };
        if self.cursor.is_some() {
            return Err(RpcError::invalid_params("cursor goes with a list, not with a search; raise limit"));
        }
        let found = search::search(&cx.call, &query, filter, limit).await?;
        Ok(MemoriesView { search_mode: Some(KEYWORD), ..MemoriesView::of(found, view) })
    }
}
