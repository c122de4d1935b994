//! Named fault points: places where a test may pause, panic or stop the store.

/// A place in the code that a test can arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultPoint {
    /// The batch has run, COMMIT has not.
    BeforeCommit,
    /// COMMIT is durable, its revision is not published.
    AfterCommitBeforePublish,
    /// Published, not replied.
    AfterPublishBeforeReply,
    /// A read has its snapshot of the data, and not yet the published state of its revision.
    AfterSnapshotBeforeState,
    /// A checkpoint is about to run.
    MidCheckpoint,
    /// The temporary file of a blob is written, not synced.
    BlobWritten,
    /// It is synced, not yet under its name.
    BlobSynced,
    /// It has its name, its directory is not synced.
    BlobRenamed,
    /// Its directory is synced: the blob is durable, no row names it yet.
    BlobDurable,
    /// The copy of the database in a backup is written, not synced.
    BackupCopied,
    /// All parts of a backup are durable, its manifest is not written.
    BackupFilled,
}

/// The armed fault points of one store; empty in production.
#[derive(Clone, Default)]
pub struct Faults(Option<std::sync::Arc<dyn Fn(FaultPoint) + Send + Sync>>);

impl Faults {
    /// Calls `hook` at every point, on the thread that reaches it. The hook may block or panic.
    pub fn armed(hook: impl Fn(FaultPoint) + Send + Sync + 'static) -> Self {
        Self(Some(std::sync::Arc::new(hook)))
    }
    /// Called by the store where the point is.
    pub(super) fn hit(&self, point: FaultPoint) {
        if let Some(hook) = &self.0 {
            hook(point);
        }
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Faults").field(&self.0.is_some()).finish()
    }
}
