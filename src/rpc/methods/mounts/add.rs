//! `add_mount`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::MountRow;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::mounts::ops;
use crate::service::mounts::ops::MountRequest;

/// Mount a directory of the server's machine. For the instance admin.
///
/// The directory must lie in one that the setting `mount_dirs` allows. The mount point is made, and its files come with
/// `sync_mount`: the tree never waits for a foreign disk. Below a read-only mount nobody writes but a sync.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AddMount {
    /// Absolute virtual path of the mount point; a directory that is there may have files.
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
}

impl Method for AddMount {
    const NAME: &'static str = "add_mount";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::FileExists,
        ErrorCode::NotSupported,
        ErrorCode::Precondition,
    ];
    /// The mount point.
    type Output = String;

    async fn call(self, cx: &RequestContext) -> Result<String, RpcError> {
        let Self { mount_point, backend_type, backend_config, priority, readonly } = self;
        cx.reply_with(|row: &MountRow| row.mount_point.clone());
        let request = MountRequest { mount_point, backend_type, backend_config, priority, readonly };
        Ok(ops::add(&cx.call, &cx.services.mounts, request).await?)
    }
}
