//! `update_memory`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ContentView, MemoryContent, MemoryView};
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::memories::ops::{self, MemoryChange, Updated};

/// Change what is remembered, or how much it matters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UpdateMemory {
    /// Which.
    memory_id: String,
    /// What to remember from now on.
    #[serde(default)]
    content: Option<MemoryContent>,
    /// From 0 to 1.
    #[serde(default)]
    importance: Option<f64>,
}

/// The memory as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UpdatedView {
    /// The memory; with what is remembered, if that was changed.
    memory: MemoryView,
}

fn view(updated: &Updated) -> UpdatedView {
    let content = updated.content.as_ref().map(ContentView::plain);
    UpdatedView { memory: MemoryView { content, ..MemoryView::from(updated.row.clone()) } }
}

impl Method for UpdateMemory {
    const NAME: &'static str = "update_memory";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound, ErrorCode::PermissionDenied];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = UpdatedView;

    async fn call(self, cx: &RequestContext) -> Result<UpdatedView, RpcError> {
        cx.reply_with(view);
        let change = MemoryChange { content: self.content.map(|content| content.0), importance: self.importance };
        Ok(view(&ops::update(&cx.call, self.memory_id, change).await?))
    }
}
