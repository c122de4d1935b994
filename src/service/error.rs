//! What a rule of the product refuses, in words for people. `rpc` gives each its code.

use crate::model::{PathError, Rev};
use crate::rebac::NamespaceError;
use crate::store::StoreError;

/// What a caller was refused for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// The permission, or `admin` or `instance_admin`.
    pub permission: String,
    /// On what, as the caller named it: `type:id`, or a path.
    pub object: String,
}

impl Lacking {
    /// `permission` on an object as it shows itself.
    #[must_use]
    pub fn new(permission: &str, object: impl std::fmt::Display) -> Self {
        Self { permission: permission.to_owned(), object: object.to_string() }
    }
}

/// A refusal of the service layer. `Clone` is not needed: it answers one caller.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The caller may know that it is not there (may read the directory).
    #[error("File not found: {0}")]
    NotFound(String),
    /// No snapshot of the workspace has this number, or none that the caller may know of.
    #[error("Snapshot not found: snapshot:{0}")]
    NoSnapshot(u64),
    /// There is no such record, or none that the caller may know of.
    #[error("{what} not found: {id}")]
    NoRecord {
        /// What kind of record, e.g. `Memory`.
        what: &'static str,
        /// Its id, as it was sent.
        id: String,
    },
    /// Something is there already. The text is whole, e.g. `Directory already exists: /a`.
    #[error("{0}")]
    Exists(String),
    /// A path that the validator refuses.
    #[error("{reason}: {path}")]
    InvalidPath {
        /// The path as it was sent.
        path: String,
        /// The rule.
        #[source]
        reason: PathError,
    },
    /// The caller lacks a right. Told alike for what exists and what does not.
    #[error("{message}")]
    PermissionDenied {
        /// `Access denied: User 'u' does not have READ permission for '/a'`.
        message: String,
        /// Which permission on what is missing.
        hint: String,
        /// The same for the record of denials.
        lacking: Lacking,
    },
    /// The key was revoked, or expired, or the agent deleted, since the request began.
    #[error("the API key is not known, revoked or expired")]
    Unauthenticated,
    /// A parameter that makes no sense.
    #[error("{0}")]
    InvalidParams(String),
    /// Content that breaks a rule of its kind (a skill, an archive).
    #[error("{0}")]
    Validation(String),
    /// The file changed: `if_match` does not hold.
    #[error("Conflict detected - file was modified by another agent. Expected etag '{}...', but current etag is '{}...': {path}", expected.get(..16).unwrap_or(expected), current.get(..16).unwrap_or(current))]
    Conflict {
        /// The file.
        path: String,
        /// What the caller had.
        expected: String,
        /// What is there; `(file does not exist)` if nothing is.
        current: String,
    },
    /// Somebody has decided already.
    #[error("the approval {approval_id} is {status} already, by '{reviewed_by}'")]
    Decided {
        /// About what.
        approval_id: String,
        /// What was decided.
        status: String,
        /// By whom.
        reviewed_by: String,
    },
    /// The state forbids it, e.g. a directory that is not empty. The text is whole.
    #[error("{0}")]
    Precondition(String),
    /// Not built, not configured or not supported; says which, and what to do.
    #[error("{message}")]
    NotSupported {
        /// What is missing.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The whole answer would pass the size limit.
    #[error("the result is larger than {limit_bytes} bytes; ask for pages with `limit` and `cursor`")]
    ResultTooLarge {
        /// The limit, bytes.
        limit_bytes: usize,
    },
    /// A file that is too large to be handed out whole.
    #[error("the file is larger than {limit_bytes} bytes: {path}")]
    FileTooLarge {
        /// The file.
        path: String,
        /// The limit, bytes.
        limit_bytes: usize,
    },
    /// A question about a revision whose changes are no longer kept.
    #[error("{asked} is before the history that is kept: it begins with revision {first}")]
    RevisionTooOld {
        /// `revision 7`, or a time.
        asked: String,
        /// The oldest revision that can be asked about.
        first: Rev,
    },
    /// A question about a revision from which too many changes lead back.
    #[error("revision {asked} is too far back: more than {limit} revisions since changed permissions")]
    RevisionTooFar {
        /// The revision.
        asked: Rev,
        /// How many are undone at most.
        limit: u64,
    },
    /// A question about what has not happened yet.
    #[error("{asked} is in the future: the newest revision is {head}")]
    RevisionInFuture {
        /// `revision 7`, or a time.
        asked: String,
        /// The newest.
        head: Rev,
    },
    /// A permission could not be decided within its budget, or for lack of context. It is a no that says so.
    #[error("permission on '{path}' could not be decided: {reason}")]
    Indeterminate {
        /// Which; empty if it was about many.
        permission: String,
        /// The object.
        path: String,
        /// Why.
        reason: String,
    },
    /// Rules that are refused.
    #[error("the namespace of '{object_type}' is refused: {error}")]
    Namespace {
        /// Of which type.
        object_type: String,
        /// What is wrong.
        #[source]
        error: NamespaceError,
    },
    /// The list that a cursor continues is not kept any more.
    #[error("the cursor has expired: its list is kept for one minute")]
    CursorExpired,
    /// The stored body of a file is not what was stored; other files are not affected.
    #[error("the stored content of {path} is damaged; it was not handed out")]
    Integrity {
        /// The path that was asked for.
        path: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ServiceError {
    /// The refusal of a path.
    #[must_use]
    pub fn path(path: &str, reason: PathError) -> Self {
        Self::InvalidPath { path: path.to_owned(), reason }
    }
}
