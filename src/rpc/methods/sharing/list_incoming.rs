//! `list_incoming_shares`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::shares::{self, Page, Share};

/// List what is shared with a user of the caller's tenant, by this tenant and by others.
///
/// For the user himself, for agents that inherit from him, and for an admin of the tenant. Live ones, oldest first.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListIncomingShares {
    /// The user.
    user_id: String,
    /// At most so many, up to 1000.
    #[serde(default = "super::page")]
    limit: usize,
    /// How many to leave out first.
    #[serde(default)]
    offset: usize,
}

/// A share by somebody.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IncomingShare {
    /// Its id.
    share_id: String,
    /// What is shared: the type.
    resource_type: String,
    /// What is shared: the id.
    resource_id: String,
    /// The tenant that it belongs to.
    owner_tenant_id: String,
    /// `viewer`, `editor` or `owner`.
    permission_level: &'static str,
    /// When it was made.
    created_at: WireTime,
    /// When it ends; null = never.
    expires_at: Option<WireTime>,
}

impl From<Share> for IncomingShare {
    fn from(share: Share) -> Self {
        Self {
            share_id: share.share_id,
            resource_type: share.resource.kind,
            resource_id: share.resource.id,
            owner_tenant_id: share.owner_tenant,
            permission_level: share.level.as_str(),
            created_at: WireTime::aware(share.created_at_us),
            expires_at: share.expires_at_us.map(WireTime::aware),
        }
    }
}

impl Method for ListIncomingShares {
    const NAME: &'static str = "list_incoming_shares";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = Vec<IncomingShare>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<IncomingShare>, RpcError> {
        let page = Page::new(self.limit, self.offset)?;
        let found = shares::incoming(&cx.call, self.user_id, page).await?;
        Ok(found.into_iter().map(IncomingShare::from).collect())
    }
}
