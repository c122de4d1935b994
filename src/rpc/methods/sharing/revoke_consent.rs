//! `revoke_consent`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::methods::rebac::{object, subject};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::shares_ops::{self, Ending};

/// End what `grant_consent` began.
///
/// Needs the right that granting it needs. Returns whether it was there; whoever has not the right is refused either way.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RevokeConsent {
    /// Who could be discovered: `[type, id]`.
    from_subject: Vec<String>,
    /// By whom: `[type, id]`.
    to_subject: Vec<String>,
}

impl Method for RevokeConsent {
    const NAME: &'static str = "revoke_consent";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        cx.reply_with(|was_there: &bool| *was_there);
        let ending = Ending::Consent { from: object(&self.from_subject)?, to: subject(&self.to_subject)? };
        Ok(shares_ops::end(&cx.call, ending).await?)
    }
}
