//! `admin_create_key`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::codec::WireTime;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::keys;
use crate::service::keys::ops::KeyRequest;

/// Make an API key for a user, a service or a registered agent.
///
/// The key is in this answer and nowhere else: what is stored is a keyed hash. An admin makes keys of its own tenant;
/// other tenants, which begin with their first key, and keys that cross tenants are the instance admin's.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminCreateKey {
    /// The owner.
    user_id: String,
    /// A label.
    name: String,
    /// Whether it rules its tenant. Default: false.
    #[serde(default)]
    is_admin: Option<bool>,
    /// Whether it crosses tenants. Default: false.
    #[serde(default)]
    is_instance_admin: Option<bool>,
    /// Days until it ends; 0 or null = never.
    #[serde(default)]
    expires_days: Option<i64>,
    /// The tenant. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
    /// `user`, `agent` or `service`. Default: `user`.
    #[serde(default)]
    subject_type: Option<String>,
    /// Whom it speaks for. Default: the owner.
    #[serde(default)]
    subject_id: Option<String>,
}

/// A new API key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreatedKey {
    /// The id.
    key_id: String,
    /// The key. It is not shown again.
    api_key: String,
    /// The owner.
    user_id: String,
    /// The label.
    name: String,
    /// `user`, `agent` or `service`.
    subject_type: String,
    /// Whom it speaks for.
    subject_id: String,
    /// The tenant.
    tenant_id: String,
    /// Whether it rules its tenant.
    is_admin: bool,
    /// ISO-8601; null = never.
    expires_at: Option<String>,
}

impl Method for AdminCreateKey {
    const NAME: &'static str = "admin_create_key";
    const ACCESS: Access = Access::Admin;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    const SECRET: bool = true;
    type Output = CreatedKey;

    async fn call(self, cx: &RequestContext) -> Result<CreatedKey, RpcError> {
        let request = KeyRequest {
            user_id: self.user_id,
            name: self.name,
            subject_type: self.subject_type.unwrap_or_else(|| "user".to_owned()),
            subject_id: self.subject_id,
            tenant: self.tenant_id,
            is_admin: self.is_admin.unwrap_or(false),
            is_instance_admin: self.is_instance_admin.unwrap_or(false),
            expires_days: self.expires_days,
        };
        let new = keys::ops::create(&cx.call, &cx.services.hasher, request).await?;
        Ok(CreatedKey {
            key_id: new.row.key_id,
            api_key: new.key.expose().to_owned(),
            user_id: new.row.user_id,
            name: new.row.name,
            subject_type: new.row.subject_type,
            subject_id: new.row.subject_id,
            tenant_id: new.row.tenant,
            is_admin: new.row.is_admin,
            expires_at: new.row.expires_at_us.map(|us| WireTime::aware(us).iso()),
        })
    }
}
