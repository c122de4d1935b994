//! `list_saved_mounts`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::MountRow;
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::mounts;

/// List the mounts whose settings are kept, mounted or not. For the instance admin.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListSavedMounts {
    /// Only those in the name of this user.
    #[serde(default)]
    owner_user_id: Option<String>,
    /// Only those of this tenant.
    #[serde(default)]
    tenant_id: Option<String>,
}

/// A saved mount.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SavedMountView {
    /// Its id.
    mount_id: String,
    /// Where it is mounted.
    mount_point: String,
    /// The type of its backend.
    backend_type: String,
    /// Its settings.
    backend_config: Map<String, Value>,
    /// Shown in lists: mounts do not overlap.
    priority: i64,
    /// Whether nobody writes there but a sync.
    readonly: bool,
    /// In whose name it was saved.
    owner_user_id: Option<String>,
    /// The tenant it belongs to.
    tenant_id: String,
    /// Free text.
    description: Option<String>,
    /// Whether it is mounted now.
    mounted: bool,
    /// When it was made.
    created_at: WireTime,
    /// When it was mounted, saved or removed last.
    updated_at: WireTime,
}

impl From<MountRow> for SavedMountView {
    fn from(row: MountRow) -> Self {
        Self {
            mount_id: row.mount_id,
            mount_point: row.mount_point,
            backend_type: row.backend_type,
            backend_config: serde_json::from_str(&row.backend_config).unwrap_or_default(),
            priority: row.priority,
            readonly: row.readonly,
            owner_user_id: row.owner,
            tenant_id: row.tenant,
            description: row.description,
            mounted: row.active,
            created_at: WireTime::naive(row.created_at_us),
            updated_at: WireTime::naive(row.updated_at_us),
        }
    }
}

impl Method for ListSavedMounts {
    const NAME: &'static str = "list_saved_mounts";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    type Output = Vec<SavedMountView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<SavedMountView>, RpcError> {
        let rows = mounts::saved(&cx.call, self.owner_user_id, self.tenant_id).await?;
        Ok(rows.into_iter().map(SavedMountView::from).collect())
    }
}
