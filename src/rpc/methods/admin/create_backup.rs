//! `admin_create_backup`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::BackupView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::backups;

/// Make a backup of the whole store while it runs.
///
/// For the instance admin. The backup is a directory below `backups` in the data directory of the server: a copy of
/// the database at one revision, the blob files, and a manifest with the BLAKE3 of each part. Writers do not wait. The
/// server's secret is not in it. `nexus-lite backup verify` reads it back, `nexus-lite restore` puts it in place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminCreateBackup {
    /// How many backups stay, this one included: the oldest complete ones are removed. At least 1. Default: all stay.
    #[serde(default)]
    keep: Option<usize>,
}

/// A new backup.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreatedBackup {
    #[serde(flatten)]
    backup: BackupView,
    /// How many older ones were removed.
    removed: usize,
}

impl Method for AdminCreateBackup {
    const NAME: &'static str = "admin_create_backup";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    const LONG: bool = true;
    type Output = CreatedBackup;

    async fn call(self, cx: &RequestContext) -> Result<CreatedBackup, RpcError> {
        let (backup, removed) = backups::create(&cx.call, self.keep).await?;
        Ok(CreatedBackup { backup: backup.into(), removed })
    }
}
