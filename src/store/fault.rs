//! Named fault points: places where a test may pause, panic or end the process.
//!
//! One list ([`FaultPoint::ALL`]). A test in the process arms a hook; a test of the whole program arms points by the
//! environment (`config::faults`, only with the feature `faults`). Nothing is armed in production.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::config::{ConfigError, Fault, FaultAction};
use crate::model::nearest;

macro_rules! points {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)*) => {
        /// A place in the code that a test can arm.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum FaultPoint {
            $($(#[doc = $doc])+ $name,)*
        }

        impl FaultPoint {
            /// Every point.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name that the environment uses.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

points! {
    /// The batch has run, COMMIT has not.
    BeforeCommit = "before_commit";
    /// COMMIT is durable, its revision is not published.
    AfterCommitBeforePublish = "after_commit_before_publish";
    /// Published, not replied.
    AfterPublishBeforeReply = "after_publish_before_reply";
    /// A read has its snapshot of the data, and not yet the published state of its revision.
    AfterSnapshotBeforeState = "after_snapshot_before_state";
    /// A checkpoint is about to run.
    MidCheckpoint = "mid_checkpoint";
    /// It has moved what it could, and nothing was made of that.
    CheckpointMoved = "checkpoint_moved";
    /// The temporary file of a blob is written, not synced.
    BlobWritten = "blob_written";
    /// It is synced, not yet under its name.
    BlobSynced = "blob_synced";
    /// It has its name, its directory is not synced.
    BlobRenamed = "blob_renamed";
    /// Its directory is synced: the blob is durable, no row names it yet.
    BlobDurable = "blob_durable";
    /// The directory of a backup is there, with nothing in it.
    BackupBegun = "backup_begun";
    /// The copy of the database in a backup is written, not synced.
    BackupCopied = "backup_copied";
    /// All parts of a backup are durable, its manifest is not written.
    BackupFilled = "backup_filled";
    /// The manifest is durable, too; the backup has no name yet.
    BackupDescribed = "backup_described";
    /// It has its name, the directory above is not synced.
    BackupNamed = "backup_named";
    /// The database before a migration is copied, the copy has no name yet.
    MigrationCopied = "migration_copied";
    /// The copy is durable under its name, nothing is migrated.
    MigrationBackedUp = "migration_backed_up";
    /// A migration has run, its COMMIT has not.
    MigrationBeforeCommit = "migration_before_commit";
    /// The COMMIT of a migration is durable.
    MigrationAfterCommit = "migration_after_commit";
    /// A start has taken the lock of the directory, and done nothing else.
    StartLocked = "start_locked";
    /// The rows of a start are written, not committed.
    StartBeforeCommit = "start_before_commit";
    /// They are committed, nothing runs yet.
    StartCommitted = "start_committed";
    /// The file of the first key is durable, the key is not stored.
    StartKeyWritten = "start_key_written";
    /// The first key is stored.
    StartKeyStored = "start_key_stored";
    /// All is there, the server does not listen yet.
    StartServing = "start_serving";
    /// Everything new is refused, requests under way go on.
    ShutdownDoorsClosed = "shutdown_doors_closed";
    /// Every request is answered, the store is open.
    ShutdownDrained = "shutdown_drained";
    /// The word "clean" is committed, the log is not moved.
    ShutdownMarked = "shutdown_marked";
    /// The log is moved and cut off, the database is open.
    ShutdownCheckpointed = "shutdown_checkpointed";
    /// A restore has begun to unpack: a directory beside the target, nothing in it.
    RestoreBegun = "restore_begun";
    /// All is unpacked, checked and durable, nothing is exchanged.
    RestoreStaged = "restore_staged";
    /// The restored directory has the target's name, the old one not yet the name it is kept by.
    RestoreInPlace = "restore_in_place";
    /// The old directory has its name, too.
    RestoreKept = "restore_kept";
    /// A search is about to look at a file, or to name a directory.
    SearchNextFile = "search_next_file";
    /// Nobody waits for a search any more.
    SearchAbandoned = "search_abandoned";
    /// A walk over the tree of a workspace is about to look at an entry.
    TreeNextEntry = "tree_next_entry";
    /// Nobody waits for such a walk any more.
    TreeAbandoned = "tree_abandoned";
    /// An import has said in the empty database that it is being filled; no row is there.
    ImportMarked = "import_marked";
    /// A part of the rows is committed.
    ImportCommitted = "import_committed";
    /// All rows are there and sound, servers are still kept out.
    ImportFilled = "import_filled";
    /// Servers are let in; the log is not moved.
    ImportDone = "import_done";
}

impl FaultPoint {
    /// The point called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|point| point.name() == name)
    }
}

/// The armed fault points of one store; empty in production.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<dyn Fn(FaultPoint) + Send + Sync>>);

impl Faults {
    /// Calls `hook` at every point, on the thread that reaches it. The hook may block or panic.
    pub fn armed(hook: impl Fn(FaultPoint) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// What the environment has armed. Refuses a point that is not in the list, and names the nearest.
    pub fn planned(plan: &[Fault]) -> Result<Self, ConfigError> {
        let find = |fault: &Fault| match FaultPoint::named(&fault.point) {
            Some(point) => Ok((point, fault.nth, fault.action, AtomicU32::new(0))),
            None => {
                let near = nearest(&fault.point, FaultPoint::ALL.iter().map(|point| point.name()));
                let near = near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
                Err(ConfigError::Fault(format!("there is no fault point `{}`{near}", fault.point)))
            }
        };
        let armed: Vec<_> = plan.iter().map(find).collect::<Result<_, _>>()?;
        if armed.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self::armed(move |reached| {
            for (point, nth, action, hits) in armed.iter().filter(|(point, ..)| *point == reached) {
                if hits.fetch_add(1, Ordering::SeqCst) + 1 == *nth {
                    act(*point, *action);
                }
            }
        }))
    }

    /// Called where the point is.
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

fn act(point: FaultPoint, action: FaultAction) {
    match action {
        FaultAction::Exit => {
            // As from outside: the kernel ends every thread, nothing of ours runs any more.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::process::abort();
        }
        FaultAction::Panic => panic!("armed fault point {}", point.name()),
        FaultAction::Pause => {
            // Whoever paused it reads this; nobody else can be told.
            let _ = writeln!(std::io::stderr().lock(), "paused at {}", point.name());
            wait_to_go_on(point.name());
        }
    }
}

/// What standard input has said to the paused threads.
#[derive(Default)]
struct GoOn {
    /// Somebody reads it.
    read: bool,
    lines: Vec<String>,
    ended: bool,
}

/// Waits for a line with the name of the point, or an empty one, or the end of standard input.
fn wait_to_go_on(name: &str) {
    static SAID: Mutex<GoOn> = Mutex::new(GoOn { read: false, lines: Vec::new(), ended: false });
    static HEARD: Condvar = Condvar::new();
    let mut said = SAID.lock();
    if !std::mem::replace(&mut said.read, true) {
        std::thread::spawn(|| {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                SAID.lock().lines.push(line.trim().to_owned());
                HEARD.notify_all();
            }
            SAID.lock().ended = true;
            HEARD.notify_all();
        });
    }
    while !said.ended {
        if let Some(at) = said.lines.iter().position(|line| line.is_empty() || line == name) {
            said.lines.remove(at);
            return;
        }
        HEARD.wait(&mut said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_found() {
        for (at, point) in FaultPoint::ALL.iter().enumerate() {
            assert_eq!(FaultPoint::named(point.name()), Some(*point));
            assert!(FaultPoint::ALL[..at].iter().all(|other| other.name() != point.name()), "{point:?}");
            assert!(point.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{point:?}");
        }
    }

    #[test]
    fn an_unknown_point_is_refused_with_the_nearest() {
        let fault = |point: &str| Fault { point: point.into(), nth: 1, action: FaultAction::Panic };
        let error = Faults::planned(&[fault("before_comit")]).expect_err("unknown").to_string();
        assert_eq!(error, "NEXUS_LITE_FAULT: there is no fault point `before_comit`, did you mean `before_commit`?");
        assert!(Faults::planned(&[]).expect("nothing").0.is_none());
    }

    #[test]
    fn it_happens_at_the_nth_time_and_not_again() {
        let plan = [Fault { point: "before_commit".into(), nth: 2, action: FaultAction::Panic }];
        let faults = Faults::planned(&plan).expect("known");
        let hit = |point| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| faults.hit(point))).is_err();
        assert!(!hit(FaultPoint::BeforeCommit));
        assert!(!hit(FaultPoint::BlobWritten));
        assert!(hit(FaultPoint::BeforeCommit));
        assert!(!hit(FaultPoint::BeforeCommit));
    }
}
