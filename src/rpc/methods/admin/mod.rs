//! Keys and tenants, for admins, one method a file.

pub mod create_key;
pub mod get_key;
pub mod list_keys;
pub mod revoke_key;
pub mod update_key;

pub use create_key::AdminCreateKey;
pub use get_key::AdminGetKey;
pub use list_keys::AdminListKeys;
pub use revoke_key::AdminRevokeKey;
pub use update_key::AdminUpdateKey;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::KeyRow;
use crate::rpc::codec::WireTime;
use crate::service::keys::KeyInfo;

/// An API key, without the key.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KeyView {
    /// The id.
    key_id: String,
    /// The owner.
    user_id: String,
    /// `user`, `agent` or `service`.
    subject_type: String,
    /// Whom it speaks for.
    subject_id: String,
    /// The label.
    name: String,
    /// The tenant.
    tenant_id: String,
    /// Whether it rules its tenant.
    is_admin: bool,
    /// Whether it crosses tenants.
    is_instance_admin: bool,
    /// ISO-8601, UTC.
    created_at: String,
    /// ISO-8601, UTC; null = never.
    expires_at: Option<String>,
    /// Whether it was revoked.
    revoked: bool,
    /// ISO-8601, UTC.
    revoked_at: Option<String>,
    /// ISO-8601, UTC, to the minute; null = never.
    last_used_at: Option<String>,
}

impl KeyView {
    fn new(row: KeyRow, last_used_at_us: Option<i64>) -> Self {
        let iso = |us: i64| WireTime::naive(us).iso();
        Self {
            key_id: row.key_id,
            user_id: row.user_id,
            subject_type: row.subject_type,
            subject_id: row.subject_id,
            name: row.name,
            tenant_id: row.tenant,
            is_admin: row.is_admin,
            is_instance_admin: row.is_instance_admin,
            created_at: iso(row.created_at_us),
            expires_at: row.expires_at_us.map(iso),
            revoked: row.revoked_at_us.is_some(),
            revoked_at: row.revoked_at_us.map(iso),
            last_used_at: last_used_at_us.map(iso),
        }
    }
}

impl From<KeyInfo> for KeyView {
    fn from(info: KeyInfo) -> Self {
        Self::new(info.row, info.last_used_at_us)
    }
}
