//! `share_with_user`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::codec::WireTime;
use crate::rpc::methods::rebac::object;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::shares::Level;
use crate::service::relations::shares_ops::{self, ShareRequest};

/// Share something with a person, of this tenant or of another.
///
/// Needs `manage` on the resource, as `rebac_create` does. The share belongs to the resource's tenant, whatever
/// `tenant_id` says; one that differs is refused. Without `user_tenant_id` the person is a
/// user of the resource's tenant: who is in other tenants is not to be found out by asking. The instance admin means the
/// only user of that name who has a key, wherever he is; if there are several of them the request is refused. A person
/// has one share of a thing: sharing again keeps its id as long as the level is the same, and the level and the expiry
/// are those of the last time. What is shared is what lies below, too. Returns the id of the share.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ShareWithUser {
    /// `[type, id]`; the id of type `file` is an absolute virtual path.
    resource: Vec<String>,
    /// The person.
    user_id: String,
    /// `viewer`, `editor` or `owner`.
    #[serde(default = "viewer")]
    relation: String,
    /// The tenant of the resource. Default: of a file its own, of anything else the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
    /// The tenant of the person. Default: that of the resource.
    #[serde(default)]
    user_tenant_id: Option<String>,
    /// When it ends: an ISO-8601 text or a date-time wrapper. Default: never.
    #[serde(default)]
    expires_at: Option<WireTime>,
}

fn viewer() -> String {
    "viewer".into()
}

impl Method for ShareWithUser {
    const NAME: &'static str = "share_with_user";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = String;

    async fn call(self, cx: &RequestContext) -> Result<String, RpcError> {
        let request = ShareRequest {
            resource: object(&self.resource)?,
            user: self.user_id,
            level: Level::parse(&self.relation)?,
            tenant: self.tenant_id,
            user_tenant: self.user_tenant_id,
            expires_at_us: self.expires_at.map(|at| at.us),
        };
        cx.reply_with(String::clone);
        Ok(shares_ops::share(&cx.call, request).await?)
    }
}
