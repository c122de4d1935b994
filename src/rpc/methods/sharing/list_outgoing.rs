//! `list_outgoing_shares`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::codec::WireTime;
use crate::rpc::methods::rebac::object;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::shares::{self, Page, Share};

/// List the shares with others.
///
/// Those on everything whose permissions the caller manages, and those that he made on what he may still read. Live ones,
/// oldest first.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListOutgoingShares {
    /// Of this thing: `[type, id]`.
    #[serde(default)]
    resource: Option<Vec<String>>,
    /// Of things of this tenant.
    #[serde(default)]
    tenant_id: Option<String>,
    /// At most so many, up to 1000.
    #[serde(default = "super::page")]
    limit: usize,
    /// How many to leave out first.
    #[serde(default)]
    offset: usize,
}

/// A share with somebody.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OutgoingShare {
    /// Its id.
    share_id: String,
    /// What is shared: the type.
    resource_type: String,
    /// What is shared: the id.
    resource_id: String,
    /// With whom.
    recipient_id: String,
    /// `viewer`, `editor` or `owner`.
    permission_level: &'static str,
    /// When it was made.
    created_at: WireTime,
    /// When it ends; null = never.
    expires_at: Option<WireTime>,
}

impl From<Share> for OutgoingShare {
    fn from(share: Share) -> Self {
        Self {
            share_id: share.share_id,
            resource_type: share.resource.kind,
            resource_id: share.resource.id,
            recipient_id: share.recipient,
            permission_level: share.level.as_str(),
            created_at: WireTime::aware(share.created_at_us),
            expires_at: share.expires_at_us.map(WireTime::aware),
        }
    }
}

impl Method for ListOutgoingShares {
    const NAME: &'static str = "list_outgoing_shares";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::Precondition];
    type Output = Vec<OutgoingShare>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<OutgoingShare>, RpcError> {
        let resource = self.resource.as_deref().map(object).transpose()?;
        let page = Page::new(self.limit, self.offset)?;
        let found = shares::outgoing(&cx.call, resource, self.tenant_id, page).await?;
        Ok(found.into_iter().map(OutgoingShare::from).collect())
    }
}
