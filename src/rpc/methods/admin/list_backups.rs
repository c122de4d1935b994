//! `admin_list_backups`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::BackupView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::backups;

/// List the complete backups in the data directory of the server, oldest first.
///
/// For the instance admin.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminListBackups {}

/// The backups.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BackupList {
    /// Oldest first.
    backups: Vec<BackupView>,
}

impl Method for AdminListBackups {
    const NAME: &'static str = "admin_list_backups";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    type Output = BackupList;

    async fn call(self, cx: &RequestContext) -> Result<BackupList, RpcError> {
        let backups = backups::list(&cx.call).await?.into_iter().map(BackupView::from).collect();
        Ok(BackupList { backups })
    }
}
