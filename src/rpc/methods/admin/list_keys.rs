//! `admin_list_keys`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KeyView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::keys::{self, KeyFilter};

/// Keys of a page, unless the caller says otherwise.
const LIMIT: usize = 100;
/// Most keys of a page.
const LIMIT_MAX: usize = 1_000;

/// List API keys, newest first, without the keys.
///
/// An admin sees those of its tenant, the instance admin all.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminListKeys {
    /// Of this owner.
    #[serde(default)]
    user_id: Option<String>,
    /// Of this tenant.
    #[serde(default)]
    tenant_id: Option<String>,
    /// Of admins, or not of admins.
    #[serde(default)]
    is_admin: Option<bool>,
    /// The revoked ones too. Default: false.
    #[serde(default)]
    include_revoked: Option<bool>,
    /// Those that have ended too. Default: false.
    #[serde(default)]
    include_expired: Option<bool>,
    /// Longest page, 1 to 1,000. Default: 100.
    #[serde(default)]
    limit: Option<usize>,
    /// Keys to leave out from the beginning. Default: 0.
    #[serde(default)]
    offset: Option<usize>,
}

/// A page of keys.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyPageView {
    /// The keys.
    keys: Vec<KeyView>,
    /// How many there are before paging.
    total: usize,
    /// Longest page.
    limit: usize,
    /// Keys left out from the beginning.
    offset: usize,
}

impl Method for AdminListKeys {
    const NAME: &'static str = "admin_list_keys";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    type Output = KeyPageView;

    async fn call(self, cx: &RequestContext) -> Result<KeyPageView, RpcError> {
        let (limit, offset) = (self.limit.unwrap_or(LIMIT), self.offset.unwrap_or(0));
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(RpcError::invalid_params(format_args!("limit must be between 1 and {LIMIT_MAX}, got {limit}")));
        }
        let filter = KeyFilter {
            user_id: self.user_id,
            tenant: self.tenant_id,
            is_admin: self.is_admin,
            include_revoked: self.include_revoked.unwrap_or(false),
            include_expired: self.include_expired.unwrap_or(false),
            limit,
            offset,
        };
        let page = keys::list(&cx.call, filter).await?;
        let keys = page.keys.into_iter().map(KeyView::from).collect();
        Ok(KeyPageView { keys, total: page.total, limit, offset })
    }
}
