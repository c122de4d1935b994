//! `grant_consent`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::codec::WireTime;
use crate::rpc::methods::rebac::{object, subject};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::shares_ops;

/// Let somebody discover somebody: the tuple `to_subject consent_granted from_subject`.
///
/// Everybody may consent for itself and its agents; for others it takes `manage` on `from_subject`. Saying it again keeps
/// its id and sets the expiry anew. Returns the id of the tuple.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GrantConsent {
    /// Who may be discovered: `[type, id]`.
    from_subject: Vec<String>,
    /// By whom: `[type, id]`.
    to_subject: Vec<String>,
    /// When it ends: an ISO-8601 text or a date-time wrapper. Default: never.
    #[serde(default)]
    expires_at: Option<WireTime>,
    /// The tenant of both. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
}

impl Method for GrantConsent {
    const NAME: &'static str = "grant_consent";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = String;

    async fn call(self, cx: &RequestContext) -> Result<String, RpcError> {
        let (from, to) = (object(&self.from_subject)?, subject(&self.to_subject)?);
        let expires_at_us = self.expires_at.map(|at| at.us);
        cx.reply_with(String::clone);
        Ok(shares_ops::consent(&cx.call, from, to, self.tenant_id, expires_at_us).await?)
    }
}
