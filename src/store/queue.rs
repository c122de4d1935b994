//! The way into the writer: admission, the erased message, and how it is answered.
//!
//! Admission is decided when `submit` is called, by two budgets (messages and bytes) that travel with the message and
//! come back with its answer. The mailbox itself bounds nothing.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::model::Rev;

use super::StoreError;
use super::op::{Origin, WriteOp};
use super::tx::WriteTx;

/// The two budgets.
pub(super) struct Admission {
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    messages_max: u32,
    bytes_max: u32,
}

/// The share of one message; given back when it is answered.
pub(super) struct Permit {
    _message: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Admission {
    pub(super) fn new(messages: usize, bytes: usize) -> Self {
        let messages_max = u32::try_from(messages).unwrap_or(u32::MAX);
        let bytes_max = u32::try_from(bytes).unwrap_or(u32::MAX);
        Self {
            messages: Arc::new(Semaphore::new(messages_max as usize)),
            bytes: Arc::new(Semaphore::new(bytes_max as usize)),
            messages_max,
            bytes_max,
        }
    }

    /// Admits a message of `bytes`, or says which budget is spent.
    pub(super) fn admit(&self, bytes: usize) -> Result<Permit, StoreError> {
        use tokio::sync::TryAcquireError::{Closed, NoPermits};
        // A message larger than the whole budget goes when nothing else is under way, rather than never.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes_max);
        let refuse = |error, queue| match error {
            Closed => StoreError::Closed,
            NoPermits => StoreError::Busy { queue },
        };
        let message = Arc::clone(&self.messages).try_acquire_owned();
        let message = message.map_err(|e| refuse(e, "the writer's queue"))?;
        let share = Arc::clone(&self.bytes).try_acquire_many_owned(bytes);
        let share = share.map_err(|e| refuse(e, "the writer's byte budget"))?;
        Ok(Permit { _message: message, _bytes: share })
    }

    /// Messages admitted and not yet answered.
    pub(super) fn under_way(&self) -> usize {
        self.messages_max as usize - self.messages.available_permits()
    }

    /// Waits until every admitted message is answered, and admits none from then on.
    pub(super) async fn close(&self) {
        // An error means that somebody else has closed it: then all were answered.
        let all = self.messages.acquire_many(self.messages_max).await;
        self.messages.close();
        self.bytes.close();
        drop(all);
    }
}

/// A message on its way.
pub(super) struct Queued {
    pub(super) job: Box<dyn Erased>,
    pub(super) origin: Origin,
    pub(super) sent: Instant,
    pub(super) bytes: usize,
    pub(super) permit: Permit,
    /// The revision after it was applied.
    pub(super) rev: Rev,
}

impl Queued {
    /// Answers with what the operation gave; its change is durable and published.
    pub(super) fn finish(self) {
        // First the permit, so that whoever waits for the answer finds room for the next message.
        drop(self.permit);
        self.job.finish(self.rev);
    }

    /// Answers with an error of the store, whatever the operation gave.
    pub(super) fn fail(self, error: StoreError) {
        drop(self.permit);
        self.job.fail(error);
    }
}

/// An operation without its types; keeps its outcome until the batch is committed.
pub(super) trait Erased: Send {
    fn name(&self) -> &'static str;
    /// Whether it may change derived rows without recording.
    fn unrecorded(&self) -> bool;
    /// Whether it makes the store larger.
    fn grows(&self) -> bool;
    /// Runs it; whether it succeeded.
    fn apply(&mut self, tx: &mut WriteTx<'_>) -> bool;
    /// Sets its outcome to an error of the store.
    fn refuse(&mut self, error: StoreError);
    fn finish(self: Box<Self>, rev: Rev);
    fn fail(self: Box<Self>, error: StoreError);
}

/// The answer to one message.
pub(super) type Answer<O> = Result<(<O as WriteOp>::Output, Rev), <O as WriteOp>::Error>;

/// The typed message behind [`Erased`].
pub(super) struct Job<O: WriteOp> {
    op: O,
    outcome: Option<Result<O::Output, O::Error>>,
    reply: oneshot::Sender<Answer<O>>,
}

impl<O: WriteOp> Job<O> {
    /// The message and the end where its answer comes out.
    pub(super) fn boxed(op: O) -> (Box<dyn Erased>, oneshot::Receiver<Answer<O>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { op, outcome: None, reply }), answer)
    }
}

impl<O: WriteOp> Erased for Job<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }
    fn unrecorded(&self) -> bool {
        O::UNRECORDED
    }
    fn grows(&self) -> bool {
        O::GROWS
    }
    fn apply(&mut self, tx: &mut WriteTx<'_>) -> bool {
        let outcome = self.op.apply(tx);
        let ok = outcome.is_ok();
        self.outcome = Some(outcome);
        ok
    }
    fn refuse(&mut self, error: StoreError) {
        self.outcome = Some(Err(error.into()));
    }
    fn finish(self: Box<Self>, rev: Rev) {
        let outcome = self.outcome.unwrap_or_else(|| Err(StoreError::WriterGone.into()));
        // A caller that no longer waits has lost only its answer.
        let _ = self.reply.send(outcome.map(|output| (output, rev)));
    }
    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error.into()));
    }
}
