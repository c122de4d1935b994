//! The message to the writer: one type per mutation.

use std::time::Instant;

use super::StoreError;
use super::tx::WriteTx;

/// One mutation. Every type that implements it is named in the list of `service/ops.rs`.
///
/// `apply` runs on the writer's thread inside the write transaction. It must be **re-runnable** (an engine may run a
/// batch twice) and has no side effect but `tx`; it never waits, reads no clock but `tx.now_us()` and draws no
/// randomness (the request draws it and puts it into the op). Returning an error, or panicking, rolls back exactly
/// this op: its SQL, its recorded changes, the working projections and its revision.
pub trait WriteOp: Send + 'static {
    /// The name in the changelog, in metrics and in logs; `noun_verb`.
    const NAME: &'static str;
    /// What the caller gets after COMMIT.
    type Output: Send + 'static;
    /// The op's own refusals beside those of the store.
    type Error: From<StoreError> + Send + 'static;

    /// Whether it may change derived rows (freed directories, unused bodies) without recording a change. Only
    /// maintenance may; it gets no revision then.
    const UNRECORDED: bool = false;

    /// Whether it makes the store larger. What only takes away (deletes, revokes, maintenance) is taken on a full disk,
    /// too: it is how a full disk is mended.
    const GROWS: bool = true;

    /// Checks and changes. All checks come before the first change.
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Self::Output, Self::Error>;

    /// Its size in the queue, bytes: the bodies and texts it carries.
    fn bytes(&self) -> usize;
}

/// Who asked for a mutation: what the changelog row says beside the change.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The subject as `type:id`, or `system` for maintenance.
    pub actor: String,
    /// The caller's tenant.
    pub tenant: String,
    /// The request.
    pub request_id: String,
    /// The op is not begun after this moment of the injected clock; `None` = no deadline.
    pub deadline: Option<Instant>,
}

impl Origin {
    /// The server itself, e.g. at the first start.
    #[must_use]
    pub fn system(what: &str) -> Self {
        Self {
            actor: "system".into(),
            tenant: crate::model::DEFAULT_TENANT.into(),
            request_id: what.into(),
            deadline: None,
        }
    }
}
