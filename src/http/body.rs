//! Reads a request body: bounded in size, in time, in the sum over all requests, and in how many are waited for.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::state::{Limits, Shared};
use crate::rpc::{ErrorCode, RpcError};

/// How much of a body over the limit is read and thrown away, bytes, so that its sender gets to read the answer.
const DRAIN_BYTES_MAX: usize = 32 << 20;

/// Bytes of a block of a body that does not say how long it is.
const BLOCK_BYTES: usize = 256 << 10;
/// The longest body that is not counted in the sum of all, bytes: it is smaller than the buffers of its connection, which
/// are bounded by their number, and a sum that all threads keep is one that they wait for.
const UNCOUNTED_BYTES_MAX: usize = 1 << 10;
/// How often a body is looked for before it counts as waited for.
const EARLY_LOOKS: usize = 3;

/// A whole body; gives its share of the bound back when it is dropped.
pub(super) struct Body<'a> {
    pub(super) bytes: Bytes,
    _share: Share<'a>,
}

/// Bytes taken from the bound on all bodies.
struct Share<'a> {
    taken: usize,
    all: &'a AtomicUsize,
}

impl Share<'_> {
    fn take(&mut self, more: usize, bound: usize) -> Result<(), RpcError> {
        if self.all.fetch_add(more, Ordering::Relaxed) + more > bound {
            self.all.fetch_sub(more, Ordering::Relaxed);
            let error = RpcError::new(ErrorCode::Busy, "the server is busy: too many large requests at once");
            return Err(error.hint("nothing was done; try again"));
        }
        self.taken += more;
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.taken > 0 {
            self.all.fetch_sub(self.taken, Ordering::Relaxed);
        }
    }
}

/// A body that is waited for; counts until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(all: &'a AtomicUsize, most: usize) -> Result<Self, RpcError> {
        let waiting = Self(all);
        if all.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(waiting);
        }
        let error = RpcError::new(ErrorCode::Busy, "the server is busy: it waits for too many bodies already");
        Err(error.hint("nothing was done; try again, and send the body in one go"))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets the server go on and comes back at once. (The runtime's own way to yield looks at all sockets before.)
async fn once_more() {
    let mut looked = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut looked, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Reads the body of a request with `headers`.
pub(super) async fn read<'a>(shared: &'a Shared, headers: &HeaderMap, payload: Payload) -> Result<Body<'a>, RpcError> {
    let limits = &shared.app.limits;
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let error = RpcError::new(ErrorCode::InvalidRequest, "Invalid request: a compressed body is not read");
        return Err(error.hint("send the body without Content-Encoding"));
    }
    let declared = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|bytes| bytes > limits.body_bytes.saturating_add(DRAIN_BYTES_MAX)) {
        return Err(too_large(limits));
    }
    let mut collected = pin!(collect(shared, declared.unwrap_or(0), payload));
    // Who sent the body along with the head is served however many others are slow. The first look is too early: the
    // server calls us before it takes the body from its buffer.
    for _ in 0..EARLY_LOOKS {
        if let Poll::Ready(whole) = poll_fn(|cx| Poll::Ready(collected.as_mut().poll(cx))).await {
            return whole;
        }
        once_more().await;
    }
    let _waiting = Waiting::begin(&shared.bodies_waited_for, limits.bodies_waited_for)?;
    tokio::time::timeout(limits.body_deadline, collected).await.unwrap_or_else(|_| {
        let seconds = limits.body_deadline.as_secs();
        let text = format!("the body did not arrive within {seconds} seconds");
        Err(RpcError::new(ErrorCode::RequestTimeout, text).hint("nothing was done; send the body in one go"))
    })
}

/// Bytes that arrive in pieces. Of a body that says how long it is one block takes all; any other is kept in blocks until
/// it is whole, because a buffer that doubles is in memory with its predecessors while it grows.
struct Blocks {
    /// Size of the first block.
    first: usize,
    blocks: Vec<BytesMut>,
}

impl Blocks {
    fn new(declared: usize) -> Self {
        let first = if declared > 0 { declared } else { BLOCK_BYTES };
        Self { first, blocks: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = |block: &BytesMut| block.capacity() - block.len();
            if self.blocks.last().is_none_or(|block| room(block) == 0) {
                let size = if self.blocks.is_empty() { self.first } else { BLOCK_BYTES };
                self.blocks.push(BytesMut::with_capacity(size));
            }
            let block = self.blocks.last_mut().expect("one with room was made");
            let (now, later) = bytes.split_at(bytes.len().min(room(block)));
            block.extend_from_slice(now);
            bytes = later;
        }
    }

    fn join(mut self) -> Bytes {
        if self.blocks.len() == 1 {
            return self.blocks.remove(0).freeze();
        }
        self.blocks.concat().into()
    }
}

async fn collect(shared: &Shared, declared: usize, mut payload: Payload) -> Result<Body<'_>, RpcError> {
    let limits = &shared.app.limits;
    let mut share = Share { taken: 0, all: &shared.bodies };
    let mut first = Bytes::new();
    let mut rest = Blocks::new(declared.min(limits.body_bytes));
    let mut arrived = 0_usize;
    while let Some(chunk) = payload.next().await {
        // The sender hung up, or broke the framing: nobody will read the answer.
        let chunk = chunk.map_err(|_| RpcError::parse("the body ended early"))?;
        arrived += chunk.len();
        if arrived > limits.body_bytes {
            // Nothing more is kept; the sender is heard out so far.
            (first, rest) = (Bytes::new(), Blocks::new(0));
            if arrived > limits.body_bytes.saturating_add(DRAIN_BYTES_MAX) {
                break;
            }
            continue;
        }
        if arrived > UNCOUNTED_BYTES_MAX {
            share.take(arrived - share.taken, limits.bodies_bytes)?;
        }
        if first.is_empty() {
            first = chunk;
            continue;
        }
        if rest.is_empty() {
            rest.push(&first);
        }
        rest.push(&chunk);
    }
    if arrived > limits.body_bytes {
        return Err(too_large(limits));
    }
    let bytes = if rest.is_empty() { first } else { rest.join() };
    Ok(Body { bytes, _share: share })
}

fn too_large(limits: &Limits) -> RpcError {
    let text = format!("the body is larger than {} bytes", limits.body_bytes);
    RpcError::new(ErrorCode::BodyTooLarge, text)
        .hint("send large files with PUT /files/{path}, or in parts with `append`; or raise body_limit")
}
