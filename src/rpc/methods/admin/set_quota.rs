//! `admin_set_quota`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::QuotaView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::quotas::TenantUse;
use crate::service::quotas::ops::{Limit, QuotaChange, set};

/// Limit what a tenant may have.
///
/// What is not sent stays, null takes a limit away. What is there stays, too: a tenant above its limit only cannot grow.
/// Counted are files and the bytes of their newest versions; earlier versions and snapshots are not. For the instance
/// admin.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminSetQuota {
    /// The tenant.
    tenant_id: String,
    /// Most bytes of all its files; null = no limit.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<u64>")]
    bytes_max: Option<Option<u64>>,
    /// Most files; null = no limit.
    #[serde(default, deserialize_with = "sent")]
    #[schemars(with = "Option<u64>")]
    files_max: Option<Option<u64>>,
    /// Take the quota of its own away: what the settings say holds for it again. Default: false.
    #[serde(default)]
    use_default: Option<bool>,
}

/// Tells what was sent as null from what was not sent.
fn sent<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(value).map(Some)
}

fn limit(sent: Option<Option<u64>>) -> Limit {
    match sent {
        None => Limit::Keep,
        Some(None) => Limit::None,
        Some(Some(most)) => Limit::Most(most),
    }
}

impl Method for AdminSetQuota {
    const NAME: &'static str = "admin_set_quota";
    const ACCESS: Access = Access::Admin;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    type Output = QuotaView;

    async fn call(self, cx: &RequestContext) -> Result<QuotaView, RpcError> {
        let change = match (self.use_default.unwrap_or(false), limit(self.bytes_max), limit(self.files_max)) {
            (true, Limit::Keep, Limit::Keep) => QuotaChange::Default,
            (true, ..) => return Err(RpcError::invalid_params("use_default comes without limits")),
            (false, Limit::Keep, Limit::Keep) => {
                return Err(RpcError::invalid_params("bytes_max, files_max or use_default is missing"));
            }
            (false, bytes, files) => QuotaChange::Own { bytes, files },
        };
        cx.reply_with(|set: &TenantUse| QuotaView::from(set.clone()));
        Ok(set(&cx.call, self.tenant_id, change).await?.into())
    }
}
