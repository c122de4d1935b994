//! `remove_mount`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::mounts::ops;
use crate::service::mounts::ops::Removed;

/// End a mount. For the instance admin.
///
/// The files that were synced stay in the tree as ordinary files; the host's are not touched. A mount point without any
/// goes, with what was granted on it. A saved mount can be loaded again.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RemoveMount {
    /// Absolute virtual path of the mount point.
    mount_point: String,
}

/// What `remove_mount` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RemoveMountOutput {
    /// Whether something was mounted there.
    removed: bool,
    /// Whether the mount point is gone too: it was empty.
    directory_deleted: bool,
    /// Grants on the mount point that went with it.
    permissions_cleaned: u64,
    /// Why nothing was removed.
    errors: Vec<String>,
}

impl From<Removed> for RemoveMountOutput {
    fn from(removed: Removed) -> Self {
        let Removed { removed, directory_deleted, permissions_cleaned, errors } = removed;
        Self { removed, directory_deleted, permissions_cleaned, errors }
    }
}

impl Method for RemoveMount {
    const NAME: &'static str = "remove_mount";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    type Output = RemoveMountOutput;

    async fn call(self, cx: &RequestContext) -> Result<RemoveMountOutput, RpcError> {
        cx.reply_with(|removed: &Removed| RemoveMountOutput::from(removed.clone()));
        Ok(ops::remove(&cx.call, &self.mount_point).await?.into())
    }
}
