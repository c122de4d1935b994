//! Requests with an Idempotency-Key: executed once, answered alike as often as they come.
//!
//! The reply is made inside the write transaction, from what the message gives back, and stored beside the change; so
//! there is no moment at which a change stands without its reply. What is refused is not remembered and runs again. A
//! request that sends several messages is remembered with the one whose answer makes its reply.

use std::any::Any;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::store::{StoreError, WriteOp, WriteTx, idempotency};

/// What is remembered of a message that has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It was not what the request is about: nothing.
    Unfinished,
    /// That it was executed; the reply is shown once, or too long to be kept.
    Unkept,
    /// The reply, JSON.
    Json(String),
}

/// Makes the reply from the output of the message.
type MakeReply = Arc<dyn Fn(&dyn Any) -> Reply + Send + Sync>;

/// The key of one request, and what it stands for.
pub struct Keyed {
    /// [`idempotency::name`] of the key.
    pub name: [u8; 16],
    /// BLAKE3 of method and parameters.
    pub request: [u8; 32],
    /// The method.
    pub method: &'static str,
    reply: Mutex<Option<MakeReply>>,
}

impl Keyed {
    /// A request whose reply is not known yet.
    #[must_use]
    pub fn new(name: [u8; 16], request: [u8; 32], method: &'static str) -> Self {
        Self { name, request, method, reply: Mutex::new(None) }
    }

    /// Says how the reply is made. An output of another type than `T` is remembered without its reply.
    pub fn reply_with<T: Any>(&self, make: impl Fn(&T) -> Reply + Send + Sync + 'static) {
        let make = move |output: &dyn Any| output.downcast_ref::<T>().map_or(Reply::Unkept, &make);
        *self.reply.lock() = Some(Arc::new(make));
    }

    /// The message `op` with what makes it execute once.
    pub(super) fn wrap<O: WriteOp>(self: &Arc<Self>, op: O) -> Once<O> {
        Once { op, make: self.reply.lock().clone(), keyed: Arc::clone(self) }
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyed").field("method", &self.method).finish_non_exhaustive()
    }
}

/// A message that is applied once per key. Its name in the log is that of the message inside.
pub(super) struct Once<O> {
    op: O,
    make: Option<MakeReply>,
    keyed: Arc<Keyed>,
}

impl<O: WriteOp> WriteOp for Once<O> {
    const NAME: &'static str = O::NAME;
    const GROWS: bool = O::GROWS;
    const UNRECORDED: bool = O::UNRECORDED;
    type Output = O::Output;
    type Error = O::Error;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<O::Output, O::Error> {
        let Keyed { name, request, method, .. } = &*self.keyed;
        // Also of an earlier message of the same batch. Who waits for this one looks up what to answer.
        if idempotency::find(tx, name)?.is_some() {
            return Err(StoreError::Repeated.into());
        }
        let output = self.op.apply(tx)?;
        let reply = self.make.as_ref().map_or(Reply::Unkept, |make| make(&output));
        match reply {
            Reply::Unfinished => {}
            Reply::Unkept => idempotency::put(tx, name, request, method, None)?,
            Reply::Json(json) => idempotency::put(tx, name, request, method, Some(&json))?,
        }
        Ok(output)
    }

    fn bytes(&self) -> usize {
        self.op.bytes() + size_of::<Self>()
    }
}
