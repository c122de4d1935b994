//! What can go wrong in the store, each variant naming the step that failed.
//!
//! `Clone`, because one failed COMMIT answers every message of its batch.

use std::sync::Arc;

use crate::model::Rev;

use super::backend::EngineError;
use super::quotas::OverQuota;

/// An error of the store. The text says what happened and what to do; it never holds a secret or a parameter.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Admission refused: the queue named is full. Nothing was done; try again.
    #[error("the store is busy: {queue} is full; try again")]
    Busy {
        /// Which bound was hit.
        queue: &'static str,
    },
    /// The deadline passed before the work began (nothing was done) or while a read ran.
    #[error("the deadline passed before {step}")]
    DeadlineExceeded {
        /// What was about to be done.
        step: &'static str,
    },
    /// The store is shutting down. Nothing was done.
    #[error("the server is shutting down")]
    Closed,
    /// The writer is gone; the outcome of what was in flight is not known.
    #[error("the writer is gone; whether the write happened is not known. Restart the server")]
    WriterGone,
    /// COMMIT failed in a way that leaves its outcome unknown until a restart has recovered the database.
    #[error("the outcome of the write is not known: {reason}. Restart the server, then look before retrying")]
    Indeterminate {
        /// What the engine said.
        reason: String,
    },
    /// The request was executed before under its Idempotency-Key, or is being executed. Nothing was done again.
    #[error("a request with this Idempotency-Key was executed before")]
    Repeated,
    /// The store takes no writes after an input/output error.
    #[error("the store is read-only since an input/output error: {reason}. Restart the server")]
    ReadOnly {
        /// What the engine said.
        reason: String,
    },
    /// No space left. Nothing was done.
    #[error("storage full: free some space or delete files; nothing was written")]
    Full,
    /// It would make a tenant larger than it may be. Nothing was done.
    #[error("{0}")]
    OverQuota(Box<OverQuota>),
    /// A statement failed.
    #[error("{step} failed: {source}")]
    Sql {
        /// The step, as a verb phrase.
        step: &'static str,
        /// What the engine said.
        #[source]
        source: Arc<EngineError>,
    },
    /// An operation on a file of the data directory failed.
    #[error("{step} {path} failed: {source}")]
    Io {
        /// The step, as a verb.
        step: &'static str,
        /// The path, as given.
        path: String,
        /// What the operating system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// What is stored is not what was stored.
    #[error("integrity error: {what}")]
    Corrupt {
        /// What does not agree, and where.
        what: String,
    },
    /// The database server cannot be reached, or has gone away. Nothing was done.
    #[error("{place} cannot be reached: {reason}. Nothing was written; look after the database server, then try again")]
    Unreachable {
        /// Host, port and database.
        place: String,
        /// What the driver said.
        reason: String,
    },
    /// This engine has no such thing.
    #[error("{what} is not there with {engine}: {remedy}")]
    NotHere {
        /// What was asked for.
        what: &'static str,
        /// The engine.
        engine: &'static str,
        /// What to use.
        remedy: &'static str,
    },
    /// The database is in use by another server.
    #[error("{place} is in use by another server ({who}). Stop it, or give another database")]
    Occupied {
        /// Host, port and database.
        place: String,
        /// What the database knows of it.
        who: String,
    },
    /// The directory is in use by another process.
    #[error("{dir} is in use by pid {pid}{}. Use --data-dir or stop it", since.as_ref().map_or_else(String::new, |at| format!(" (since {at})")))]
    Locked {
        /// The data directory.
        dir: String,
        /// The process that holds it, as it wrote it down.
        pid: String,
        /// Since when, as it wrote it down.
        since: Option<String>,
    },
    /// The database file is not ours, or newer than this program.
    #[error("{path}: {what}. {remedy}")]
    Unusable {
        /// The database file.
        path: String,
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The data directory cannot hold a store: its file system, what lies there, or who may write to it.
    #[error("{path}: {what}. {remedy}")]
    Unsuitable {
        /// What kind of thing is wrong.
        place: Place,
        /// The directory, or the file in it.
        path: String,
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The operation panicked; it was rolled back, its neighbours were not.
    #[error("the operation {op} failed unexpectedly and was rolled back; see the log")]
    Panicked {
        /// The operation.
        op: &'static str,
    },
    /// A read was asked for a revision that is not held.
    #[error("revision {asked} is not available (current: {current})")]
    RevisionUnavailable {
        /// The revision asked for.
        asked: Rev,
        /// The current one.
        current: Rev,
    },
}

/// Why a data directory cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is on a network file system.
    Network,
    /// There is no space to start.
    NoSpace,
    /// Something else lies where it should be.
    NotDirectory,
    /// This user, or nobody, may write to it.
    NotWritable,
}

impl StoreError {
    /// Wraps an engine error with the step that failed, and tells a full disk from the rest.
    #[must_use]
    pub fn sql(step: &'static str, source: impl Into<EngineError>) -> Self {
        let source = source.into();
        match source.lite_code() {
            Some(rusqlite::ErrorCode::CannotOpen) if no_descriptors_left() => OPEN_FILES,
            _ if source.is_full() => Self::Full,
            _ if source.is_late() => Self::DeadlineExceeded { step },
            _ => Self::Sql { step, source: Arc::new(source) },
        }
    }

    /// Whether it says that the database itself is damaged.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Self::Corrupt { .. } => true,
            Self::Sql { source, .. } => matches!(source.lite_code(), Some(DatabaseCorrupt | NotADatabase)),
            _ => false,
        }
    }

    /// Wraps an input/output error with the step and the path.
    #[must_use]
    pub fn io(step: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
            return Self::Full;
        }
        if is_out_of_descriptors(&source) {
            return OPEN_FILES;
        }
        Self::Io { step, path: path.display().to_string(), source: Arc::new(source) }
    }
}

/// No file can be opened for now.
const OPEN_FILES: StoreError = StoreError::Busy { queue: "the table of open files" };

fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    let code = rustix::io::Errno::from_io_error(error);
    matches!(code, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

/// Whether the process can open no further file. The engine does not say why it could not.
fn no_descriptors_left() -> bool {
    std::fs::File::open("/dev/null").is_err_and(|error| is_out_of_descriptors(&error))
}
