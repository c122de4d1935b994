//! What a sync writes: files of the host into the tree, and what both sides agree on.
//!
//! Each message has few files and looks again at what it was decided on: that the mount is still there, and that the file
//! in the tree is still the one that was compared. This is the only way past a read-only mount.

use crate::auth::Caller;
use crate::model::VirtualPath;
use crate::service::files::ops::MESSAGE_BYTES;
use crate::service::files::tree::{FileBody, put_at, remove_at};
use crate::service::located::Located;
use crate::service::mounts::instance_admin;
use crate::service::mounts::sync::SyncReport;
use crate::service::{Call, ServiceError};
use crate::store::mount_files::{self, Agreed};
use crate::store::{Origin, Sql, Store, StoreError, WriteOp, WriteTx, mounts};

/// Files in one message: the writer is busy with them for a few milliseconds.
pub const FILES_PER_MESSAGE: usize = 200;
/// Bytes in one message after which it is sent.
pub const BYTES_PER_MESSAGE: usize = 1 << 20;
/// Rows that one message frees.
const FREE_ROWS_MAX: u64 = 1_000;

/// The mount that a sync was begun for.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) mount_point: VirtualPath,
    pub(super) mount_id: String,
}

impl Target {
    fn check(&self, tx: &impl Sql) -> Result<(), ServiceError> {
        let row = mounts::find(tx, self.mount_point.as_str())?;
        match row.filter(|row| row.active && row.mount_id == self.mount_id) {
            Some(_) => Ok(()),
            None => Err(ServiceError::Precondition(format!("'{}' is not mounted any more", self.mount_point))),
        }
    }
}

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// The tree has it.
    Done,
    /// The tree has something else than what was compared.
    Changed,
    /// Something of another kind is in its place; what.
    Clash(String),
}

/// One file of the host for the tree.
#[derive(Debug, Clone)]
pub(super) struct Import {
    /// Below the mount point.
    pub(super) below: String,
    pub(super) path: VirtualPath,
    /// What the tree must have for it; `None` = nothing.
    pub(super) expected: Option<String>,
    /// The body and what is remembered of it; `None` = the tree loses the file.
    pub(super) file: Option<(FileBody, Agreed)>,
}

/// Files of the host for the tree.
#[derive(Debug, Clone)]
pub struct ImportFiles {
    pub(super) caller: Caller,
    pub(super) target: Target,
    pub(super) imports: Vec<Import>,
}

impl WriteOp for ImportFiles {
    const NAME: &'static str = "mount_import";
    type Output = Vec<Imported>;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Vec<Imported>, ServiceError> {
        let caller = instance_admin(tx, &self.caller)?;
        self.target.check(tx)?;
        self.imports.iter().map(|import| self.import(tx, &caller, import)).collect()
    }

    fn bytes(&self) -> usize {
        let bytes =
            |import: &Import| import.file.as_ref().map_or(0, |(body, _)| body.bytes()) + import.path.as_str().len();
        self.imports.iter().map(|import| bytes(import) + MESSAGE_BYTES).sum()
    }
}

impl ImportFiles {
    fn import(&self, tx: &mut WriteTx<'_>, caller: &Caller, import: &Import) -> Result<Imported, ServiceError> {
        let located = Located::find(tx, &import.path)?;
        let here = located.node().and_then(|node| node.content.clone());
        if here != import.expected {
            return Ok(Imported::Changed);
        }
        let mount_id = &self.target.mount_id;
        let Some((body, agreed)) = &import.file else {
            if let Some(node) = located.node().cloned() {
                remove_at(tx, &located, &node)?;
            }
            mount_files::remove(tx, mount_id, &import.below)?;
            return Ok(Imported::Done);
        };
        // Refused before anything is written: a file where the host has a directory, or the other way round.
        match put_at(tx, caller, &located, body, "original", Some("sync of a mount")) {
            Err(ServiceError::Precondition(what)) => return Ok(Imported::Clash(what)),
            Err(ServiceError::Store(StoreError::OverQuota(over))) => return Ok(Imported::Clash(over.to_string())),
            other => other?,
        };
        mount_files::put(tx, mount_id, &import.below, agreed)?;
        Ok(Imported::Done)
    }
}

/// What both sides have become without a change of the tree.
#[derive(Debug, Clone)]
pub struct KeepAgreed {
    pub(super) caller: Caller,
    pub(super) target: Target,
    /// By the path below the mount point; `None` = both have none.
    pub(super) agreed: Vec<(String, Option<Agreed>)>,
}

impl WriteOp for KeepAgreed {
    const NAME: &'static str = "mount_agree";
    const UNRECORDED: bool = true;
    type Output = ();
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), ServiceError> {
        instance_admin(tx, &self.caller)?;
        self.target.check(tx)?;
        for (below, agreed) in &self.agreed {
            match agreed {
                Some(agreed) => mount_files::put(tx, &self.target.mount_id, below, agreed)?,
                None => mount_files::remove(tx, &self.target.mount_id, below)?,
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.agreed.iter().map(|(below, _)| below.len() + MESSAGE_BYTES).sum()
    }
}

/// The end of a sync: what a repeat of its request is answered with.
#[derive(Debug)]
pub struct EndSync {
    pub(super) caller: Caller,
    pub(super) report: SyncReport,
}

impl WriteOp for EndSync {
    const NAME: &'static str = "mount_synced";
    const UNRECORDED: bool = true;
    type Output = SyncReport;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<SyncReport, ServiceError> {
        instance_admin(tx, &self.caller)?;
        Ok(self.report.clone())
    }

    fn bytes(&self) -> usize {
        MESSAGE_BYTES
    }
}

/// Frees what was remembered of files of a mount that is gone.
#[derive(Debug)]
pub struct FreeMountFiles {
    mount_id: String,
}

impl WriteOp for FreeMountFiles {
    const NAME: &'static str = "mount_free";
    const GROWS: bool = false;
    const UNRECORDED: bool = true;
    /// How many rows it was.
    type Output = u64;
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<u64, StoreError> {
        if mounts::list(tx)?.iter().any(|row| row.mount_id == self.mount_id) {
            return Ok(0);
        }
        mount_files::free(tx, &self.mount_id, FREE_ROWS_MAX)
    }

    fn bytes(&self) -> usize {
        MESSAGE_BYTES
    }
}

/// Starts to free the rows of mounts that are gone, where there is a runtime; else the next start does it.
pub fn free_in_background(call: &Call) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(free(call.store.clone()));
    }
}

/// Frees the rows of mounts that are gone, message by message.
pub async fn free(store: Store) {
    loop {
        let freed = match store.read_slow(|tx| mount_files::orphaned(tx)).await {
            Ok(None) => return,
            Ok(Some(mount_id)) => {
                let op = FreeMountFiles { mount_id };
                store.submit(Origin::system(FreeMountFiles::NAME), op).await.map(|(rows, _)| rows)
            }
            Err(error) => Err(error),
        };
        match freed {
            Ok(1..) => {}
            Ok(0) | Err(StoreError::Closed) => return,
            Err(error) => {
                tracing::warn!(%error, "freeing what was remembered of removed mounts stopped");
                return;
            }
        }
    }
}
