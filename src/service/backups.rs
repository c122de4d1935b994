//! Backups: for the instance admin, for a backup holds every tenant.

use std::path::PathBuf;

use crate::store::ReadTx;
use crate::store::backup::{self, Backup};

use super::keys::{not_instance_admin, require_admin};
use super::{Call, ServiceError};

/// Makes a backup in the data directory's own folder, while the server runs.
pub async fn create(call: &Call) -> Result<Backup, ServiceError> {
    require_instance_admin(call).await?;
    Ok(call.store.backup(None).await?)
}

/// The complete backups there, oldest first.
pub async fn list(call: &Call) -> Result<Vec<Backup>, ServiceError> {
    require_instance_admin(call).await?;
    let root: PathBuf = call.store.backups_dir();
    call.read_slow(move |_: &ReadTx<'_>| Ok(backup::list(&root)?)).await
}

async fn require_instance_admin(call: &Call) -> Result<(), ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| match require_admin(tx, &caller)?.is_instance_admin {
        true => Ok(()),
        false => Err(not_instance_admin()),
    })
    .await
}
