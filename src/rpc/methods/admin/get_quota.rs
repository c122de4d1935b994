//! `admin_get_quota`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::QuotaView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::quotas;

/// What a tenant has and may have.
///
/// An admin asks about its tenant, the instance admin about every one; one that nobody knows has nothing.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminGetQuota {
    /// The tenant. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
}

impl Method for AdminGetQuota {
    const NAME: &'static str = "admin_get_quota";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    type Output = QuotaView;

    async fn call(self, cx: &RequestContext) -> Result<QuotaView, RpcError> {
        Ok(quotas::get(&cx.call, self.tenant_id).await?.into())
    }
}
