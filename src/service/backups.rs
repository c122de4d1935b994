//! Backups and house-keeping: for the instance admin, for both are about every tenant.

use std::path::PathBuf;

use crate::store::backup::{self, Backup};
use crate::store::{ReadTx, Removed};

use super::keys::{not_instance_admin, require_admin};
use super::{Call, ServiceError};

/// Makes a backup in the data directory's own folder, while the server runs. With `keep`, which is at least 1, the
/// oldest ones but so many are removed afterwards; returns how many were.
pub async fn create(call: &Call, keep: Option<usize>) -> Result<(Backup, usize), ServiceError> {
    require_instance_admin(call).await?;
    if keep == Some(0) {
        return Err(ServiceError::InvalidParams("keep must be at least 1: the newest backup is never removed".into()));
    }
    let backup = call.store.backup(None).await?;
    let removed = match keep {
        Some(keep) => call.store.prune_backups(None, keep).await?.len(),
        None => 0,
    };
    Ok((backup, removed))
}

/// The complete backups there, oldest first.
pub async fn list(call: &Call) -> Result<Vec<Backup>, ServiceError> {
    require_instance_admin(call).await?;
    let root: PathBuf = call.store.backups_dir();
    call.read_slow(move |_: &ReadTx<'_>| Ok(backup::list(&root)?)).await
}

/// Throws away now what is not kept any longer; for the instance admin, since bodies are of every tenant.
pub async fn collect(call: &Call) -> Result<Removed, ServiceError> {
    require_instance_admin(call).await?;
    Ok(call.store.keep_house().await?)
}

async fn require_instance_admin(call: &Call) -> Result<(), ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| match require_admin(tx, &caller)?.is_instance_admin {
        true => Ok(()),
        false => Err(not_instance_admin()),
    })
    .await
}
