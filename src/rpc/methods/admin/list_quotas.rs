//! `admin_list_quotas`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::QuotaView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::quotas;

/// Tenants of a page, unless the caller says otherwise.
const LIMIT: usize = 100;
/// Most tenants of a page.
const LIMIT_MAX: usize = 1_000;

/// List what tenants have and may have, by name.
///
/// The instance admin sees all that have files or a quota of their own, an admin its own.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminListQuotas {
    /// Longest page, 1 to 1,000. Default: 100.
    #[serde(default)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

/// A page of tenants.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QuotaPageView {
    /// The tenants.
    tenants: Vec<QuotaView>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

impl Method for AdminListQuotas {
    const NAME: &'static str = "admin_list_quotas";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    type Output = QuotaPageView;

    async fn call(self, cx: &RequestContext) -> Result<QuotaPageView, RpcError> {
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(RpcError::invalid_params(format_args!("limit must be between 1 and {LIMIT_MAX}, got {limit}")));
        }
        let page = quotas::list(&cx.call, self.cursor, limit).await?;
        let tenants = page.tenants.into_iter().map(QuotaView::from).collect();
        Ok(QuotaPageView { tenants, next_cursor: page.next })
    }
}
