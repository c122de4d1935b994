//! `save_mount`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::MountRow;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::mounts::ops;
use crate::service::mounts::ops::{MountRequest, Saving};

/// Keep the settings of a mount, so that it can be loaded. Mounts nothing. For the instance admin.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SaveMount {
    /// Absolute virtual path of the mount point.
    mount_point: String,
    /// `local`; `list_connectors` says what is missing for the others.
    backend_type: String,
    /// The settings of the backend; of a local one `data_dir`, a directory of the machine.
    backend_config: Map<String, Value>,
    /// Shown in lists: mounts do not overlap.
    #[serde(default)]
    priority: i64,
    /// Whether nobody writes there but a sync.
    #[serde(default)]
    readonly: bool,
    /// In whose name it is saved. Default: the caller.
    #[serde(default)]
    owner_user_id: Option<String>,
    /// The tenant that the mount point belongs to; another one is refused.
    #[serde(default)]
    tenant_id: Option<String>,
    /// Free text.
    #[serde(default)]
    description: Option<String>,
}

impl Method for SaveMount {
    const NAME: &'static str = "save_mount";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::FileExists,
        ErrorCode::NotSupported,
        ErrorCode::Precondition,
    ];
    /// The id of the saved mount.
    type Output = String;

    async fn call(self, cx: &RequestContext) -> Result<String, RpcError> {
        let Self { mount_point, backend_type, backend_config, priority, readonly, .. } = self;
        let saving = Saving { owner: self.owner_user_id, tenant: self.tenant_id, description: self.description };
        cx.reply_with(|row: &MountRow| row.mount_id.clone());
        let request = MountRequest { mount_point, backend_type, backend_config, priority, readonly };
        Ok(ops::save(&cx.call, &cx.services.mounts, request, saving).await?)
    }
}
