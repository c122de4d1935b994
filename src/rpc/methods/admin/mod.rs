//! Keys, quotas and backups, for admins, one method a file.

pub mod audit_query;
pub mod collect;
pub mod create_backup;
pub mod create_key;
pub mod get_key;
pub mod get_quota;
pub mod list_backups;
pub mod list_keys;
pub mod list_quotas;
pub mod revoke_key;
pub mod set_quota;
pub mod update_key;

pub use audit_query::AdminAuditQuery;
pub use collect::AdminCollect;
pub use create_backup::AdminCreateBackup;
pub use create_key::AdminCreateKey;
pub use get_key::AdminGetKey;
pub use get_quota::AdminGetQuota;
pub use list_backups::AdminListBackups;
pub use list_keys::AdminListKeys;
pub use list_quotas::AdminListQuotas;
pub use revoke_key::AdminRevokeKey;
pub use set_quota::AdminSetQuota;
pub use update_key::AdminUpdateKey;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::KeyRow;
use crate::rpc::codec::WireTime;
use crate::service::keys::KeyInfo;
use crate::service::quotas::TenantUse;
use crate::store::backup::Backup;

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

/// A backup, without the list of its blobs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BackupView {
    /// Its directory, on the server.
    path: String,
    /// When it was begun, ISO-8601, UTC.
    created_at: String,
    /// The revision that it holds, with everything before it.
    rev: u64,
    /// Bytes of all parts.
    bytes: u64,
    /// Blob files.
    blobs: usize,
    /// Files and directories.
    nodes: u64,
    /// Relationship tuples.
    tuples: u64,
    /// The version of the schema.
    schema: u64,
}

impl From<Backup> for BackupView {
    fn from(backup: Backup) -> Self {
        let manifest = backup.manifest;
        Self {
            path: backup.path.display().to_string(),
            bytes: manifest.bytes(),
            blobs: manifest.blobs.len(),
            created_at: manifest.created_at,
            rev: manifest.rev,
            nodes: manifest.counts.nodes,
            tuples: manifest.counts.tuples,
            schema: manifest.schema,
        }
    }
}

/// What a tenant has and may have.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct QuotaView {
    /// The tenant.
    tenant_id: String,
    /// Bytes of the newest versions of its files.
    bytes_used: u64,
    /// Most bytes; null = no limit.
    bytes_max: Option<u64>,
    /// Its files; those of a removed directory until they are freed.
    files_used: u64,
    /// Most files; null = no limit.
    files_max: Option<u64>,
    /// Whether it has no quota of its own: the limits are those of the settings.
    is_default: bool,
}

impl From<TenantUse> for QuotaView {
    fn from(TenantUse { tenant, used, quota, own }: TenantUse) -> Self {
        Self {
            tenant_id: tenant,
            bytes_used: used.bytes,
            bytes_max: quota.bytes_max,
            files_used: used.files,
            files_max: quota.files_max,
            is_default: !own,
        }
    }
}
