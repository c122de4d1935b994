//! `admin_create_backup`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::BackupView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::backups;

/// Make a backup of the whole store while it runs.
///
/// For the instance admin. The backup is a directory below `backups` in the data directory of the server: a copy of
/// the database at one revision, the blob files, and a manifest with the BLAKE3 of each part. Writers do not wait. The
/// server's secret is not in it. `nexus-lite backup verify` reads it back, `nexus-lite restore` puts it in place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminCreateBackup {}

impl Method for AdminCreateBackup {
    const NAME: &'static str = "admin_create_backup";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    const LONG: bool = true;
    type Output = BackupView;

    async fn call(self, cx: &RequestContext) -> Result<BackupView, RpcError> {
        Ok(backups::create(&cx.call).await?.into())
    }
}
