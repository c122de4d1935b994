//! Playbooks: made, listed, read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LIMIT_DEFAULT, PlaybookView, WholePlaybookView, whole};
use crate::model::PlaybookRow;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::playbooks::{self, ops};
use crate::service::records;

/// Make a playbook without strategies.
///
/// Its name is its owner's once; whose it is follows from the scope, as for a memory.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AceCreatePlaybook {
    /// Its name.
    name: String,
    /// Free text.
    #[serde(default)]
    description: Option<String>,
    /// For whom: `agent`, `user`, `tenant` or `global`. Default: `agent`.
    #[serde(default)]
    scope: Option<String>,
}

/// The id of a playbook.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlaybookIdView {
    /// The id.
    playbook_id: String,
}

impl Method for AceCreatePlaybook {
    const NAME: &'static str = "ace_create_playbook";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied, ErrorCode::FileExists];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = PlaybookIdView;

    async fn call(self, cx: &RequestContext) -> Result<PlaybookIdView, RpcError> {
        let view = |row: &PlaybookRow| PlaybookIdView { playbook_id: row.playbook_id.clone() };
        cx.reply_with(view);
        let scope = self.scope.as_deref().unwrap_or("agent");
        Ok(view(&ops::create(&cx.call, self.name, self.description, scope).await?))
    }
}

/// A playbook with its strategies; null alike where there is none and where the caller may not see it.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AceGetPlaybook {
    /// Which.
    playbook_id: String,
}

impl Method for AceGetPlaybook {
    const NAME: &'static str = "ace_get_playbook";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Option<WholePlaybookView>;

    async fn call(self, cx: &RequestContext) -> Result<Option<WholePlaybookView>, RpcError> {
        Ok(playbooks::get(&cx.call, self.playbook_id).await?.map(WholePlaybookView::from))
    }
}

/// List playbooks that the caller may see, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AceQueryPlaybooks {
    /// For whom they are.
    #[serde(default)]
    scope: Option<String>,
    /// 1 to 1,000. Default: 50.
    #[serde(default)]
    limit: Option<u64>,
}

impl Method for AceQueryPlaybooks {
    const NAME: &'static str = "ace_query_playbooks";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Vec<PlaybookView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<PlaybookView>, RpcError> {
        let limit = records::limit(self.limit, LIMIT_DEFAULT)?;
        Ok(whole(playbooks::list(&cx.call, self.scope, None, limit).await?, limit)?)
    }
}
